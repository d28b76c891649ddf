"""Vendor libraries that hang, crash and lie: one clear message, never the driver."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import pytest
from agent.driving import PIN, Events, make_lock, until

from calock.agent import pipe
from calock.agent.backends.softlock import plug, unplug
from calock.agent.modules import Module
from calock.agent.pin_policy import WRONG_IN_A_ROW, WrongPins
from calock.core.refusals import Reason, Refusal


@pytest.fixture
def two_vendors(start, tmp_path: Path):
    """A driver with two modules; returns it and the directory of the one that will misbehave."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    make_lock(good, "SM2", serial="1111")
    make_lock(bad, "EC", serial="2222")
    driver = start(soft_dir=good, faulty=True, options=["--pkcs11", str(bad)])
    until(lambda: len(driver.locks()) == 2, "both modules to run")
    return driver, bad


def reason_of(fault: str) -> str:
    return "MODULE_NOT_ANSWERING" if fault == "hang" else "MODULE_CRASHED"


def of(driver, module: str) -> list[dict]:
    return [lock for lock in driver.locks() if lock["module"] == module]


@pytest.mark.parametrize("fault", ["hang", "segfault", "exit", "print garbage"])
@pytest.mark.parametrize("call", ["sign", "list"])
def test_one_vendors_fault_costs_one_message_and_no_other_lock(two_vendors, fault: str, call: str) -> None:
    driver, bad = two_vendors
    lock = of(driver, "bad")[0]["id"]
    (bad / "fault").write_text(f"{fault} in {call}")
    if call == "sign":
        reply = driver.authenticate(lock)
        assert fault == "print garbage" or (reply.status, reply.reason) == (502, reason_of(fault))
    elif fault != "print garbage":
        assert driver.problems() == [("bad", reason_of(fault))]
    assert driver.authenticate(of(driver, "good")[0]["id"]).status == 200
    (bad / "fault").unlink()
    again = until(lambda: of(driver, "bad"), "the module to come back")
    assert driver.authenticate(again[0]["id"]).status == 200
    assert driver.problems() == []


def test_a_crash_between_two_calls_is_noticed_and_told(two_vendors) -> None:
    driver, bad = two_vendors
    with Events(driver.port) as events:
        events.next()
        (bad / "fault").write_text("exit in poll")
        noticed = events.next()
        (bad / "fault").unlink()
        assert events.next()["revision"] > noticed["revision"]
    until(lambda: of(driver, "bad"), "the module to come back")
    states = {module["module"]: module for module in driver.call("/v1/diagnosis").json["modules"]}
    assert states["bad"]["restarts"] >= 1
    assert states["good"]["restarts"] == 0


def test_a_lock_pulled_out_and_put_back_between_two_looks_is_noticed(tmp_path: Path) -> None:
    """A page that asked meanwhile was told that it is gone: it must hear that the lock is back."""
    make_lock(tmp_path, serial="1111")

    async def scenario() -> None:
        moved = asyncio.Event()
        module = Module("soft", str(tmp_path), changed=moved.set)
        await module.start()
        try:
            assert len((await module.list_locks()).locks) == 1
            unplug(tmp_path, "1111")
            assert (await module.list_locks()).locks == ()
            moved.clear()
            plug(tmp_path, "1111")
            async with asyncio.timeout(30):
                await moved.wait()
            assert len((await module.list_locks()).locks) == 1
        finally:
            await module.close()

    asyncio.run(scenario())


def test_what_a_library_says_when_it_fails_is_not_passed_on(two_vendors) -> None:
    driver, bad = two_vendors
    (bad / "fault").write_text("raise in sign")
    reply = driver.authenticate(of(driver, "bad")[0]["id"])
    assert reply.reason == "MODULE_FAILED"
    assert PIN not in reply.body.decode() + driver.log
    assert "张三" not in reply.body.decode() + driver.log


@pytest.mark.parametrize("fault", ["wrong signature", "short signature", "long signature", "empty signature"])
def test_a_wrong_signature_never_leaves_the_driver(two_vendors, fault: str) -> None:
    driver, bad = two_vendors
    (bad / "fault").write_text(f"{fault} in sign")
    reply = driver.authenticate(of(driver, "bad")[0]["id"])
    assert (reply.status, reply.reason) == (502, "LOCK_SIGNATURE_WRONG")


def test_a_lock_pulled_out_between_pin_and_signature(two_vendors) -> None:
    driver, bad = two_vendors
    (bad / "fault").write_text("pulled out in sign")
    reply = driver.authenticate(of(driver, "bad")[0]["id"])
    assert (reply.status, reply.reason) == (409, "LOCK_REMOVED")
    until(lambda: not of(driver, "bad"), "the lock to leave the list")


@pytest.mark.parametrize(("fault", "shown"), [("many", 1), ("huge", 0), ("long texts", 1)])
def test_lists_without_bounds_stay_bounded(two_vendors, fault: str, shown: int) -> None:
    driver, bad = two_vendors
    (bad / "fault").write_text(f"{fault} in list")
    reply = driver.call("/v1/locks")
    assert len(reply.body) < 100_000
    mine = [lock for lock in reply.json["locks"] if lock["module"] == "bad"]
    assert bool(mine) is bool(shown)
    assert all(len(str(lock)) < 2000 for lock in mine)
    assert of(driver, "good")


def test_a_module_that_does_not_load_is_named_and_the_others_work(start, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    make_lock(good, "SM2")
    bad.mkdir()
    (bad / "fault").write_text("does not load")
    driver = start(soft_dir=good, faulty=True, options=["--pkcs11", str(bad)])
    reply = until(lambda: (r := driver.call("/v1/locks").json)["problems"] and r["locks"] and r, "both to be known")
    assert [(problem["module"], problem["reason"]) for problem in reply["problems"]] == [("bad", "MODULE_MISSING")]
    assert driver.authenticate().status == 200


def test_workers_end_with_the_driver_even_when_they_hang(two_vendors) -> None:
    driver, bad = two_vendors
    children = [int(pid) for pid in Path(f"/proc/{driver.process.pid}/task/{driver.process.pid}/children").read_text().split()]
    assert len(children) >= 2
    (bad / "fault").write_text("hang in poll")
    driver.process.kill()  # no farewell
    driver.process.wait()
    until(lambda: not any(_alive(pid) for pid in children), "the workers to end")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process can be read on Linux only")
def test_b11_a_crash_writes_no_memory_with_a_pin_to_the_disk(two_vendors) -> None:
    driver, _ = two_vendors
    children = Path(f"/proc/{driver.process.pid}/task/{driver.process.pid}/children").read_text().split()
    assert len(children) >= 2
    assert {resource.prlimit(int(pid), resource.RLIMIT_CORE) for pid in (driver.process.pid, *children)} == {(0, 0)}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_module_that_does_not_start_costs_a_page_no_tries() -> None:
    """Nothing was tried: the page's next PIN is taken as before, by the module's next start."""

    async def scenario() -> None:
        wrong = WrongPins()
        for _ in range(WRONG_IN_A_ROW):
            module = Module("soft", "/nowhere", changed=lambda: None, command=[sys.executable, "-c", ""])
            request = pipe.Reveal(id=module.next_id(), device="d", pin=bytearray(b"135790"), consent="page")
            with pytest.raises(Refusal) as refused:
                await module.reveal(request)
            await module.close()
            assert refused.value.reason is Reason.MODULE_CRASHED
            wrong.note_failed("https://a.example", refused.value)
        assert not wrong.window_only("https://a.example")

    asyncio.run(scenario())
