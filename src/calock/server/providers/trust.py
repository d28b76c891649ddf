"""The register of recognised CAs as this process verifies with it: built from the rows, kept, and renewed when they change.

A login costs no query for it most of the time: at most every ``CHECK_EVERY`` seconds one tiny query compares the register's
seal, and the whole is read again when the seal differs and every ``RELOAD_EVERY`` seconds in any case, so a change works on every
replica within 60 s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import structlog

from calock.core.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.server.providers import seal
from calock.server.providers.models import (
    BundleKey,
    CaRecord,
    CaState,
    Provider,
    ProviderState,
    RegisterDamagedError,
    RegisterState,
    changes_here,
)

CHECK_EVERY = 5.0  # seconds between two looks at the seal
RELOAD_EVERY = 55.0  # seconds after which everything is read again: finds rows changed behind the server's back

log = structlog.get_logger(__name__)


class ProblemKind(StrEnum):
    """What can be wrong with the register's rows."""

    REGISTER_DAMAGED = "register_damaged"  # rows were removed, added or put back outside the server
    PROVIDER_TAMPERED = "provider_tampered"
    RULES_UNUSABLE = "rules_unusable"
    CA_TAMPERED = "ca_tampered"
    CA_UNUSABLE = "ca_unusable"  # does not parse, is no CA, or is not the key that was recorded
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
    seal: str
    problems: tuple[Problem, ...]


class RegisterError(RuntimeError):
    """The server must not start with this register; the text lists every problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.provider or 'register'}: {p.kind}: {p.detail}" for p in problems))
        self.problems = tuple(problems)


def _ca_certificate(record: CaRecord) -> CaCertificate | Problem:
    code = record.provider.code
    if not seal.ca_record_is_intact(record):
        return Problem(ProblemKind.CA_TAMPERED, code, f"CA record {record.pk} is not the one that was recognised")
    der = bytes(record.certificate)
    try:
        parsed = Certificate.parse(der)
    except Refusal as refusal:
        return Problem(ProblemKind.CA_UNUSABLE, code, f"CA record {record.pk}: {refusal}")
    if parsed.spki_sha256 != record.spki_sha256:
        return Problem(ProblemKind.CA_UNUSABLE, code, f"CA record {record.pk} holds another key than its record says")
    if not parsed.is_ca:
        return Problem(ProblemKind.CA_UNUSABLE, code, f"CA record {record.pk} is not a CA certificate")
    return CaCertificate(der=der, spki_sha256=record.spki_sha256, group=record.group, anchor=record.anchor)


def _provider_trust(provider: Provider) -> tuple[ProviderTrust | None, list[Problem]]:
    """What verification may believe of one provider, and what it may not."""
    if not seal.provider_is_intact(provider):
        return None, [
            Problem(ProblemKind.PROVIDER_TAMPERED, provider.code, "its state, sites or rules were changed outside the server")
        ]
    try:
        policy = Policy.from_json(provider.rules)
    except (Refusal, ValueError, TypeError) as error:
        return None, [Problem(ProblemKind.RULES_UNUSABLE, provider.code, str(error))]
    # in one order on every replica, so that equal registers have equal fingerprints
    recognised = sorted((r for r in provider.ca_records.all() if r.state == CaState.RECOGNISED), key=lambda r: r.spki_sha256)
    read = [_ca_certificate(record) for record in recognised]
    problems = [item for item in read if isinstance(item, Problem)]
    cas = tuple(item for item in read if isinstance(item, CaCertificate))
    suspended = provider.state != ProviderState.ENABLED
    if suspended:
        # kept so that its locks are refused by their true reason; what is wrong with it matters when it is enabled again
        return ProviderTrust(provider.code, cas, policy, frozenset(provider.sites), suspended=True), []
    if not any(ca.anchor for ca in cas):
        return None, [*problems, Problem(ProblemKind.NO_ANCHOR, provider.code, "enabled, but no recognised anchor can be used")]
    return ProviderTrust(provider.code, cas, policy, frozenset(provider.sites)), problems


def _check_seal(state: RegisterState | None, macs: Sequence[str]) -> None:
    if (state is None and macs) or (state is not None and not seal.register_is_intact(state, macs)):
        raise RegisterDamagedError("rows of the register were added, removed or put back outside the server")


def load_register() -> LoadedRegister:
    """Read and check every row now.

    Raises:
        RegisterDamagedError: the seal over the whole does not fit; no part of it can be believed.
    """
    state = RegisterState.objects.filter(pk=1).first()
    providers = list(Provider.objects.prefetch_related("ca_records__provider"))
    keys = BundleKey.objects.order_by().values_list("mac", flat=True)
    _check_seal(state, [*(p.mac for p in providers), *(r.mac for p in providers for r in p.ca_records.all()), *keys])
    trusts: list[ProviderTrust] = []
    problems: list[Problem] = []
    for provider in providers:
        trust, found = _provider_trust(provider)
        problems += found
        if trust is not None:
            trusts.append(trust)
    return LoadedRegister(Register(trusts), state.mac if state else "", tuple(problems))


@dataclass(frozen=True, slots=True)
class _Kept:
    loaded: LoadedRegister
    checked_at: float
    loaded_at: float
    changes: int


class _Keeper:
    """The register of this process. One thread reloads; the others wait for it rather than read the rows as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def forget(self) -> None:
        self._kept = None

    def get(self) -> LoadedRegister:
        kept = self._kept
        if kept is not None and kept.changes == changes_here() and time.monotonic() - kept.checked_at < CHECK_EVERY:
            return kept.loaded
        with self._lock:
            return self._renewed()

    def _renewed(self) -> LoadedRegister:
        kept, now, changes = self._kept, time.monotonic(), changes_here()
        if kept is not None and kept.changes == changes and now - kept.checked_at < CHECK_EVERY:
            return kept.loaded
        if kept is not None and now - kept.loaded_at < RELOAD_EVERY and kept.loaded.seal == _stored_seal():
            self._kept = replace(kept, checked_at=now, changes=changes)
            return kept.loaded
        loaded = load_register()
        if loaded.problems and (kept is None or kept.loaded.problems != loaded.problems):
            for problem in loaded.problems:
                log.critical("register_problem", kind=problem.kind, provider=problem.provider, detail=problem.detail)
        self._kept = _Kept(loaded, checked_at=now, loaded_at=now, changes=changes)
        return loaded


def _stored_seal() -> str:
    return RegisterState.objects.filter(pk=1).values_list("mac", flat=True).first() or ""


_keeper = _Keeper()


def current_register() -> Register:
    """Recognised CAs of enabled providers, as this process knows them; at most 60 s old.

    Raises:
        Refusal: REGISTER_DAMAGED, when the rows are not those this server sealed. Nobody is let in by them.
    """
    try:
        return _keeper.get().register
    except RegisterDamagedError as error:
        log.critical("register_damaged", detail=str(error))
        raise Refusal(Reason.REGISTER_DAMAGED, str(error)) from error


def current_problems() -> tuple[Problem, ...]:
    """What is wrong with the rows now, for the console and the health check. Reads them all."""
    try:
        return load_register().problems
    except RegisterDamagedError as error:
        return (Problem(ProblemKind.REGISTER_DAMAGED, "", str(error)),)


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
