"""Who keeps what of an audit row beyond its time in the database: named at start-up by the rooms whose evidence stands on rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calock.server.audit.models import AuditEvent
from calock.server.tools.registry import Registry


@dataclass(frozen=True, slots=True)
class Keeper:
    code: str
    keep: Callable[[Sequence[AuditEvent]], None]
    """Gets the rows that are let go of, inside the transaction that deletes them."""


_keepers: Registry[Keeper] = Registry("keepers of audit rows")
register_keeper, keepers = _keepers.register, _keepers.all
