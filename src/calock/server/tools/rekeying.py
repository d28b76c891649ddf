"""Making anew, under the newest key, what an older key of the ring made: in batches, each its own transaction.

It can be broken off and started again without loss: what the newest key made is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from calock.server.tools import encryption
from calock.server.tools.keys import Purpose, key_ids

Row = TypeVar("Row", bound=Model)
BATCH = 500


@dataclass(slots=True)
class Rekeyed:
    """What was done in one room."""

    what: str
    done: int = 0
    failed: list[str] = field(default_factory=list)
    """What stays as it is, since no key of the ring fits it: changed behind the server's back, or its secret is not in the ring."""


def batches(rows: QuerySet[Row]) -> Iterator[list[Row]]:
    """All rows in the order of their keys; each is read once, whatever is changed of it meanwhile."""
    rows = rows.order_by("pk")
    batch = list(rows[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])


def seal_anew(what: str, rows: QuerySet[Row], *, is_intact: Callable[[Row], bool], expected: Callable[[Row], str]) -> Rekeyed:
    """Give rows with a seal in ``mac`` the newest key's; only those whose seal fits, and not one that is sealed anew meanwhile."""
    found = Rekeyed(what)
    manager = rows.model._default_manager  # noqa: SLF001 - Django's public name for it
    for batch in batches(rows.exclude(mac="").exclude(mac__startswith=key_ids()[0])):
        for row in batch:
            sealed: Any = row
            if not is_intact(row):
                found.failed.append(str(row.pk))
            else:
                found.done += manager.filter(pk=row.pk, mac=sealed.mac).update(mac=expected(row))
    return found


def encrypt_anew(found: Rekeyed, row: Model, column: str, purpose: Purpose, about: str) -> None:
    """Encrypt one column of a row under the newest key, unless that made it, it is empty, or it is written meanwhile."""
    kept = getattr(row, column)
    if not kept or bytes(kept).startswith(encryption.newest_prefix(purpose)):
        return
    try:
        plain = encryption.decrypt(bytes(kept), purpose, about)
    except encryption.NotOpenedError as error:
        found.failed.append(f"{row.pk}: {error}")
        return
    again = encryption.encrypt(plain, purpose, about)
    manager = type(row)._default_manager  # noqa: SLF001 - Django's public name for it
    found.done += manager.filter(pk=row.pk, **{column: kept}).update(**{column: again})
