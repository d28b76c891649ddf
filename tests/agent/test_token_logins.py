"""Logins, sessions and signatures of tokens as vendors make them, played by SoftHSM2 behind a library with habits."""

from __future__ import annotations

import pytest
from agent.driving import PIN, change_pin, listed, until
from agent.softhsm import Shim, SoftHsm, put_lock
from agent.test_service import verify


def test_a_login_of_another_program_stands_in_for_no_pin(begin, hsm: SoftHsm, shim: Shim) -> None:
    put_lock(hsm, "锁")
    driver = begin("loggedin")
    lock = listed(driver)["锁"]["id"]
    verify(driver.authenticate(lock).json)
    shim.habits()
    assert driver.authenticate(lock, pin="999999").reason == "PIN_WRONG"


def test_a_login_that_fails_leaves_no_session_open(begin, hsm: SoftHsm) -> None:
    """A token that has room for one would be gone from the list, and for other programs, until it is plugged in again."""
    put_lock(hsm, "锁")
    driver = begin("onesession")
    [lock] = listed(driver).values()
    assert driver.authenticate(lock["id"], pin="999999").reason == "PIN_WRONG"
    assert listed(driver)
    assert driver.problems() == []
    assert driver.in_window(None, PIN, useLastTry=True).status == 200


def test_a_login_of_before_that_ends_with_the_last_session_keeps_no_signature_back(begin, hsm: SoftHsm) -> None:
    """PKCS #11 logs out with the last session that is closed: there is nothing left to log out of, and the PIN is tried."""
    put_lock(hsm, "锁")
    driver = begin("loggedin=own")
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


def test_a_token_with_room_for_one_session_that_another_program_left_open_signs(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin("onesession", "loggedin")
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


@pytest.mark.parametrize("code", ["101", "5", "30", "54"])
def test_a_logout_that_fails_takes_no_signature_away(begin, hsm: SoftHsm, code: str) -> None:
    """Another program logged out meanwhile, or the library says that it cannot: closing the last session logs out."""
    put_lock(hsm, "锁")
    driver = begin(f"logout={code}")
    lock = listed(driver)["锁"]["id"]
    for _ in range(2):
        verify(driver.authenticate(lock).json)


@pytest.mark.parametrize(
    ("code", "reason"), [("100", "DRIVER_BUSY"), ("104", "DRIVER_BUSY"), ("B1", "DRIVER_BUSY"), ("102", "LOCK_WITHOUT_CERTIFICATE")]
)
def test_what_keeps_a_login_from_being_tried_is_told_as_that(begin, hsm: SoftHsm, shim: Shim, code: str, reason: str) -> None:
    put_lock(hsm, "锁")
    driver = begin()
    lock = listed(driver)["锁"]["id"]
    shim.habits(f"login={code}")
    assert driver.authenticate(lock).reason == reason


@pytest.mark.parametrize(("code", "reason"), [("101", "DRIVER_BUSY"), ("200", "PIN_CANCELLED"), ("B0", "LOCK_REMOVED")])
def test_what_keeps_a_key_from_signing_is_told_as_that(begin, hsm: SoftHsm, shim: Shim, code: str, reason: str) -> None:
    """Another program logged out meanwhile; the person said no on the lock's own button; the session is gone."""
    put_lock(hsm, "锁")
    driver = begin(f"sign={code}")
    lock = listed(driver)["锁"]["id"]
    assert driver.authenticate(lock).reason == reason
    shim.habits()
    verify(driver.authenticate(lock).json)


@pytest.mark.parametrize("code", ["5", "6", "30", "32"])
def test_a_lock_that_is_pulled_out_while_it_signs_is_told_as_that_whichever_code_says_it(begin, hsm: SoftHsm, code: str) -> None:
    put_lock(hsm, "锁")
    driver = begin(f"pulled={code}")
    assert driver.authenticate(listed(driver)["锁"]["id"]).reason == "LOCK_REMOVED"


def test_a_token_whose_pin_is_short_takes_a_new_one_as_long_as_it_can(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁", "1234")
    driver = begin("longestpin=4")
    lock = listed(driver)["锁"]["id"]
    assert change_pin(driver, lock, "1234", "43210").reason == "PIN_LENGTH"
    assert change_pin(driver, lock, "1234", "4321").status == 200


@pytest.mark.parametrize(("code", "reason"), [("B1", "DRIVER_BUSY"), ("30", "MODULE_FAILED"), ("E1", "MODULE_FAILED")])
def test_a_token_that_another_program_keeps_is_told_as_that_in_the_list(
    begin, hsm: SoftHsm, shim: Shim, code: str, reason: str
) -> None:
    put_lock(hsm, "锁")
    driver = begin(f"open={code}")
    assert until(driver.problems, "the problem") == [("libshim.so", reason)]
    shim.habits()
    assert listed(driver)


def test_a_wrong_pin_counts_as_one_whichever_code_says_it(begin, hsm: SoftHsm) -> None:
    """CKR_PIN_INVALID is for new PINs; where it answers a login, a page must not guess on, and no one is told of lengths."""
    put_lock(hsm, "锁")
    driver = begin("login=A1")
    lock = listed(driver)["锁"]["id"]
    assert [driver.authenticate(lock, pin="999999").reason for _ in range(2)] == ["PIN_WRONG", "PIN_WINDOW_ONLY"]


def test_a_token_that_tells_of_no_wrong_pin_is_left_to_the_window_after_one(begin, hsm: SoftHsm) -> None:
    """What is left may be the last two tries, which no page gets: another page than the first is refused as well."""
    put_lock(hsm, "锁")
    driver = begin("silent")
    lock = listed(driver)["锁"]["id"]
    assert driver.authenticate(lock, pin="999999").reason == "PIN_WRONG"
    assert listed(driver)["锁"]["pin"]["reserved"] is True
    assert driver.authenticate(lock).reason == "PIN_WINDOW_ONLY"
    assert driver.in_window(None, PIN, useLastTry=True).status == 200
    assert listed(driver)["锁"]["pin"]["reserved"] is False
    verify(driver.authenticate(lock).json)
