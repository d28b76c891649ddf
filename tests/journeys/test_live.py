"""Plugging a lock in or out changes the open page by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from agent.driving import until
from playwright.sync_api import APIResponse, Locator, Route, expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of


@pytest.mark.parametrize(("site", "name", "owner"), [("shanxi", "rsa", "cssbjgys02"), ("zcy", "zcy-p256", "yuhaiqin")])
def test_the_login_page_and_the_dialog_follow_the_lock(person: Person, site: str, name: str, owner: str) -> None:
    person.site = site
    tail = f"尾号 {tail_of(person.platform, name)}"
    panel = person.open_ca_login()
    cards = panel.locator("[data-locks] label", has_text=tail)
    expect(cards).to_have_count(1)
    person.platform.plug(name, plugged=False)
    expect(cards).to_have_count(0)
    person.platform.plug(name)
    expect(cards).to_have_count(1)
    person.enter(owner)
    dialog = person.open_bind_dialog()
    cards = dialog.locator("[data-locks] label", has_text=tail)
    expect(cards).to_have_count(1)
    expect(dialog.locator("[aria-current=step]")).to_have_count(1)  # what a screen reader calls the current step
    person.platform.plug(name, plugged=False)
    expect(cards).to_have_count(0)
    person.platform.plug(name)
    expect(cards).to_have_count(1)


@pytest.mark.parametrize("width", [32, 64])
def test_a_lock_behind_a_vendor_library_is_followed_too(person: Person, width: Literal[32, 64]) -> None:
    name = f"skf{width}-sm2"
    panel = person.open_ca_login()
    cards = panel.locator("[data-locks] label", has_text=f"尾号 {person.platform.hard[name].tail}")
    expect(cards).to_have_count(1)
    person.platform.skf[width].unplug(name)
    expect(cards).to_have_count(0)
    person.platform.skf[width].plug(name)
    expect(cards).to_have_count(1)


LOCK = "revoked"
"""No journey binds it: the server's refusal tells that its PIN was right."""


def choose(person: Person) -> tuple[Locator, Locator, Locator]:
    """The login's panel with ``LOCK`` chosen by the person, its card, and the field of the PIN."""
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, LOCK))
    card = panel.locator("[data-locks] label", has_text=f"尾号 {tail_of(person.platform, LOCK)}")
    return panel, card, panel.locator("[data-pin]")


def test_a_refusal_is_not_gone_unread_when_its_lock_is_away_for_a_moment(person: Person) -> None:
    panel, card, pin = choose(person)
    pin.fill(lock(LOCK).pin)
    panel.locator("[data-ca-submit]").click()
    shown = person.expect_refused("吊销")
    person.platform.plug(LOCK, plugged=False)
    expect(card).to_have_count(0)
    person.platform.plug(LOCK)
    expect(card).to_have_count(1)
    assert shown.is_visible()


def test_a_refusal_is_about_the_lock_that_was_used_though_it_is_away_when_it_comes(person: Person) -> None:
    panel, card, pin = choose(person)
    held: list[Route] = []
    person.page.route("**/api/login", lambda route: held.append(route))  # noqa: PLW0108 - a built-in cannot be wrapped
    pin.fill(lock(LOCK).pin)
    with person.page.expect_request("**/api/login"):
        panel.locator("[data-ca-submit]").click()
    person.platform.plug(LOCK, plugged=False)
    try:
        expect(card).to_have_count(0)
        held[0].continue_()
        shown = person.expect_refused("吊销")
    finally:
        person.platform.plug(LOCK)
    expect(card.locator("input")).to_be_checked()
    assert shown.is_visible()


def test_a_pin_is_typed_to_its_end_though_the_lock_is_away_for_a_moment(person: Person) -> None:
    """The list has one other lock meanwhile, which the page would offer: the rest of the PIN would cost that lock a try."""
    other = tail_of(person.platform, "p256")

    def without(route: Route) -> None:
        answer = route.fetch()
        listed = answer.json()
        listed["locks"] = [one for one in listed["locks"] if one["deviceSerial"].endswith(other)]
        route.fulfill(response=answer, json=listed)

    person.page.clock.install()
    panel, card, pin = choose(person)
    secret = lock(LOCK).pin
    pin.press_sequentially(secret[:2])
    person.page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))  # it is a moment however long this takes
    person.page.route("**/v1/locks", without)
    try:
        person.platform.plug("rsa", plugged=False)
        expect(card).to_have_count(0)
        expect(panel.locator("[data-locks] label", has_text=f"尾号 {other}")).to_have_count(1)
        person.page.keyboard.type(secret[2:4])
    finally:
        person.page.unroute("**/v1/locks")
        person.platform.plug("rsa")
    expect(card.locator("input")).to_be_checked()
    person.page.keyboard.type(secret[4:])
    person.page.keyboard.press("Enter")
    person.expect_refused("吊销")


def test_a_lock_that_is_being_pressed_is_chosen_though_the_list_is_read_anew(person: Person) -> None:
    page, answers = person.page, list[APIResponse]()

    def unchanged(route: Route) -> None:
        if not answers:
            answers.append(route.fetch())
        route.fulfill(response=answers[0])

    page.route("**/v1/locks", unchanged)
    card = person.open_ca_login().locator("[data-locks] label", has_text=f"尾号 {tail_of(person.platform, 'rsa')}")
    card.hover()
    page.mouse.down()
    try:
        with page.expect_response("**/v1/locks"):
            person.platform.plug("zcy-rsa")
        page.evaluate("new Promise((done) => setTimeout(done))")
        page.mouse.up()
        expect(card.locator("input")).to_be_checked()
    finally:
        person.platform.plug("zcy-rsa", plugged=False)


def test_a_pin_does_not_stay_on_a_page_whose_lock_is_gone(person: Person) -> None:
    person.page.clock.install()
    _, card, pin = choose(person)
    secret = lock(LOCK).pin
    pin.press_sequentially(secret[:2])
    person.page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    person.platform.plug(LOCK, plugged=False)
    try:
        expect(card).to_have_count(0)
        person.page.clock.run_for(4500)
        pin.press_sequentially(secret[2:])  # whoever is typing goes on
        person.page.clock.run_for(4500)
        expect(pin).to_have_value(secret)
        person.page.clock.run_for(500)
        expect(pin).to_have_value("")
    finally:
        person.platform.plug(LOCK)


def test_a_complaint_about_no_lock_goes_though_it_came_just_before_the_lock(person: Person) -> None:
    """The page asks for the list when it has refused: where a lock is in that one, no other list will come."""
    held: list[Route] = []
    person.page.route("**/v1/locks", lambda route: route.fulfill(json={"locks": [], "problems": []}))
    panel = person.open_ca_login()
    person.page.route("**/v1/locks", lambda route: held.append(route))  # noqa: PLW0108 - a built-in cannot be wrapped
    panel.locator("[data-ca-submit]").click()
    expect(panel.locator("[data-problem] [data-reason=LOCK_ABSENT]")).to_be_visible()
    until(lambda: person.page.title() and held, "the list that is asked for after the refusal")
    person.page.unroute("**/v1/locks")  # which lets it go on
    expect(panel.locator("[data-locks] label")).not_to_have_count(0)
    expect(panel.locator("[data-problem]")).to_be_empty()


def test_a_complaint_that_no_lock_is_chosen_goes_when_one_is(person: Person) -> None:
    panel = person.open_ca_login()
    panel.locator("[data-ca-submit]").click()
    person.expect_refused("请选择")
    person.choose_lock(panel, tail_of(person.platform, LOCK))
    expect(panel.locator("[data-problem]")).to_be_empty()


PRESS = """(panel) => {
  const [strip, button, problem] = ["device", "ca-submit", "problem"].map((part) => panel.querySelector(`[data-${part}]`));
  new MutationObserver((_, watch) => {
    if (strip.dataset.state !== "searching") return;
    watch.disconnect();
    button.click();
    setTimeout(() => { panel.dataset.refused = problem.querySelector("[data-reason]").dataset.reason; });
  }).observe(strip, { attributes: true });
}"""
"""Press the button while the page looks for its driver, and note what is said."""


def test_a_complaint_that_the_driver_does_not_answer_goes_when_it_does(person: Person) -> None:
    """Meanwhile its last list stands there: what is said is about no lock of it."""
    panel, card, _ = choose(person)
    panel.evaluate(PRESS)
    person.platform.stop_driver()
    try:
        expect(panel).to_have_attribute("data-refused", "DRIVER_STOPPED")
    finally:
        person.platform.start_driver()
    expect(card.locator("input")).to_be_checked()
    expect(panel.locator("[data-problem]")).to_be_empty()
