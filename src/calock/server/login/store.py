"""What a login asks of the database and writes there: one look-up and, on PostgreSQL, one statement for all of its rows.

Hand-written because it was measured: against the ORM's own statements they halve the application's time of a login
(docs/decisions). The models still own the schema: names and value conversions come from them.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

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
_AS_THEY_ARE = (models.CharField, models.DateTimeField, models.ForeignKey, models.UUIDField)
"""Fields whose values psycopg takes without Django's help: converting the forty values that a login writes costs as much as a
signature.
"""


class _Insertion(NamedTuple):
    """How the rows of one model are written."""

    statement: str
    columns: tuple[tuple[str, models.Field[Any, Any] | None], ...]
    """Attribute of the row, and the field that converts its value; None: the database takes it as it is."""


@cache
def _insertion(model: type[models.Model], vendor: str) -> _Insertion:
    meta = model._meta  # noqa: SLF001 - Django's documented interface, whatever its name
    given = (field for field in meta.concrete_fields if not isinstance(field, models.AutoField))
    fields = tuple(field for field in given if not hasattr(field.db_default, "resolve_expression"))  # the database's own clock
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join("%s" for _ in fields)
    statement = f'INSERT INTO "{meta.db_table}" ({columns}) VALUES ({marks})'  # noqa: S608 - names of our own models
    as_they_are = _AS_THEY_ARE if vendor == "postgresql" else ()
    return _Insertion(statement, tuple((field.attname, None if isinstance(field, as_they_are) else field) for field in fields))


@cache
def _all_at_once(statements: tuple[str, ...]) -> str:
    *others, last = statements
    return f"WITH {', '.join(f'r{place} AS ({other})' for place, other in enumerate(others))} {last}"


def insert_together(rows: Sequence[models.Model]) -> None:
    """Insert all of these rows or none, without asking for anything back.

    Raises:
        IntegrityError: one of them stands against what is there. The caller's transaction, if there is one, goes on.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    written = [_written(row, connection) for row in rows]
    if connection.vendor == "postgresql":  # where statements can be parts of one, which is a transaction by itself
        statements, values = zip(*written, strict=True)
        written = [(_all_at_once(statements), [*chain.from_iterable(values)])]
        if not connection.in_atomic_block:
            _execute(written, connection)
            return
    with transaction.atomic():
        _execute(written, connection)


def _written(row: models.Model, connection: Any) -> tuple[str, list[Any]]:
    statement, columns = _insertion(type(row), connection.vendor)
    values = [(getattr(row, name), field) for name, field in columns]
    return statement, [value if field is None else field.get_db_prep_save(value, connection) for value, field in values]


def _execute(written: Sequence[tuple[str, list[Any]]], connection: Any) -> None:
    with connection.cursor() as cursor:
        for statement, values in written:
            cursor.execute(statement, values)


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
