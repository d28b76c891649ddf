"""Places for checks of passwords: a flood of wrong ones is slow, a right one is not slowed by those before it."""

from __future__ import annotations

import pytest

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.places import REST, Places

SECONDS = 0.5
"""What one check takes here."""


class Clock:
    """A clock that moves when somebody sleeps, or works."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += seconds


def check(places: Places, clock: Clock, *, wrong: bool) -> float:
    """Seconds from asking for a place to the answer."""
    asked = clock.time
    with places.one() as one:
        clock.pass_by(SECONDS)
        one.was_wrong = wrong
    return clock.time - asked


def test_wrong_passwords_get_a_fifth_of_the_time():
    clock = Clock()
    places = Places(1, 0, now=clock.now, sleep=clock.pass_by)
    took = [check(places, clock, wrong=True) for _ in range(20)]
    assert took == [SECONDS] + [SECONDS * (1 + REST)] * 19


def test_while_one_place_rests_right_passwords_take_another():
    clock = Clock()
    places = Places(2, 0, now=clock.now, sleep=clock.pass_by)
    check(places, clock, wrong=True)
    assert [check(places, clock, wrong=False) for _ in range(3)] == [SECONDS] * 3


def test_a_check_that_fails_gives_its_place_back():
    places = Places(1, 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), places.one():
            raise ZeroDivisionError
    with places.one(), pytest.raises(Refusal) as refusal, places.one():
        raise AssertionError
    assert refusal.value.reason == Reason.SERVER_BUSY
