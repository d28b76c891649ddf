"""The cookie that says who logged in in a browser before: it cannot be made up, and it names nobody."""

from __future__ import annotations

import uuid

import pytest

from calock.server.sessions.known_browsers import MOST, UNKNOWN, KnownBrowser

ONE, OTHER = uuid.uuid4(), uuid.uuid4()


def test_a_browser_knows_who_logged_in_there_and_nobody_else():
    read = KnownBrowser.parse(str(UNKNOWN.with_account(ONE)))
    assert read.is_known()
    assert read.knows(ONE)
    assert not read.knows(OTHER)
    assert str(ONE) not in str(read)
    assert read.with_account(OTHER).id == read.id
    assert read.with_account(OTHER).knows(ONE)
    assert not UNKNOWN.is_known()


def test_it_keeps_the_accounts_that_logged_in_last():
    accounts = [uuid.uuid4() for _ in range(MOST + 2)]
    browser = UNKNOWN
    for account in [*accounts, accounts[2]]:
        browser = KnownBrowser.parse(str(browser.with_account(account)))
    assert [browser.knows(account) for account in accounts] == [False, False, *[True] * MOST]


def test_marks_of_one_browser_are_worth_nothing_in_another():
    mine, theirs = UNKNOWN.with_account(ONE), UNKNOWN.with_account(OTHER)
    mixed = KnownBrowser(theirs.id, (theirs.marks[0], mine.marks[1]))
    assert mixed.is_known()
    assert not mixed.knows(ONE)
    assert not KnownBrowser(theirs.id, mine.marks).is_known()


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1], lambda text: "A" * 22 + text[22:], lambda text: text + ":" + "0" * 64 * 9]
)
def test_what_was_changed_is_no_known_browser(change):
    assert not KnownBrowser.parse(change(str(UNKNOWN.with_account(ONE)))).knows(ONE)


@pytest.mark.parametrize(
    "text", ["", ".", "x", "a" * 22, "é" * 90, "a" * 22 + ":" + "锁" * 64, "a" * 4000, "a" * 22 + ":\n" + "0" * 63]
)
def test_malformed_cookies_are_unknown_browsers(text):
    browser = KnownBrowser.parse(text)
    assert not browser.is_known()
    assert not browser.knows(ONE)
