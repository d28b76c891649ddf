"""The list of plugged-in tokens over all modules, their opaque handles, and a revision number that grows with every change."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast

from calock.agent.backends.base import Listing, LockRecord, PinState, TokenProblem
from calock.agent.modules import Module
from calock.agent.signing import algorithm_of
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire

log = logging.getLogger("calock.agent.locks")

MAX_CERTIFICATE = 16 * 1024
MAX_HANDLES = 512
"""How many handles are remembered after their lock went away: enough to say "pulled out" instead of "never seen"."""
MAX_RECORDS = 64
"""Per module: bounds what a broken lock or library can make us show."""
_SIGNING_USAGES = {"digital_signature", "content_commitment"}


@dataclass(frozen=True, slots=True)
class ListedCertificate:
    """One usable signing certificate in one plugged-in lock."""

    module: Module
    record: LockRecord
    certificate: Certificate
    plugged: str
    """Random per plug-in, so that a handle dies with the plug."""

    @property
    def expired(self) -> bool:
        """By this computer's clock: a mark for people, never a refusal; the server decides by its own clock."""
        return self.certificate.not_after < datetime.now(UTC)


@dataclass(slots=True)
class _ModuleListing:
    entries: tuple[ListedCertificate, ...] = ()
    problems: tuple[TokenProblem, ...] = ()
    listing: Listing | None = None
    plugs: dict[tuple[str, bytes], str] = field(default_factory=dict)


def printable(text: str, limit: int = 120) -> str:
    """Make text from a certificate or device harmless to show: no control, format or direction characters, bounded."""
    return "".join(c for c in text[: limit * 2] if unicodedata.category(c)[0] != "C").strip()[:limit]


def mask(serial: str) -> str:
    """Keep the last four characters of a device serial: enough to tell two locks apart, too little to follow one."""
    serial = printable(serial, 64)
    return "****" + serial[-4:] if len(serial) > 4 else serial


def mask_label(label: str, serial: str) -> str:
    """Name a lock in a problem: a label may be its holder's name, so its middle is left out."""
    label = printable(label, 32)
    shown = label[:1] + "*" * min(len(label[1:-1]) or len(label[1:]), 3) + label[2:][-1:]
    return " ".join(part for part in (shown, mask(serial)) if part)


class LockTable:
    """The merged list. Handles are made per origin, so two sites cannot follow one lock by its handle."""

    def __init__(self) -> None:
        self.modules: list[Module] = []
        self.own_problems: tuple[wire.DriverProblem, ...] = ()
        """What the driver itself met when it started."""
        self.revision = 1
        self._seen: dict[Module, _ModuleListing] = {}
        self._key = secrets.token_bytes(32)
        self._listed: dict[tuple[str, str], None] = {}
        self._moved = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, modules: Sequence[Module]) -> None:
        self.modules = list(modules)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
        await asyncio.gather(*(module.close() for module in self.modules), return_exceptions=True)

    def changed(self) -> None:
        """Called by a module on any plug event."""
        self._wanted.set()

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.refresh()
            except Exception:  # one unreadable token must not end the loop that follows all of them
                log.exception("reading the locks failed")

    async def wait_beyond(self, revision: int) -> int:
        """Wait until the revision is greater than ``revision``; returns it."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.revision > revision)
        return self.revision

    async def refresh(self) -> None:
        """Ask every module that is free; a busy one keeps its last list."""
        results = await asyncio.gather(*(self._refresh_one(module) for module in self.modules))
        if any(results):
            async with self._moved:
                self.revision += 1
                self._moved.notify_all()

    async def _refresh_one(self, module: Module) -> bool:
        if module.operating and module in self._seen:
            self._wanted_later()
            return False
        try:
            listing = await module.list_locks()
        except Refusal as refusal:
            listing = Listing(problems=(TokenProblem(reason=refusal.reason),))
        seen = self._seen.get(module, _ModuleListing())  # read after the await: another listing may have been stored meanwhile
        if listing == seen.listing:
            return False
        names = [(record.device, record.certificate) for record in listing.locks]
        names += [(problem.device, b"") for problem in listing.problems if problem.device]
        plugs = {name: seen.plugs.get(name) or secrets.token_hex(8) for name in names}
        entries, problems = _usable(module, listing, plugs)
        self._seen[module] = _ModuleListing(entries, problems, listing, plugs)
        return True

    def _wanted_later(self) -> None:
        asyncio.get_running_loop().call_later(0.5, self._wanted.set)

    def entries(self) -> list[ListedCertificate]:
        """Return usable certificates, locks side by side; in each lock the one to offer first, expired ones last.

        Some vendors install a library of each kind, and both list one lock. It stands here once, as SKF: that interface has SM2 and
        tells the tries that are left.
        """
        every = [entry for module in self.modules for entry in self._seen.get(module, _ModuleListing()).entries]
        by_skf = {entry.certificate.der for entry in every if entry.module.kind == "skf"}
        every = [entry for entry in every if entry.module.kind != "pkcs11" or entry.certificate.der not in by_skf]
        by_device: dict[tuple[str, str], list[ListedCertificate]] = {}
        for entry in every:
            by_device.setdefault((entry.module.path, entry.record.device), []).append(entry)
        for group in by_device.values():
            group.sort(key=lambda entry: (entry.expired, -entry.certificate.not_before.timestamp()))
        groups = sorted(by_device.values(), key=lambda group: group[0].expired)
        return [entry for group in groups for entry in group]

    def _problems(self, origin: str) -> list[wire.DriverProblem]:
        found = list(self.own_problems)
        for module in self.modules:
            seen = self._seen.get(module, _ModuleListing())
            for problem in seen.problems:
                label = mask_label(problem.label, problem.serial)
                handle = self._hidden_handle(origin, module, problem, seen) if problem.device else ""
                if handle:
                    self._remember(origin, handle)
                pin = pin_info(problem.pin) if handle else None
                found.append(wire.DriverProblem(module=module.name, reason=problem.reason, label=label, lock=handle, pin=pin))
        return list(dict.fromkeys(found))

    def _hidden_handle(self, origin: str, module: Module, problem: TokenProblem, seen: _ModuleListing) -> str:
        return self._handle(origin, module.path, "hidden", problem.device, seen.plugs[problem.device, b""])

    def count_in(self, module: Module) -> int:
        return len({entry.record.device for entry in self._seen.get(module, _ModuleListing()).entries})

    def _handle(self, origin: str, *parts: str) -> str:
        data = "\0".join((origin, *parts)).encode()
        return base64.urlsafe_b64encode(hmac.digest(self._key, data, "sha256")[:18]).decode()

    def handle_of(self, origin: str, entry: ListedCertificate) -> str:
        return self._handle(origin, entry.module.path, entry.record.key, entry.certificate.sha256, entry.plugged)

    def view(self, origin: str, *, window_only: bool = False) -> wire.LockList:
        """Return the list as ``origin`` may see it, and remember which handles it was given."""
        infos = []
        for entry in self.entries():
            handle = self.handle_of(origin, entry)
            self._remember(origin, handle)
            infos.append(_info(entry, handle, self._handle(origin, entry.module.path, entry.record.device)))
        return wire.LockList(locks=tuple(infos), problems=tuple(self._problems(origin)), window_only=window_only)

    def _remember(self, origin: str, handle: str) -> None:
        """Keep the newest handles only: each plug-in makes a new one, and the driver runs for months."""
        self._listed.pop((origin, handle), None)
        self._listed[origin, handle] = None
        while len(self._listed) > MAX_HANDLES:
            del self._listed[next(iter(self._listed))]

    def resolve(self, origin: str, handle: str) -> ListedCertificate:
        """Find the certificate behind a handle that was given to this origin.

        Raises:
            Refusal: LOCK_UNKNOWN (never listed to this origin), LOCK_REMOVED (listed, but pulled out since).
        """
        self._require_listed(origin, handle)
        for entry in self.entries():
            if hmac.compare_digest(self.handle_of(origin, entry), handle):
                return entry
        raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out or its certificate was replaced")

    def resolve_hidden(self, origin: str, handle: str) -> tuple[Module, TokenProblem]:
        """Find the token that hides its certificates behind a handle; refusals as for ``resolve``."""
        self._require_listed(origin, handle)
        for module, seen in self._seen.items():
            for problem in seen.problems:
                if problem.device and hmac.compare_digest(self._hidden_handle(origin, module, problem, seen), handle):
                    return module, problem
        raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")

    def _require_listed(self, origin: str, handle: str) -> None:
        if (origin, handle) not in self._listed:
            raise Refusal(Reason.LOCK_UNKNOWN, "no such lock was listed to this page")


def _usable(
    module: Module, listing: Listing, plugs: dict[tuple[str, bytes], str]
) -> tuple[tuple[ListedCertificate, ...], tuple[TokenProblem, ...]]:
    """Parse what a module listed. An encryption certificate is not offered; an unreadable one is a problem, not the end."""
    entries: list[ListedCertificate] = []
    problems = list(listing.problems)
    empty = {record.device: record for record in listing.locks}
    for record in listing.locks[:MAX_RECORDS]:
        try:
            certificate = _parse(record.certificate)
        except Refusal as refusal:
            problems.append(_about(record, refusal.reason))
            empty.pop(record.device, None)
            continue
        if certificate.key_usage is None or certificate.key_usage & _SIGNING_USAGES:
            entries.append(ListedCertificate(module, record, certificate, plugs[record.device, record.certificate]))
    for entry in entries:
        empty.pop(entry.record.device, None)
    cut = len(listing.locks) > MAX_RECORDS
    if cut:
        problems.append(TokenProblem(reason=Reason.LOCK_LIST_CUT))
    else:
        problems += [_about(record, Reason.LOCK_WITHOUT_CERTIFICATE) for record in empty.values()]
    return tuple(entries), tuple(dict.fromkeys(problems))


def _about(record: LockRecord, reason: Reason) -> TokenProblem:
    return TokenProblem(reason=reason, label=record.label, serial=record.serial)


def _parse(der: bytes) -> Certificate:
    if len(der) > MAX_CERTIFICATE:
        raise Refusal(Reason.CERTIFICATE_TOO_LARGE, "certificate in the lock is too large")
    certificate = Certificate.parse(der)
    algorithm_of(certificate)
    _ = (certificate.subject_cn, certificate.subject_o, certificate.issuer_cn, certificate.authority_key_id, certificate.key_usage)
    _ = (
        certificate.not_before,
        certificate.not_after,
        certificate.spki_der,
    )  # all fields that are shown are read now, so that a malformed one is refused here
    return certificate


def pin_info(pin: PinState) -> wire.PinState:
    left = 1 if pin.last_try and pin.tries_left is None else pin.tries_left
    return wire.PinState(
        tries_left=0 if pin.locked else left,
        tries_max=pin.tries_max,
        locked=pin.locked,
        default=pin.default,
        reserved=pin.reserved,
        on_reader=pin.on_reader,
    )


def _info(entry: ListedCertificate, handle: str, device: str) -> wire.LockInfo:
    certificate = entry.certificate
    return wire.LockInfo(
        id=handle,
        device=device,
        name=printable(certificate.subject_cn),
        organisation=printable(certificate.subject_o),
        issuer=printable(certificate.issuer_cn),
        issuer_key_id=certificate.authority_key_id[:128],
        device_serial=mask(entry.record.serial),
        algorithm=cast("Literal['SM2', 'RSA', 'EC']", certificate.algorithm),
        not_before=certificate.not_before.isoformat(),
        not_after=certificate.not_after.isoformat(),
        expired=entry.expired,
        backend=entry.module.kind,
        module=entry.module.name,
        pin=pin_info(entry.record.pin),
    )
