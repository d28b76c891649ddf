"""A worker whose vendor library misbehaves as the file ``fault`` in its directory says: what the driver must survive.

It is a practice-lock backend with faults around it. ``fault_driver.py`` runs a driver with it.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

from calock.agent import pipe, worker
from calock.agent.backends import watchdog
from calock.agent.backends.base import Consent, Listing, LockRecord, PinState
from calock.agent.backends.soft import SoftBackend
from calock.agent.signing import SigningInput
from calock.core.refusals import Reason, Refusal


class FaultBackend:
    def __init__(self, directory: Path) -> None:
        self._inner = SoftBackend(directory)
        self._directory = directory
        if self._fault() == "does not load":
            raise Refusal(Reason.MODULE_MISSING, "module file is missing")

    def _fault(self) -> str:
        path = self._directory / "fault"
        return path.read_text().strip() if path.exists() else ""

    def _misbehave(self, call: str) -> str:
        name, _, where = self._fault().partition(" in ")
        if where != call:
            return ""
        if name == "hang":
            time.sleep(3600)
        if name == "segfault":
            ctypes.string_at(0)
        if name == "exit":
            os._exit(3)
        if name == "raise":
            raise RuntimeError("PIN 012345 of 张三 was wrong")
        if name == "print garbage":
            os.write(1, b"\xff" * 5000)
        if name == "slow":
            (self._directory / f"{call}ing").touch()
            while not (self._directory / "go").exists():
                time.sleep(0.01)
        return name

    def list_locks(self) -> Listing:
        name = self._misbehave("list")
        listing = self._inner.list_locks()
        if name == "many":
            return Listing(locks=listing.locks * 500)
        if name == "huge":
            return Listing(locks=(LockRecord(
                key="k", device="d", certificate=bytes(8_000_000), serial="s" * 1000, label="", manufacturer="", pin=PinState(),
            ),))  # fmt: skip
        if name == "long texts":
            return Listing(locks=tuple(
                LockRecord(key=lock.key, device=lock.device, certificate=lock.certificate, serial="9" * 50_000,
                           label="\u202e\x1b[31m" * 1000, manufacturer="m" * 50_000, pin=PinState(tries_left=-5, tries_max=2**40))
                for lock in listing.locks))  # fmt: skip
        return listing

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, consent: Consent) -> bytes:
        name = self._misbehave("sign")
        if name == "pulled out":
            for path in (self._directory / "plugged").iterdir():
                path.unlink()
        signature = self._inner.sign(key, certificate=certificate, pin=pin, signing_input=signing_input, consent=consent)
        return {
            "wrong signature": bytes([signature[0] ^ 1]) + signature[1:],
            "short signature": signature[:-1],
            "long signature": signature * 1000,
            "empty signature": b"",
        }.get(name, signature)

    def change_pin(self, key: str, *, certificate: bytes, old: bytearray, new: bytearray, consent: Consent) -> None:
        name = self._misbehave("change")
        self._inner.change_pin(key, certificate=certificate, old=old, new=new, consent=consent)
        if name == "slow list":
            (self._directory / "fault").write_text("slow in list")

    def reveal(self, device: str, *, pin: bytearray, consent: Consent) -> None:
        self._inner.reveal(device, pin=pin, consent=consent)

    def fingerprint(self) -> str:
        self._misbehave("poll")
        return self._inner.fingerprint()

    def watch(self, notify: Callable[[], None]) -> bool:
        return self._inner.watch(notify)

    def close(self) -> None:
        return


def open_fault(start: pipe.Start) -> FaultBackend:
    return FaultBackend(Path(start.path))


def main() -> int:
    watchdog.LOOK_SECONDS = 4.0
    return worker.serve(open_fault)
