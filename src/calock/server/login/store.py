"""What a login asks of the database: one look-up for all that it must know.

Hand-written because it was measured: together with ``tools.insertion`` it halves the application's time of a login against the
ORM's own statements (docs/decisions).
"""

from __future__ import annotations

import uuid

from django.db import DEFAULT_DB_ALIAS, connections

from calock.core.challenge import Challenge
from calock.server.challenges.models import SpentChallenge
from calock.server.locks.holder import Found

FIND = """
SELECT c.id, c.lock_id, c.cert_sha256, c.spki_sha256, n.spki_sha256, b.id, b.awaits, b.suspended_at, a.id, a.state, a.role,
    o.id, o.state, p.code, d.id, s.digest,
    c.revoked_at, v.id, n.revoked_at
FROM locks_lockcertificate c
JOIN providers_carecord r ON r.id = c.ca_record_id
JOIN providers_provider p ON p.id = r.provider_id
LEFT JOIN locks_revokedcertificate v ON v.issuer_key = r.spki_sha256 AND v.serial = c.serial
LEFT JOIN locks_lockcertificate n ON n.lock_id = c.lock_id AND n.superseded_at IS NULL
LEFT JOIN locks_binding b ON b.lock_id = c.lock_id AND b.unbound_at IS NULL
LEFT JOIN accounts_account a ON a.id = b.account_id
LEFT JOIN organisations_organisation o ON o.id = a.organisation_id
LEFT JOIN locks_knowndriver d ON d.account_id = a.id AND d.key_sha256 = %s
LEFT JOIN challenges_spentchallenge s ON s.digest = %s
WHERE r.spki_sha256 = %s AND c.serial = %s
"""


def is_spent(challenge: Challenge) -> bool:
    """Whether somebody used it up."""
    return SpentChallenge.objects.filter(pk=challenge.digest).exists()


def _uuid(value: uuid.UUID | str | None) -> uuid.UUID | None:
    return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


def find(ca_spki_sha256: str, serial: str, driver_key: str = "", *, challenge: str = "") -> Found | None:
    """The lock, binding, account and organisation of a certificate, by its issuing key and serial number.

    ``driver_key``: of the driver that gave the answer; whether the account knows it. ``challenge``: the digest of the one that was
    answered; whether it was used.
    """
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(FIND, [driver_key, challenge, ca_spki_sha256, serial])
        row = cursor.fetchone()
    if row is None:
        return None
    certificate, lock, cert_sha256, key, newest_key, binding, awaits, lost, account, account_state, account_role, *more = row
    organisation, organisation_state, provider, driver, spent, *revoked = more
    certificate_id, lock_id = _uuid(certificate), _uuid(lock)
    assert certificate_id is not None
    assert lock_id is not None
    return Found(
        certificate_id=certificate_id,
        lock_id=lock_id,
        cert_sha256=cert_sha256,
        provider=provider,
        revoked=any(value is not None for value in revoked),
        superseded_by_other_key=newest_key is not None and newest_key != key,
        binding_id=_uuid(binding),
        binding_awaits=awaits or "",
        reported_lost=lost is not None,
        account_id=_uuid(account),
        account_state=account_state or "",
        account_role=account_role or "",
        organisation_id=_uuid(organisation),
        organisation_state=organisation_state or "",
        driver_known=driver is not None,
        challenge_spent=spent is not None,
    )
