"""The database takes no row for a while: the page says so, goes on by itself, and the person is let in without a second PIN."""

from __future__ import annotations

import re
import sqlite3

import pytest
from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of

OUTAGE = 40_000
"""Milliseconds within which the server gives up a statement, and the page asks again."""


@pytest.fixture
def stuck_database(person: Person):
    """Somebody else holds SQLite's one write lock; ``release`` ends it."""
    connection = sqlite3.connect(person.platform.place.root / "calock.sqlite3", isolation_level=None)
    yield connection
    connection.close()


def test_a_login_waits_for_the_database_by_itself(person: Person, stuck_database: sqlite3.Connection) -> None:
    person.platform.plug("sm2")
    person.enter("cssbjgys02")
    person.bind(tail_of(person.platform, "sm2"), lock("sm2").pin)
    person.expect_bound()
    person.log_out()
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "sm2"))
    panel.locator("[data-pin]").fill(lock("sm2").pin)
    requests = person.note_requests()
    stuck_database.execute("BEGIN IMMEDIATE")
    panel.locator("[data-ca-submit]").click()
    problem = panel.locator("[data-problem]")
    expect(problem).to_contain_text("系统维护中，请稍后再试", timeout=OUTAGE)
    expect(problem).to_contain_text("正在自动重试")
    expect(panel.locator("[data-ca-submit]")).to_be_disabled()
    person.picture("outage")
    stuck_database.execute("ROLLBACK")
    person.page.wait_for_url(re.compile("/apps/"), timeout=OUTAGE)
    signed = [request for request in requests if request.url.endswith("/v1/authenticate")]
    assert len(signed) == 1, "the PIN was asked for again"
    person.log_out()
    person.enter("cssbjgys02")
    person.go("/system/ca/")
    person.unbind(person.page.locator("[data-list] tbody tr", has_text=tail_of(person.platform, "sm2")))
    expect(person.page.locator("[data-end-dialog]")).to_be_hidden()
