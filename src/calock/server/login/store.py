"""What a login asks of the database: one look-up for all that it must know.

Hand-written because it was measured: together with ``tools.insertion`` it halves the application's time of a login against the
ORM's own statements (docs/decisions).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections

from calock.core.challenge import Challenge
from calock.server.accounts.models import Account, account_content
from calock.server.challenges.models import SpentChallenge
from calock.server.locks.holder import Found
from calock.server.locks.models import Binding, LockCertificate, binding_content, certificate_content
from calock.server.tools import seals

FIND = """
SELECT c.id, c.lock_id, c.cert_sha256, p.code, c.revoked_at IS NOT NULL OR v.id IS NOT NULL OR n.revoked_at IS NOT NULL,
    COALESCE(n.spki_sha256 <> c.spki_sha256, FALSE), b.id, COALESCE(b.awaits, ''), b.suspended_at IS NOT NULL,
    a.id, COALESCE(a.state, ''), COALESCE(a.role, ''), o.id, COALESCE(o.state, ''), d.id IS NOT NULL, s.digest IS NOT NULL,
    c.spki_sha256, c.holder_hmac, c.mac, b.bound_at, b.mac, a.username, a.password, a.lock_enrolment_until, a.organisation_id,
    a.lock_only, a.password_changed_at, a.password_reset_at, a.mac
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
"""The fields of ``Found`` but the last, then those of ``_UnderSeal``, in their order."""


_FACTS = len(Found._fields) - 1


def is_spent(challenge: Challenge) -> bool:
    """Whether somebody used it up."""
    return SpentChallenge.objects.filter(pk=challenge.digest).exists()


class _UnderSeal(NamedTuple):
    """What the seals of certificate, binding and account cover and ``Found`` does not tell, and the seals."""

    key: str
    holder: str
    certificate_mac: str
    bound_at: datetime
    binding_mac: str
    username: str
    password: str
    enrolment: datetime | None
    member_of_id: uuid.UUID | None
    lock_only: bool | None
    changed: datetime | None
    reset: datetime | None
    account_mac: str


def find(ca_spki_sha256: str, serial: str, driver_key: str = "", *, challenge: str = "") -> Found | None:
    """The lock, binding, account and organisation of a certificate, by its issuing key and serial number.

    ``driver_key``: of the driver that gave the answer; whether the account knows it. ``challenge``: the digest of the one that was
    answered; whether it was used.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        cursor.execute(FIND, [driver_key, challenge, ca_spki_sha256, serial])
        row = cursor.fetchone()
    if row is None:
        return None
    facts, rest = row[:_FACTS], row[_FACTS:]
    if connection.vendor != "postgresql":
        facts, rest = _read(Found, facts), _read(_UnderSeal, rest)
    found = Found._make([*facts, False])
    return found._replace(sealed=_is_sealed(found, _UnderSeal(*rest)))


def _read(fields: type[NamedTuple], row: Sequence[Any]) -> list[Any]:
    """Where the database has texts for ids, and moments without a time zone."""
    return [
        uuid.UUID(value) if value and name.endswith("_id") else value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in zip(fields._fields, row, strict=False)
    ]


def _is_sealed(found: Found, row: _UnderSeal) -> bool:
    if found.binding_id is None or found.account_id is None:
        return False
    of_certificate = certificate_content(found.cert_sha256, found.lock_id, row.key, row.holder)
    of_binding = binding_content(
        found.binding_id, found.lock_id, found.account_id, row.bound_at, found.binding_awaits, suspended=found.reported_lost
    )
    of_account = account_content(
        found.account_id,
        username=row.username,
        role=found.account_role,
        state=found.account_state,
        password=row.password,
        enrolment=row.enrolment,
        organisation=row.member_of_id,
        lock_only=row.lock_only,
        changed=row.changed,
        reset=row.reset,
    )
    return (
        seals.fits(row.certificate_mac, LockCertificate.PURPOSE, of_certificate)
        and seals.fits(row.binding_mac, Binding.PURPOSE, of_binding)
        and seals.fits(row.account_mac, Account.PURPOSE, of_account)
    )
