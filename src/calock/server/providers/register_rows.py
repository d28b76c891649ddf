"""All rows of the register as one change left them, and what they say in words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.utils import timezone

from calock.server.providers import rollback_guard, seal
from calock.server.providers.models import CaRecord, Provider, RegisterState, RevocationSource
from calock.server.providers.rollback_guard import RegisterSnapshot
from calock.server.providers.seal import RegisterDamagedError
from calock.server.providers.sealed import sealed_models

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """Every row of the register. Providers carry their CA records, and those their sources, without further queries."""

    state: tuple[int, str] | None
    """Revision and seal; None = there is none yet."""
    providers: tuple[Provider, ...]

    @property
    def records(self) -> list[CaRecord]:
        return [record for provider in self.providers for record in provider.ca_records.all()]

    @property
    def sources(self) -> list[RevocationSource]:
        return [source for record in self.records for source in record.revocation_sources.all()]

    @property
    def sealed(self) -> bool:
        """Whether the seal over the whole fits these rows."""
        macs = [row.mac for row in (*self.providers, *self.records, *self.sources)]
        return not macs if self.state is None else seal.register_is_intact(*self.state, macs)

    def lines(self) -> tuple[str, ...]:
        """What decides trust, one line a row: for people who compare two states of the register."""
        found = [_provider(provider) for provider in self.providers]
        found += [_record(record) for record in self.records]
        found += [_source(source) for source in self.sources]
        return tuple(sorted(found))


def _provider(row: Provider) -> str:
    rules = hashlib.sha256(json.dumps(row.rules, sort_keys=True).encode()).hexdigest()[:16]
    return f"provider {row.code} {row.state}, sites {','.join(map(str, row.sites)) or '-'}, rules {rules}"


def _record(row: CaRecord) -> str:
    cert = hashlib.sha256(bytes(row.certificate)).hexdigest()[:16]
    return f"ca {row.spki_sha256} {row.state} {row.role} of {row.provider.code}, certificate {cert}: {row.subject}"


def _source(row: RevocationSource) -> str:
    return f"source {row.kind} {row.url}{' (private network)' if row.private_network else ''} of {row.ca_record.spki_sha256}"


def stored_state() -> tuple[int, str] | None:
    """Revision and seal as the database has them now."""
    found: tuple[int, str] | None = RegisterState.objects.filter(pk=1).values_list("revision", "mac").first()
    return found


def _read() -> Rows:
    state = stored_state()
    providers = Provider.objects.prefetch_related("ca_records__provider", "ca_records__revocation_sources__ca_record")
    return Rows(state, tuple(providers))


def fingerprint() -> str:
    """Of all that the rows of the register say now: while it is the same, reading and checking them gives the same register."""
    found = hashlib.sha256(repr(stored_state()).encode())
    for model in sealed_models():
        found.update(repr(model.stored_values()).encode())
    return found.hexdigest()


def read_rows(*, restored: bool = False) -> Rows:
    """Read every row now, none of them from before a change and another from after it.

    ``restored``: do not hold them against the newest revision seen; for the command that accepts a backup.

    Raises:
        RegisterDamagedError: the rows are not those that were sealed, or not the newest ones.
    """
    floor = None if restored else rollback_guard.newest()
    rows = _read()
    if not rows.sealed:
        # most likely a change was committed between two of our queries: none is committed while we hold the register's row
        with transaction.atomic():
            _ = RegisterState.objects.select_for_update().filter(pk=1).first()
            rows = _read()
    if not rows.sealed:
        raise RegisterDamagedError("rows of the register were added, removed or put back outside the server")
    rollback_guard.check(rows.state, floor)
    return rows


def snapshot_of(rows: Rows) -> RegisterSnapshot | None:
    """What is remembered of them."""
    if rows.state is None:
        return None
    revision, mac = rows.state
    return RegisterSnapshot(revision, mac, timezone.now().isoformat(timespec="seconds"), rows.lines())


def remember_committed(revision: int) -> None:
    """After a commit: write the new revision to the rollback guard, which outlives this process."""
    known = rollback_guard.in_memory()
    if known >= revision:
        return
    try:
        found = snapshot_of(read_rows())
    except RegisterDamagedError as error:
        log.critical("register_damaged", detail=error.detail)
    else:
        if found is not None:
            rollback_guard.remember(found)
