"""A firm has several locks: one more is bound beside the first, or takes its place; the page asks and says what each does."""

from __future__ import annotations

from journeys.people import Person, tail_of
from playwright.sync_api import Locator, expect

from calock.demo.keyring import lock


def asked(person: Person, owner: str, first: str, second: str) -> Locator:
    """The dialog after the owner bound the first lock and brought the second one."""
    person.platform.plug(first)
    person.platform.plug(second)
    person.log_in(owner)
    person.bind(tail_of(person.platform, first), lock(first).pin)
    person.expect_bound()
    person.bind(tail_of(person.platform, second), lock(second).pin)
    dialog = person.page.locator("[data-bind]")
    expect(dialog.get_by_role("group", name="这把锁是")).to_contain_text(f"尾号 {tail_of(person.platform, first)}")
    expect(dialog.locator("[data-bind-fields]")).to_be_hidden()
    return dialog


def unbind_all(person: Person, *tails: str) -> None:
    for tail in tails:
        row = person.page.locator("[data-list] tbody tr").filter(has_text=tail)
        person.unbind(row)
        expect(row).to_have_count(0)


def test_a_firms_second_lock_is_bound_beside_the_first(person: Person) -> None:
    person.site = "zcy"
    dialog = asked(person, "yuhaiqin", "zcy-sm2", "zcy-p256")
    person.picture("binding-question")
    confirm = dialog.locator("[data-bind-submit]")
    confirm.click()
    expect(dialog.get_by_role("alert")).to_contain_text("请选择这把锁是哪一种")
    dialog.get_by_label("作为另一把锁绑定").check()
    confirm.click()
    tails = [tail_of(person.platform, name) for name in ("zcy-sm2", "zcy-p256")]
    expect(person.expect_bound()).to_contain_text(tails[1])
    unbind_all(person, *tails)


def test_a_firms_second_lock_takes_the_firsts_place(person: Person) -> None:
    dialog = asked(person, "cssbjgys02", "sm2", "p256")
    person.picture("binding-question")
    dialog.get_by_label("替换原锁").check()
    dialog.locator("[data-bind-submit]").click()
    old, new = (tail_of(person.platform, name) for name in ("sm2", "p256"))
    expect(person.expect_bound()).to_contain_text(new)
    expect(person.page.locator("[data-list] tbody tr").filter(has_text=old)).to_have_count(0)
    person.log_out()
    person.ca_login(old, lock("sm2").pin)
    person.expect_refused("该 CA 锁尚未绑定账户")
    person.ca_login(new, lock("p256").pin)
    person.expect_inside()
    person.go("/system/ca/")
    unbind_all(person, new)
