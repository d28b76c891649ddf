"""An organisation's code written in another way is still that organisation's."""

from __future__ import annotations

import pytest
from worlds.browser import logged_in, refusal_row
from worlds.practice import make_lock
from worlds.rows import OTHER_USCC, USCC

from calock.server.locks.models import Lock

pytestmark = pytest.mark.django_db

WRITTEN = {
    "lower case": str.lower,
    "full width": lambda code: "".join(chr(ord(letter) + 0xFEE0) for letter in code),
    "with hyphens": lambda code: f"{code[:8]}-{code[8:]}",
    "with blanks": lambda code: f"{code[:2]} {code[2:8]} {code[8:]}",
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_another_organisations_lock_is_not_bound(lock_world, write):
    refusal_row(
        logged_in(lock_world.member).bind(make_lock("EC", uscc=write(OTHER_USCC)), lock_world.member), "HOLDER_NOT_ORGANISATION"
    )
    assert not Lock.objects.exists()


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN)
def test_the_own_organisations_lock_is(lock_world, write):
    assert logged_in(lock_world.member).bind(make_lock("EC", uscc=write(USCC)), lock_world.member).status_code == 200


def test_what_looks_like_a_code_and_is_none_is_refused(lock_world):
    wrong = OTHER_USCC[:-1] + ("0" if OTHER_USCC[-1] != "0" else "1")
    refusal_row(logged_in(lock_world.member).bind(make_lock("EC", uscc=wrong.lower()), lock_world.member), "HOLDER_ID_INVALID")
