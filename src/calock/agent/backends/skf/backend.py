"""SKF locks as a ``Backend``: list, one signature, change PIN, notice plug and unplug."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from calock.agent.backends import base, watchdog
from calock.agent.backends.base import Consent, Listing, LockRecord, PinState, TokenProblem
from calock.agent.backends.serials import own_serials
from calock.agent.backends.skf import opening, rsa
from calock.agent.backends.skf.errors import ALREADY_LOGGED_IN, NOT_SUPPORTED, PIN_INVALID, PIN_LOCKED, PIN_REASONS, SkfError
from calock.agent.backends.skf.library import Application, Container, SkfLibrary
from calock.agent.backends.skf.structures import DeviceInfo, UlongSize
from calock.agent.backends.skf.watch import DeviceWatch
from calock.agent.signing import SigningInput
from calock.core.refusals import Reason, Refusal

_MAX_TRIES = 99
"""More than this is not a number of tries but a library's way to say that it does not know."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Names on the way to one private key: device, application, container."""

    device: bytes
    application: bytes
    container: bytes

    def __str__(self) -> str:
        return "/".join(quote_from_bytes(part, safe="") for part in (self.device, self.application, self.container))

    @classmethod
    def parse(cls, key: str) -> _Key:
        parts = [unquote_to_bytes(part) for part in key.split("/")]
        if len(parts) != 3:
            raise Refusal(Reason.LOCK_UNKNOWN, "not a key of this module")
        return cls(*parts)


@dataclass(slots=True)
class _Device:
    """One device as far as it could be read."""

    serial: str = ""
    label: str = ""
    records: list[LockRecord] = field(default_factory=list)
    problem: Reason | None = None

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Note that a part does not open: a seal's application, a container that was never filled. The other parts count.

        Raises:
            SkfError: the device is gone.
        """
        try:
            yield
        except SkfError as error:
            if error.reason is Reason.LOCK_REMOVED:
                raise
            if error.reason is not Reason.LOCK_WITHOUT_CERTIFICATE:
                self.problem = self.problem or error.reason


class SkfBackend:
    """All locks of one vendor library. Loads it at once: to be made inside a worker process.

    Raises:
        Refusal: MODULE_FAILED, the library is missing, of another architecture, or no SKF library.
    """

    def __init__(self, path: Path, *, ulong: UlongSize | None = None) -> None:
        self._library = SkfLibrary(str(path), ulong)
        self._turn = threading.RLock()
        self._watch: DeviceWatch | None = None
        self._reported: dict[tuple[bytes, bytes], int] = {}
        """Tries left as a failed try reported them, for locks that tell them in no other way: (device, application)."""
        self._wrong: set[tuple[bytes, bytes]] = set()
        """Where a wrong PIN was tried since the last right one."""

    # --- Backend

    def list_locks(self) -> Listing:
        with self._turn:
            if self._watch is not None:
                self._watch.listing()
            present = self._present()
            for place in [place for place in self._reported if place[0] not in present]:
                del self._reported[place]  # it may have been unlocked elsewhere meanwhile
            self._wrong = {place for place in self._wrong if place[0] in present}
            devices = [self._read_device(name) for name in dict.fromkeys(present) if present.count(name) == 1]
            alike = [TokenProblem(reason=Reason.LOCKS_ALIKE) for name in set(present) if present.count(name) > 1]
        serials = own_serials(device.serial for device in devices)
        locks = [
            msgspec.structs.replace(record, serial=serial)
            for device, serial in zip(devices, serials, strict=True)
            for record in device.records
        ]
        problems = [
            TokenProblem(reason=device.problem, label=device.label, serial=serial)
            for device, serial in zip(devices, serials, strict=True)
            if device.problem is not None
        ]
        return Listing(locks=tuple(locks), problems=(*problems, *alike))

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, consent: Consent) -> bytes:
        if signing_input.algorithm not in ("SM2", "RS256"):
            raise Refusal(Reason.ALGORITHM_NOT_ALLOWED, f"SKF locks sign SM2 and RS256, not {signing_input.algorithm}")
        where = _Key.parse(key)
        with self._operation(where, certificate) as (application, container):
            base.require_try_allowed(pin, self._pin_state(application, where), consent=consent)
            with self._one_try(application, where):
                self._verify_pin(application, pin)
            if signing_input.algorithm == "SM2":
                return self._library.sign_sm2(container, signing_input.e)
            return rsa.sign(self._library, container, certificate, signing_input)

    def change_pin(self, key: str, *, certificate: bytes, old: bytearray, new: bytearray, consent: Consent) -> None:
        where = _Key.parse(key)
        with self._operation(where, certificate) as (application, _):
            state = self._pin_state(application, where)
            base.require_new_length(new, state)
            base.require_try_allowed(old, state, consent=consent)
            with self._one_try(application, where), self._refused_new_pin(application, where, state):
                self._library.change_pin(application, old, new)

    def reveal(self, device: str, *, pin: bytearray, consent: Consent) -> None:  # noqa: ARG002 - the protocol's
        raise Refusal(Reason.NOT_ALLOWED, "SKF locks show their certificates without a PIN")

    def fingerprint(self) -> str:
        with self._turn, watchdog.ending_after():  # not while an operation holds the turn: that one has its own limit
            return "\n".join(sorted(quote_from_bytes(name) for name in self._present()))

    def watch(self, notify: Callable[[], None]) -> bool:
        self._watch = DeviceWatch(self._library, self.fingerprint, notify)
        self._watch.start()
        return True

    def close(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    # --- reading

    def _present(self) -> list[bytes]:
        try:
            return self._library.devices()
        except SkfError as error:
            raise error.refusal() from error

    def _read_device(self, name: bytes) -> _Device:
        """Read one device. Its problem is told where nothing in it can be used."""
        found = _Device()
        try:
            with found.noting(), opening.device(self._library, name) as device:
                info = self._library.device_info(device)
                found.serial, found.label = info.serial, info.label
                for application_name in self._library.applications(device):
                    with found.noting(), opening.application(self._library, device, application_name) as application:
                        self._read_application(application, _Key(name, application_name, b""), info, found)
        except SkfError:  # pulled out meanwhile
            found.problem = None
        else:
            found.problem = None if found.records else found.problem or Reason.LOCK_WITHOUT_CERTIFICATE
        return found

    def _read_application(self, application: Application, where: _Key, info: DeviceInfo, found: _Device) -> None:
        pin: PinState | None = None
        for name in self._library.containers(application):
            certificate = b""
            with found.noting(), opening.container(self._library, application, name) as container:
                certificate = self._library.certificate(container, signing=True)
            if not certificate:
                continue
            if pin is None:  # one PIN for the whole application
                pin = self._pin_state(application, where)
            record = LockRecord(
                key=str(_Key(where.device, where.application, name)),
                device=quote_from_bytes(where.device),
                certificate=certificate,
                serial=info.serial,
                label=info.label,
                manufacturer=info.manufacturer,
                pin=pin,
            )
            found.records.append(record)

    def _pin_state(self, application: Application, where: _Key) -> PinState:
        place = (where.device, where.application)
        wrong = place in self._wrong
        try:
            info = self._library.pin_info(application)
        except SkfError as error:
            if error.code != NOT_SUPPORTED:
                raise
            left = self._reported.get(place)
            return PinState(tries_left=left, locked=left == 0, wrong_before=wrong)
        told = 0 < info.tries_max <= _MAX_TRIES and info.tries_left <= _MAX_TRIES
        return PinState(
            tries_left=info.tries_left if told else None,
            tries_max=info.tries_max if told else None,
            locked=told and info.tries_left == 0,
            default=info.default,
            wrong_before=wrong,
        )

    # --- using a key

    def _verify_pin(self, application: Application, pin: bytearray) -> None:
        try:
            self._library.verify_pin(application, pin)
        except SkfError as error:
            if error.code != ALREADY_LOGGED_IN:
                raise
            # another program left the lock open: no PIN was verified by this call, and an open login must not replace it
            self._library.clear_secure_state(application)
            self._library.verify_pin(application, pin)

    @contextlib.contextmanager
    def _refused_new_pin(self, application: Application, where: _Key, before: PinState) -> Iterator[None]:
        """Tell a new PIN that is refused from a wrong old one. SAR_PIN_INVALID says either: a wrong one has cost a try.

        A lock that does not tell its tries leaves it open, and it counts as wrong: nobody shall guess by changing.
        """
        try:
            yield
        except SkfError as error:
            if error.code != PIN_INVALID or before.tries_max is None:
                raise
            if (self._pin_state(application, where).tries_left or 0) < (before.tries_left or 0):
                raise
            raise Refusal(Reason.PIN_LENGTH, f"{error}: the new PIN") from error

    @contextlib.contextmanager
    def _one_try(self, application: Application, where: _Key) -> Iterator[None]:
        """Turn a failed try into its refusal, with the tries left also where only GetPINInfo tells them."""
        place = (where.device, where.application)
        try:
            yield
        except SkfError as error:
            if error.reason not in (Reason.PIN_WRONG, Reason.PIN_LOCKED):
                raise
            left = 0 if error.code == PIN_LOCKED else error.tries_left
            if not left and error.code != PIN_LOCKED:  # some libraries write 0 there and count nothing
                now = self._pin_state(application, where)
                if now.tries_max is not None or left is None or error.code == PIN_INVALID:
                    left = now.tries_left
            self._wrong.add(place)
            if left is not None:
                self._reported[place] = left
            reason = Reason.PIN_LOCKED if left == 0 else Reason.PIN_WRONG
            raise Refusal(reason, str(error), {} if left is None else {"tries_left": left}) from error
        self._reported.pop(place, None)
        self._wrong.discard(place)

    @contextlib.contextmanager
    def _operation(self, where: _Key, certificate: bytes) -> Iterator[tuple[Application, Container]]:
        """Open the way to the key of a certificate; at the end clear the PIN state and close all handles, also after an error.

        Raises:
            Refusal: LOCK_REMOVED also when the library has another name for it; LOCKS_ALIKE, two devices have this name;
                LOCK_CHANGED, the container holds another certificate than the one that was shown.
        """
        with self._turn:
            present = self._present()
            if where.device not in present:
                raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")
            if present.count(where.device) > 1:
                raise Refusal(Reason.LOCKS_ALIKE, "the library calls two devices by the same name")
            try:
                with (
                    opening.device(self._library, where.device) as device,
                    opening.application(self._library, device, where.application, used=True) as application,
                    opening.container(self._library, application, where.container) as container,
                ):
                    base.require_same_certificate(self._library.certificate(container, signing=True), certificate)
                    yield application, container
            except SkfError as error:
                if error.reason not in PIN_REASONS and where.device not in self._present():
                    raise Refusal(Reason.LOCK_REMOVED, str(error)) from error
                raise error.refusal() from error
