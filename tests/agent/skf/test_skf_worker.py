"""A SKF library inside the driver's worker process: plug events, hangs and crashes, two libraries at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent.soft_skf import CHALLENGE, ORIGIN, PIN, Pair, SoftSkf, Width, to_sign_for

from calock.agent import pipe, signing
from calock.agent.backends.base import LockRecord
from calock.agent.modules import Module
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

DEADLINE = 30.0
SHORT = 0.05
"""Patience with a worker that hangs on purpose; starting one always gets the usual time."""


class Watched:
    """A module with a note of its change reports."""

    def __init__(self, path: Path) -> None:
        self.moved = asyncio.Event()
        self.module = Module("skf", str(path), changed=self.moved.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.moved.clear()
                if not condition():
                    await self.moved.wait()

    async def list_after_restart(self) -> tuple[LockRecord, ...]:
        """Locks as soon as the module runs again: it starts itself."""
        await self.until(lambda: self.module.running)
        return (await self.module.list_locks()).locks

    async def sign(self, record: LockRecord, pin: str = PIN) -> bytes:
        signature = await self.module.authenticate(
            pipe.Authenticate(
                id=self.module.next_id(), key=record.key, certificate=record.certificate, origin=ORIGIN, challenge=CHALLENGE,
                pin=bytearray(pin.encode()), consent="window",
            )
        )  # fmt: skip
        signing.require_good_signature(Certificate.parse(record.certificate), to_sign_for(record.certificate), signature)
        return signature


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Watched]:
    watched = Watched(path)
    await watched.module.start()
    try:
        yield watched
    finally:
        await watched.module.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("algorithm", ["SM2", "RSA"])
def test_login_signature_through_the_worker(ports: SoftSkf, library_path: Path, pairs: dict[str, Pair], algorithm: str) -> None:
    ports.add("key0", {"c": (pairs[algorithm], None)})

    async def scenario() -> None:
        async with running(library_path) as watched:
            (record,) = (await watched.module.list_locks()).locks
            await watched.sign(record)
            with pytest.raises(Refusal) as refused:
                await watched.sign(record, "999999")
            assert (refused.value.reason, refused.value.facts["tries_left"]) == (Reason.PIN_WRONG, 5)

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [None, "fail=0A000003", "immediate"])
def test_plug_and_unplug_are_noticed(ports: SoftSkf, library_path: Path, pairs: dict[str, Pair], fault: str | None) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, plugged=False)
    if fault:
        ports.fault(f"WaitForDevEvent {fault}")

    async def scenario() -> None:
        async with running(library_path) as watched:
            assert (await watched.module.list_locks()).locks == ()  # as the driver does first; changes count from here
            for plugged in (True, False, True):
                watched.moved.clear()
                (ports.plug if plugged else ports.unplug)("key0")
                async with asyncio.timeout(DEADLINE):
                    await watched.moved.wait()
                assert len((await watched.module.list_locks()).locks) == int(plugged)

    asyncio.run(scenario())


def test_a_lock_pulled_out_and_put_back_between_two_looks_is_noticed(
    ports: SoftSkf, library_path: Path, pairs: dict[str, Pair]
) -> None:
    """A page that asked meanwhile was told that it is gone."""
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault("WaitForDevEvent fail=0A000003")

    async def scenario() -> None:
        async with running(library_path) as watched:
            assert len((await watched.module.list_locks()).locks) == 1
            ports.unplug("key0")
            assert (await watched.module.list_locks()).locks == ()
            watched.moved.clear()
            ports.plug("key0")
            async with asyncio.timeout(DEADLINE):
                await watched.moved.wait()
            assert len((await watched.module.list_locks()).locks) == 1

    asyncio.run(scenario())


def reason_of(fault: str) -> Reason:
    return Reason.MODULE_NOT_ANSWERING if fault == "hang" else Reason.MODULE_CRASHED


def patience_for(fault: str) -> float:
    """A crash needs as long as it needs; only a hang is waited out."""
    return SHORT if fault == "hang" else 1.0


@pytest.mark.parametrize("function", ["EnumDev", "GetDevInfo", "ExportCertificate", "GetPINInfo"])
@pytest.mark.parametrize("fault", ["hang", "crash", "abort"])
def test_hang_or_crash_while_listing_is_one_message_and_a_restart(
    ports: SoftSkf, skf_libraries: dict[Width, Path], pairs: dict[str, Pair], function: str, fault: str
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})

    async def scenario() -> None:
        async with running(skf_libraries[32]) as watched:
            pid = watched.module.pid
            assert pid is not None
            ports.fault(f"{function} {fault}")
            watched.module._patience = patience_for(fault)
            with pytest.raises(Refusal) as refused:
                await watched.module.list_locks()
            assert refused.value.reason is reason_of(fault)
            assert not alive(pid)
            ports.fault()
            watched.module._patience = 1.0
            (record,) = await watched.list_after_restart()
            await watched.sign(record)

    asyncio.run(scenario())


@pytest.mark.parametrize("function", ["VerifyPIN", "ECCSignData", "ClearSecureState"])
@pytest.mark.parametrize("fault", ["hang", "crash"])
def test_hang_or_crash_while_signing_is_one_message_and_a_restart(
    ports: SoftSkf, skf_libraries: dict[Width, Path], pairs: dict[str, Pair], function: str, fault: str
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})

    async def scenario() -> None:
        async with running(skf_libraries[64]) as watched:
            (record,) = (await watched.module.list_locks()).locks
            ports.fault(f"{function} {fault}")
            watched.module._patience = patience_for(fault)
            with pytest.raises(Refusal) as refused:
                await watched.sign(record)
            assert refused.value.reason is reason_of(fault)
            ports.fault()
            watched.module._patience = 1.0
            (record,) = await watched.list_after_restart()
            await watched.sign(record)

    asyncio.run(scenario())


def test_hanging_library_does_not_hold_up_another_vendors(
    ports: SoftSkf, skf_libraries: dict[Width, Path], pairs: dict[str, Pair]
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})

    async def scenario() -> None:
        async with running(skf_libraries[32]) as slow, running(skf_libraries[64]) as good:
            (record,) = (await good.module.list_locks()).locks
            ports.fault("GetDevInfo hang")
            stuck = asyncio.create_task(slow.module.list_locks())
            await asyncio.sleep(0)
            await good.sign(record)  # needs no GetDevInfo
            assert not stuck.done()
            slow.module._patience = 0.0
            stuck.cancel()
            await asyncio.gather(stuck, return_exceptions=True)

    asyncio.run(scenario())


def test_driver_that_goes_away_takes_a_hanging_worker_along(
    ports: SoftSkf, skf_libraries: dict[Width, Path], pairs: dict[str, Pair]
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})

    async def scenario() -> None:
        watched = Watched(skf_libraries[32])
        await watched.module.start()
        pid = watched.module.pid
        assert pid is not None
        ports.fault("EnumDev hang")
        watched.module._patience = SHORT
        stuck = asyncio.create_task(watched.module.list_locks())
        await asyncio.sleep(0)
        await watched.module.close()
        assert not alive(pid)
        with pytest.raises(Refusal):
            await stuck

    asyncio.run(scenario())


def test_library_that_cannot_be_loaded_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path / "libnone.so") as watched:
            with pytest.raises(Refusal, match="module file is missing") as refused:
                await watched.module.list_locks()
            assert refused.value.reason is Reason.MODULE_MISSING

    asyncio.run(scenario())
