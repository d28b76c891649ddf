"""What a login asks of the database: one look-up for all that it must know.

Hand-written because it was measured: together with ``tools.insertion`` it halves the application's time of a login against the
ORM's own statements (docs/decisions).
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from django.db import DEFAULT_DB_ALIAS, connections

from calock.core.challenge import Challenge
from calock.server.accounts.models import Account, account_content
from calock.server.challenges.models import SpentChallenge
from calock.server.locks.holder import Found
from calock.server.locks.models import Binding, LockCertificate, binding_content, certificate_content
from calock.server.tools import seals

FIND = """
SELECT c.id, c.lock_id, c.cert_sha256, c.spki_sha256, n.spki_sha256, b.id, b.awaits, b.suspended_at, a.id, a.state, a.role,
    o.id, o.state, p.code, d.id, s.digest,
    c.revoked_at, v.id, n.revoked_at,
    c.holder_hmac, c.mac, b.bound_at, b.mac, a.username, a.password, a.lock_enrolment_until, a.organisation_id, a.lock_only,
    a.password_changed_at, a.password_reset_at, a.mac
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


def _moment(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)  # SQLite has no time zones


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
    organisation, organisation_state, provider, driver, spent, *more = more
    revoked, (holder, certificate_mac, bound_at, binding_mac, *sealed_of_account, account_mac) = more[:3], more[3:]
    certificate_id, lock_id, binding_id, account_id = _uuid(certificate), _uuid(lock), _uuid(binding), _uuid(account)
    assert certificate_id is not None
    assert lock_id is not None
    sealed = False
    if binding_id is not None and account_id is not None:
        since = _moment(bound_at)
        assert since is not None
        username, password, enrolment, member_of, lock_only, changed, reset = sealed_of_account
        of_account = account_content(
            account_id,
            username=username,
            role=account_role,
            state=account_state,
            password=password,
            enrolment=_moment(enrolment),
            organisation=_uuid(member_of),
            lock_only=lock_only,
            changed=_moment(changed),
            reset=_moment(reset),
        )
        of_binding = binding_content(binding_id, lock_id, account_id, since, awaits, suspended=lost is not None)
        sealed = (
            seals.fits(certificate_mac, LockCertificate.PURPOSE, certificate_content(cert_sha256, lock_id, key, holder))
            and seals.fits(binding_mac, Binding.PURPOSE, of_binding)
            and seals.fits(account_mac, Account.PURPOSE, of_account)
        )
    return Found(
        certificate_id=certificate_id,
        lock_id=lock_id,
        cert_sha256=cert_sha256,
        provider=provider,
        revoked=any(value is not None for value in revoked),
        superseded_by_other_key=newest_key is not None and newest_key != key,
        binding_id=binding_id,
        binding_awaits=awaits or "",
        reported_lost=lost is not None,
        account_id=account_id,
        account_state=account_state or "",
        organisation_id=_uuid(organisation),
        organisation_state=organisation_state or "",
        sealed=sealed,
        driver_known=driver is not None,
        challenge_spent=spent is not None,
    )
