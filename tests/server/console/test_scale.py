"""The console's lists on a platform of 60,000 accounts: what they visit does not grow with it (FLT11). Plans, not times."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from worlds.browser import console_client

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
PEOPLE = 60_000
MOST = 4_000
"""Rows that one page may visit in all its queries: some times what a list leads to (1,000), and far less than there are."""

FILL = f"""
INSERT INTO organisations_organisation (id, kind, name, uscc, state, version, created_at)
  SELECT gen_random_uuid(), 'supplier', '山西第' || n || '商贸有限公司', 'TEST' || lpad(n::text, 14, '0'), 'active', 1, now()
  FROM generate_series(1, 2000) n;
ANALYZE organisations_organisation;
INSERT INTO accounts_account (id, username, name, password, organisation_id, role, state, must_change_password, created_at)
  SELECT gen_random_uuid(), 'nutzer' || lpad(n::text, 6, '0'), '张' || n, '!', o.id, 'member', 'active', false, now()
  FROM generate_series(1, {PEOPLE}) n JOIN organisations_organisation o ON o.uscc = 'TEST' || lpad((n % 2000 + 1)::text, 14, '0');
INSERT INTO locks_lock (id, provider_id, lock_id, created_at)
  SELECT gen_random_uuid(), p.id, 'L' || lpad(n::text, 15, '0'), now() - n * interval '1 minute'
  FROM generate_series(1, {PEOPLE}) n CROSS JOIN (SELECT id FROM providers_provider LIMIT 1) p;
ANALYZE accounts_account;
ANALYZE locks_lock;
INSERT INTO locks_lockcertificate (id, lock_id, ca_record_id, serial, cert_sha256, spki_sha256, holder_hmac, holder_masked,
    subject_cn,
    algorithm, not_before, not_after, sealed_der, current_since, created_at)
  SELECT gen_random_uuid(), l.id, c.id, md5(l.lock_id), md5(l.lock_id) || md5('a' || l.lock_id),
    md5(l.lock_id) || md5('b' || l.lock_id),
    '', '', '单位' || l.lock_id, 'SM2', now(), now() + interval '1 year', ''::bytea, now(), now()
  FROM locks_lock l CROSS JOIN (SELECT id FROM providers_carecord LIMIT 1) c WHERE l.lock_id LIKE 'L0%';
INSERT INTO locks_binding (id, lock_id, account_id, bound_by_id, bound_at, site, reason)
  SELECT gen_random_uuid(), l.id, a.id, a.id, l.created_at, 'shanxi', ''
  FROM locks_lock l JOIN accounts_account a ON a.username = 'nutzer' || substr(l.lock_id, 11);
ANALYZE locks_binding;
INSERT INTO locks_pendingbinding (id, account_id, provider_id, lock_id, source, imported_at)
  SELECT gen_random_uuid(), b.account_id, l.provider_id, 'W' || substr(l.lock_id, 2), '', b.bound_at
  FROM locks_binding b JOIN locks_lock l ON l.id = b.lock_id WHERE l.lock_id LIKE 'L0%';
INSERT INTO audit_auditevent (number, at, event, reason, site, actor, subject, organisation, lock, provider, ip, user_agent,
    details, mac)
  SELECT '261129-' || upper(substr(md5(n::text), 1, 4)) || '-' || upper(substr(md5(n::text), 5, 4)) || '-' || lpad(n::text, 6, '0'),
    now() - n * interval '1 minute', (ARRAY['login:ca:succeeded', 'login:ca:refused', 'binding:lock:added'])[n % 3 + 1],
    CASE WHEN n % 3 = 1 THEN 'LOCK_NOT_BOUND' ELSE '' END, 'shanxi', a.id, a.id, NULL, b.lock_id, 'lianxi',
    ('10.' || n % 200 || '.' || n / 200 % 200 || '.7')::inet, 'Chrome', '{{}}', ''
  FROM generate_series(1, {PEOPLE}) n JOIN accounts_account a ON a.username = 'nutzer' || lpad(n::text, 6, '0')
    JOIN locks_binding b ON b.account_id = a.id;
ANALYZE;
"""

PAGES = (
    "accounts/account/",
    "accounts/account/?p=10",
    "accounts/account/?role=member",
    "accounts/account/?role=operator",
    "accounts/account/?state=disabled",
    "accounts/account/?q=nutzer000777",
    "accounts/account/?q=nutzer0007",
    "accounts/account/?q=张123",
    "accounts/account/?q=TEST00000000000077",
    "accounts/account/?q=nichts",
    "organisations/organisation/",
    "organisations/organisation/?q=山西第77商贸",
    "locks/lock/",
    "locks/lock/?q=L000000000000777",
    "locks/lock/?q=L00000000000077",
    "locks/lock/?q=nutzer000777",
    "locks/lock/?q=nichts",
    "locks/binding/",
    "locks/binding/?live=1",
    "locks/binding/?q=nutzer000777",
    "locks/binding/?q=L000000000000777",
    "locks/binding/?q=nichts",
    "locks/pendingbinding/",
    "locks/pendingbinding/?q=W000000000000777",
    "locks/pendingbinding/?q=W00000000000077",
    "locks/pendingbinding/?q=nutzer000777",
    "locks/pendingbinding/?q=nichts",
    "audit/auditevent/",
    "audit/auditevent/?refused=1",
    "audit/auditevent/?about=binding",
    "audit/auditevent/?q=nutzer000777",
    "audit/auditevent/?q=261129-ABCD-1234-000777",
    "audit/auditevent/?q=10.77.3.7",
    "audit/auditevent/?q=L000000000000777",
    "audit/auditevent/?q=LOCK_NOT_BOUND",
    "audit/auditevent/?q=nichts",
)


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
        cursor.execute(FILL)
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
