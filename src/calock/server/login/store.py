"""The login transaction as five plain SQL statements, the same text for SQLite and PostgreSQL.

Hand-written because it was measured: against the ORM's own statements they halve the application's time of a login
(docs/decisions). The models still own the schema: names and value conversions come from them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections, models

from calock.core.challenge import Challenge
from calock.core.refusals import Reason, Refusal
from calock.server.audit.models import AuditEvent
from calock.server.challenges.models import SpentChallenge
from calock.server.locks.holder import Found
from calock.server.receipts.models import Receipt
from calock.server.sessions.models import Session

FIND = """
SELECT c.id, c.lock_id, c.cert_sha256, c.spki_sha256, n.spki_sha256, b.id, b.awaits, b.suspended_at, a.id, a.state, a.role,
    o.id, o.state, p.code, d.id, c.revoked_at, v.id, n.revoked_at
FROM locks_lockcertificate c
JOIN providers_carecord r ON r.id = c.ca_record_id
JOIN providers_provider p ON p.id = r.provider_id
LEFT JOIN locks_revokedcertificate v ON v.issuer_key = r.spki_sha256 AND v.serial = c.serial
LEFT JOIN locks_lockcertificate n ON n.lock_id = c.lock_id AND n.superseded_at IS NULL
LEFT JOIN locks_binding b ON b.lock_id = c.lock_id AND b.unbound_at IS NULL
LEFT JOIN accounts_account a ON a.id = b.account_id
LEFT JOIN organisations_organisation o ON o.id = a.organisation_id
LEFT JOIN locks_knowndriver d ON d.account_id = a.id AND d.key_sha256 = %s
WHERE r.spki_sha256 = %s AND c.serial = %s
"""


@cache
def _insert(model: type[models.Model]) -> tuple[str, tuple[models.Field[Any, Any], ...]]:
    meta = model._meta  # noqa: SLF001 - Django's documented interface, whatever its name
    given = (field for field in meta.concrete_fields if not isinstance(field, models.AutoField))
    fields = tuple(field for field in given if not hasattr(field.db_default, "resolve_expression"))  # the database's own clock
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join("%s" for _ in fields)
    return f'INSERT INTO "{meta.db_table}" ({columns}) VALUES ({marks})', fields  # noqa: S608 - names of our own models


def insert(row: models.Model) -> None:
    """Insert one row without asking for anything back."""
    connection = connections[DEFAULT_DB_ALIAS]
    statement, fields = _insert(type(row))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Statements inside go out without waiting for the answer to the one before (psycopg's pipeline mode; PostgreSQL only).

    A login is three journeys to the database instead of six, and most of its time was waiting. What is wrong with a statement is
    raised where the next answer is read, at the latest at the end: stay inside the transaction.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    connection.ensure_connection()
    if connection.vendor != "postgresql":
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def spend_and_find(challenge: Challenge, ca_spki_sha256: str, serial: str, driver_key: str) -> Found | None:
    """Use the challenge up, and ``find``; the database decides who was first.

    Raises:
        Refusal: CHALLENGE_SPENT. The caller's transaction is over then.
    """
    try:
        insert(SpentChallenge(digest=challenge.digest))
        return find(ca_spki_sha256, serial, driver_key)
    except IntegrityError as error:
        raise Refusal(Reason.CHALLENGE_SPENT, "the challenge was used before") from error


def _uuid(value: uuid.UUID | str | None) -> uuid.UUID | None:
    return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


def find(ca_spki_sha256: str, serial: str, driver_key: str = "") -> Found | None:
    """The lock, binding, account and organisation of a certificate, by its issuing key and serial number.

    ``driver_key``: of the driver that gave the answer; whether the account knows it.
    """
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(FIND, [driver_key, ca_spki_sha256, serial])
        row = cursor.fetchone()
    if row is None:
        return None
    certificate, lock, cert_sha256, key, newest_key, binding, awaits, lost, account, account_state, account_role, *more = row
    organisation, organisation_state, provider, driver, *revoked = more
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
    )


def insert_session(session: Session) -> None:
    insert(session)


def insert_receipt(row: Receipt) -> None:
    insert(row)


def insert_audit(row: AuditEvent) -> None:
    insert(row)
