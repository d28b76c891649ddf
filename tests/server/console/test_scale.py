"""The console's lists on a platform of 40,000 accounts: what they visit does not grow with it (FLT11). Plans, not times."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from worlds.browser import console_client
from worlds.crowd import PAGES, filling

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="reads PostgreSQL's plans"),
]

BIG = {
    "locks_pendingbinding",
    "accounts_account",
    "locks_lock",
    "locks_lockcertificate",
    "locks_binding",
    "audit_auditevent",
    "calock_sessions_session",
}
PEOPLE = 40_000
MOST = 4_000
"""Rows that one page may visit in all its queries: some times what a list leads to (1,000), and far less than there are."""


def visited(plan: dict) -> int:
    """Rows that the scans of a plan read, those that a filter then dropped included."""
    own = 0
    if "Scan" in plan["Node Type"] and plan.get("Relation Name") in BIG:
        dropped = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        own = int((plan["Actual Rows"] + dropped) * plan["Actual Loops"])
    return own + sum(visited(part) for part in plan.get("Plans", ()))


def explained(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    return visited((found if isinstance(found, list) else json.loads(found))[0]["Plan"])


def test_no_page_visits_more_than_a_page_needs(world, first):
    with connection.cursor() as cursor:
        cursor.execute(filling(PEOPLE))
    first.get("/console/accounts/account/")  # what a process looks up once
    too_many = {}
    for page in PAGES:
        with CaptureQueriesContext(connection) as queries:
            answer = first.get(f"/console/{page}")
        assert answer.status_code == 200, page
        asked = [query["sql"] for query in queries if query["sql"].startswith("SELECT")]
        assert len(asked) < 25, page
        rows = sum(map(explained, asked))
        if rows > MOST:
            too_many[page] = rows
    assert too_many == {}
    assert "nutzer000777" in first.get("/console/accounts/account/?q=nutzer000777").content.decode()
    assert "1000 条以上" in first.get("/console/accounts/account/").content.decode()
    assert console_client(world.second).get("/console/locks/lock/?q=L000000000000777").content.decode().count("<tr>") == 2
