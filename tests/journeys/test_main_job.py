"""Bind a lock, log in with it, unbind it: on both sites, with every kind of lock and every kind of key."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of

SOFT = [
    ("shanxi", "cssbjgys02", "sm2"),
    ("shanxi", "cssbjgys02", "rsa"),
    ("shanxi", "cssbjgys02", "p256"),
    ("zcy", "yuhaiqin", "zcy-sm2"),
    ("zcy", "yuhaiqin", "zcy-p256"),
    ("zcy", "yuhaiqin", "zcy-rsa"),
]
HARD = ["hsm-rsa", "hsm-p256", "skf32-sm2", "skf32-rsa", "skf32-zcy", "skf64-sm2", "skf64-rsa", "skf64-zcy"]


def bind_login_unbind(person: Person, *, owner: str, tail: str, pin: str) -> None:
    person.unbind_all(owner)  # what journeys before left bound, or the page asks which of the holder's locks this one is
    person.bind(tail, pin, here=True)
    row = person.expect_bound()
    expect(row).to_contain_text(tail)
    person.log_out()
    person.ca_login(tail, pin)
    person.expect_inside()
    person.log_out()
    person.enter(owner)
    person.go("/system/ca/")
    person.unbind(person.page.locator("[data-list] tbody tr", has_text=tail))
    expect(person.page.locator("[data-end-dialog]")).to_be_hidden()
    expect(person.page.locator("[data-list] tbody tr", has_text=tail)).to_have_count(0)


@pytest.mark.parametrize(("site", "owner", "name"), SOFT, ids=[name for _, _, name in SOFT])
def test_a_practice_lock(person: Person, site: str, owner: str, name: str) -> None:
    person.site = site
    person.platform.plug(name)
    tail, pin = tail_of(person.platform, name), lock(name).pin
    person.log_in(owner)
    bind_login_unbind(person, owner=owner, tail=tail, pin=pin)
    person.log_out()
    person.ca_login(tail, pin)
    person.expect_refused("该 CA 锁尚未绑定账户")


@pytest.mark.parametrize("name", HARD)
def test_a_lock_behind_a_vendor_library(person: Person, name: str) -> None:
    hard = person.platform.hard[name]
    person.site = hard.site
    person.enter(hard.owner)
    bind_login_unbind(person, owner=hard.owner, tail=hard.tail, pin=hard.pin)
