"""The practice lock's file: tries are spent on disk first, and the key cannot be read without the PIN."""

from __future__ import annotations

from pathlib import Path

import pytest
from agent.driving import PIN, make_lock

from calock.agent.backends import softlock
from calock.agent.backends.soft import SoftBackend
from calock.core.refusals import Reason, Refusal


def refused(lock: softlock.SoftLock, pin: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        softlock.open_key(lock, bytearray(pin.encode()))
    return caught.value


def test_six_wrong_pins_lock_it_for_good(locks: Path) -> None:
    path = make_lock(locks).path
    for left in (5, 4, 3, 2, 1):
        refusal = refused(softlock.read_soft_lock(path), "999999")
        assert (refusal.reason, refusal.facts) == (Reason.PIN_WRONG, {"tries_left": left})
    assert refused(softlock.read_soft_lock(path), "999999").reason is Reason.PIN_LOCKED
    assert refused(softlock.read_soft_lock(path), PIN).reason is Reason.PIN_LOCKED
    assert softlock.read_soft_lock(path).pin.locked


def test_a_try_is_spent_before_the_pin_is_looked_at(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_lock(locks)
    lock = softlock.read_soft_lock(made.path)

    def power_cut(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(softlock, "_kek", power_cut)
    with pytest.raises(KeyboardInterrupt):
        softlock.open_key(lock, bytearray(PIN.encode()))
    assert softlock.read_soft_lock(made.path).tries_left == 5


def test_the_key_is_sealed(locks: Path) -> None:
    made = make_lock(locks, "EC")
    data = made.path.read_bytes()
    assert made.key.private_pkcs8 not in data
    assert PIN.encode() not in data
    assert softlock.open_key(softlock.read_soft_lock(made.path), bytearray(PIN.encode())) == made.key.private_pkcs8


def test_a_lock_whose_file_names_no_cost_opens_and_names_it_once_its_pin_was_changed(locks: Path, monkeypatch) -> None:
    monkeypatch.setattr(softlock, "COST", 16384)
    made = make_lock(locks, "EC")
    monkeypatch.undo()
    made.path.write_bytes(made.path.read_bytes().replace(b'"cost":16384,', b""))
    softlock.set_pin(softlock.read_soft_lock(made.path), bytearray(PIN.encode()), bytearray(b"654321"))
    assert b'"cost":1024,' in made.path.read_bytes()
    assert softlock.open_key(softlock.read_soft_lock(made.path), bytearray(b"654321")) == made.key.private_pkcs8


def test_a_lock_pulled_out_stays_out(locks: Path) -> None:
    made = make_lock(locks)
    lock = softlock.read_soft_lock(made.path)
    softlock.unplug(locks, made.serial)
    assert refused(lock, "999999").reason is Reason.LOCK_REMOVED
    assert not made.path.exists()
    softlock.plug(locks, made.serial)
    assert softlock.read_soft_lock(made.path).tries_left == 6


@pytest.mark.parametrize(
    "damage", [b"", b"x", softlock.MAGIC + b"06\n", softlock.MAGIC + b"xx\n{}", softlock.MAGIC + b"06\n" + b"[" * 70_000]
)
def test_a_damaged_file_is_a_problem_not_a_crash(locks: Path, damage: bytes) -> None:
    make_lock(locks, serial="1")
    make_lock(locks, serial="2").path.write_bytes(damage)
    listing = SoftBackend(locks).list_locks()
    assert len(listing.locks) == 1
    assert [problem.reason for problem in listing.problems] == [Reason.MODULE_FAILED]


def test_a_serial_is_no_path(locks: Path) -> None:
    for serial in ("../x", "a/b", "", "锁"):
        with pytest.raises(ValueError):
            make_lock(locks, serial=serial)
