"""The register of recognised CAs as this process verifies with it: built from the rows, kept, and renewed when they change.

A login costs no query for it most of the time: at most every ``CHECK_EVERY`` seconds one tiny query compares the register's
revision and seal, and the whole is read again when they differ and every ``RELOAD_EVERY`` seconds in any case, so a change works
on every replica within 60 s. What is the same to the last octet is not judged and built again: of a thousand providers that takes
seconds. A register that is damaged, or older than one seen before, gives no trust at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import structlog
from django.db import transaction

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.server.providers import rollback_guard
from calock.server.providers.certificates import Use, use_of
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, RevocationSource, Role, changes_here
from calock.server.providers.register_audit import last_recorded, require_newest
from calock.server.providers.register_rows import fingerprint, read_rows, snapshot_of, stored_state
from calock.server.providers.seal import RegisterDamagedError

CHECK_EVERY = 5.0  # seconds between two looks at the seal
RELOAD_EVERY = 55.0  # seconds after which everything is read again: finds rows changed behind the server's back

log = structlog.get_logger(__name__)


class ProblemKind(StrEnum):
    """What can be wrong with the register's rows."""

    REGISTER_DAMAGED = "register_damaged"  # rows were removed, added or put back outside the server, or all of them were
    PROVIDER_TAMPERED = "provider_tampered"
    RULES_UNUSABLE = "rules_unusable"
    CA_TAMPERED = "ca_tampered"
    CA_UNUSABLE = "ca_unusable"  # does not parse, is no CA, or is not the key that was recorded
    SOURCE_TAMPERED = "source_tampered"  # an address of revocation data; it is not fetched
    NO_ANCHOR = "no_anchor"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, whose it is, and a technical sentence."""

    kind: ProblemKind
    provider: str
    detail: str


@dataclass(frozen=True, slots=True)
class LoadedRegister:
    """What one look at the rows gave: the usable part, and what had to be left out."""

    register: Register
    state: tuple[int, str] | None
    """Revision and seal of the rows."""
    problems: tuple[Problem, ...]


class RegisterError(RuntimeError):
    """The server must not start with this register; the text lists every problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.provider or 'register'}: {p.kind}: {p.detail}" for p in problems))
        self.problems = tuple(problems)


def _ca_certificate(record: CaRecord) -> CaCertificate | Problem:
    code = record.provider.code
    if not record.is_intact():
        return Problem(ProblemKind.CA_TAMPERED, code, f"CA record {record.pk} is not the one that was recognised")
    der = bytes(record.certificate)
    try:
        parsed = Certificate.parse(der)
    except Refusal as refusal:
        return Problem(ProblemKind.CA_UNUSABLE, code, f"CA record {record.pk}: {refusal}")
    if parsed.spki_sha256 != record.spki_sha256:
        return Problem(ProblemKind.CA_UNUSABLE, code, f"CA record {record.pk} holds another key than its record says")
    wanted = Use.CRLS if record.role == Role.CRL_SIGNER else Use.CERTIFICATES
    if use_of(parsed) is not wanted:
        return Problem(ProblemKind.CA_UNUSABLE, code, f"CA record {record.pk} is not a certificate for {wanted}")
    return CaCertificate(der=der, spki_sha256=record.spki_sha256, group=record.group, anchor=record.anchor)


def _provider_trust(provider: Provider) -> tuple[ProviderTrust | None, list[Problem]]:
    """What verification may believe of one provider, and what it may not."""
    if not provider.is_intact():
        return None, [
            Problem(ProblemKind.PROVIDER_TAMPERED, provider.code, "its state, sites or rules were changed outside the server")
        ]
    try:
        policy = Policy.from_json(provider.rules)
    except (Refusal, ValueError, TypeError, OverflowError) as error:
        return None, [Problem(ProblemKind.RULES_UNUSABLE, provider.code, str(error))]
    # in one order on every replica, so that equal registers have equal fingerprints
    recognised = sorted((r for r in provider.ca_records.all() if r.state == CaState.RECOGNISED), key=lambda r: r.spki_sha256)
    read = [_ca_certificate(record) for record in recognised]
    problems = [item for item in read if isinstance(item, Problem)]
    problems += [_source_problem(source) for record in recognised for source in record.revocation_sources.all()
                 if not source.is_intact()]  # fmt: skip
    cas = tuple(item for item in read if isinstance(item, CaCertificate))
    suspended = provider.state != ProviderState.ENABLED
    if suspended:
        # kept so that its locks are refused by their true reason; what is wrong with it matters when it is enabled again
        return ProviderTrust(provider.code, cas, policy, frozenset(provider.sites), suspended=True), []
    if not any(ca.anchor for ca in cas):
        return None, [*problems, Problem(ProblemKind.NO_ANCHOR, provider.code, "enabled, but no recognised anchor can be used")]
    return ProviderTrust(provider.code, cas, policy, frozenset(provider.sites)), problems


def _source_problem(source: RevocationSource) -> Problem:
    detail = f"an address of CA {source.ca_record.spki_sha256[:16]} was changed outside the server: {source.url}"
    return Problem(ProblemKind.SOURCE_TAMPERED, source.ca_record.provider.code, detail)


def load_register() -> LoadedRegister:
    """Read and check every row now.

    Raises:
        RegisterDamagedError: the seal over the whole does not fit, or a newer register was seen; no part of it can be believed.
    """
    rows = read_rows()
    found = snapshot_of(rows)
    if found is not None:
        # inside a transaction the rows may be its own changes, which can still be rolled back
        transaction.on_commit(partial(rollback_guard.remember, found), robust=True)
    trusts: list[ProviderTrust] = []
    problems: list[Problem] = []
    for provider in rows.providers:
        trust, wrong = _provider_trust(provider)
        problems += wrong
        if trust is not None:
            trusts.append(trust)
    return LoadedRegister(Register(trusts), rows.state, tuple(problems))


@dataclass(frozen=True, slots=True)
class _Kept:
    loaded: LoadedRegister | None
    damage: str
    """Why there is none."""
    checked_at: float
    loaded_at: float
    """When all of its rows were last looked at."""
    changes: int
    fingerprint: str
    """Of the rows, from before they were read."""

    def fresh(self) -> bool:
        return self.changes == changes_here() and time.monotonic() - self.checked_at < CHECK_EVERY

    def give(self) -> LoadedRegister:
        if self.loaded is None:
            raise RegisterDamagedError(self.damage)
        return self.loaded


class _Keeper:
    """The register of this process. One thread reloads; the others wait for it rather than read the rows as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def forget(self) -> None:
        self._kept = None

    def get(self) -> LoadedRegister:
        kept = self._kept
        if kept is None or not kept.fresh():
            with self._lock:
                kept = self._renewed()
        return kept.give()

    def _renewed(self) -> _Kept:
        kept, now, changes = self._kept, time.monotonic(), changes_here()
        if kept is not None and kept.fresh():
            return kept
        seen = ""
        try:
            if kept is not None and kept.loaded is not None and _still(kept.loaded):
                due = now - kept.loaded_at >= RELOAD_EVERY
                if not due or (seen := fingerprint()) == kept.fingerprint:
                    self._kept = replace(kept, checked_at=now, loaded_at=now if due else kept.loaded_at, changes=changes)
                    return self._kept
            seen = seen or fingerprint()
            loaded = load_register()
        except RegisterDamagedError as error:
            log.critical("register_damaged", detail=error.detail)
            self._kept = _Kept(None, error.detail, checked_at=now, loaded_at=now, changes=changes, fingerprint="")
            return self._kept
        if loaded.problems and (kept is None or kept.loaded is None or kept.loaded.problems != loaded.problems):
            for problem in loaded.problems:
                log.critical("register_problem", kind=problem.kind, provider=problem.provider, detail=problem.detail)
        self._kept = _Kept(loaded, "", checked_at=now, loaded_at=now, changes=changes, fingerprint=seen)
        return self._kept


def _still(loaded: LoadedRegister) -> bool:
    """Whether the database's register is the one that was loaded.

    Raises:
        RegisterDamagedError: it is an older one than was seen here.
    """
    floor = rollback_guard.newest()
    state = stored_state()
    rollback_guard.check(state, floor)
    return state == loaded.state


_keeper = _Keeper()


def current_register() -> Register:
    """Recognised CAs of enabled providers, as this process knows them; at most 60 s old.

    Raises:
        Refusal: REGISTER_DAMAGED, when the rows are not those this server sealed. They let no certificate in.
    """
    return _keeper.get().register


def current_problems() -> tuple[Problem, ...]:
    """What is wrong with the rows now, for the console and the health check. Reads them all, and the audit trail's newest word."""
    try:
        recorded = last_recorded()
        loaded = load_register()
        require_newest(loaded.state[0] if loaded.state else 0, recorded)
    except RegisterDamagedError as error:
        return (Problem(ProblemKind.REGISTER_DAMAGED, "", error.detail),)
    return loaded.problems


def forget_register() -> None:
    """Read the rows again at the next use: after a change in this process, and between tests."""
    _keeper.forget()


def check_at_start() -> None:
    """What a server does before it answers anything.

    Raises:
        RegisterError: an enabled provider has no usable anchor, or a row is not the one that was sealed.
    """
    problems = current_problems()
    if problems:
        raise RegisterError(problems)
