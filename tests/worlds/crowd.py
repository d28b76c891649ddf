"""A platform with many people, made by the database itself: for what must not grow with it."""

from __future__ import annotations


def filling(people: int, *, rows_each: int = 1) -> str:
    """SQL (PostgreSQL) for so many accounts, each with a lock, a binding, a claim, and ``rows_each`` rows of the trail.

    It needs a provider with a CA. Accounts are ``nutzer000001`` and so on.
    """
    organisations = max(20, people // 30)
    return f"""
INSERT INTO organisations_organisation (id, kind, name, uscc, state, version, created_at)
  SELECT gen_random_uuid(), 'supplier', '山西第' || n || '商贸有限公司', 'TEST' || lpad(n::text, 14, '0'), 'active', 1, now()
  FROM generate_series(1, {organisations}) n;
ANALYZE organisations_organisation;
INSERT INTO accounts_account (id, username, name, password, organisation_id, role, state, must_change_password, created_at)
  SELECT gen_random_uuid(), 'nutzer' || lpad(n::text, 6, '0'), '张' || n, '!', o.id, 'member', 'active', false, now()
  FROM generate_series(1, {people}) n
    JOIN organisations_organisation o ON o.uscc = 'TEST' || lpad((n % {organisations} + 1)::text, 14, '0');
INSERT INTO locks_lock (id, provider_id, lock_id, created_at)
  SELECT gen_random_uuid(), p.id, 'L' || lpad(n::text, 15, '0'), now() - n * interval '1 minute'
  FROM generate_series(1, {people}) n CROSS JOIN (SELECT id FROM providers_provider LIMIT 1) p;
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
  SELECT '261129-' || upper(substr(md5(n::text), 1, 4)) || '-' || upper(substr(md5(n::text), 5, 4)) || '-' || lpad(n::text, 7, '0'),
    now() - n * interval '1 minute', (ARRAY['login:ca:succeeded', 'login:ca:refused', 'binding:lock:added'])[n % 3 + 1],
    CASE WHEN n % 30 = 1 THEN 'LOCK_NOT_BOUND' ELSE '' END, 'shanxi', a.id, a.id, NULL, b.lock_id, 'lianxi',
    ('10.' || n % 200 || '.' || n / 200 % 200 || '.7')::inet, 'Chrome', '{{}}', ''
  FROM generate_series(1, {people} * {rows_each}) n
    JOIN accounts_account a ON a.username = 'nutzer' || lpad(((n - 1) % {people} + 1)::text, 6, '0')
    JOIN locks_binding b ON b.account_id = a.id;
ANALYZE;
"""


def locks(count: int) -> str:
    """SQL (PostgreSQL, as superuser) for so many locks more, each with its certificate and its binding; ten to an account.

    It needs a provider with a CA. Rows are written without the database's checks of what they refer to, and indexes afterwards: one
    at a time, ten million would take hours.
    """
    tables = ("accounts_account", "locks_lock", "locks_lockcertificate", "locks_binding")
    oids = ", ".join(f"'{table}'::regclass" for table in tables)
    reindex = "\n".join(f"REINDEX TABLE {table};" for table in tables)
    return f"""
SET session_replication_role = replica;
SET allow_system_table_mods = on;
SET maintenance_work_mem = '1GB';
CREATE FUNCTION pg_temp.numbered(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(kind || n)::uuid $$;
UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid IN ({oids});
INSERT INTO accounts_account (id, username, name, password, role, state, must_change_password, created_at, organisation_id)
  SELECT pg_temp.numbered('account', n), 'inhaber' || n, '张' || n, '!', 'member', 'active', false, now(), o.id
  FROM generate_series(0, {count} / 10) n CROSS JOIN (SELECT id FROM organisations_organisation LIMIT 1) o;
INSERT INTO locks_lock (id, provider_id, lock_id, created_at)
  SELECT pg_temp.numbered('lock', n), p.id, 'M' || lpad(n::text, 15, '0'), now() - n * interval '1 second'
  FROM generate_series(1, {count}) n CROSS JOIN (SELECT id FROM providers_provider LIMIT 1) p;
INSERT INTO locks_lockcertificate (id, lock_id, ca_record_id, serial, cert_sha256, spki_sha256, holder_hmac, holder_masked,
    subject_cn, algorithm, not_before, not_after, sealed_der, current_since, created_at)
  SELECT pg_temp.numbered('certificate', n), pg_temp.numbered('lock', n), c.id, md5('s' || n), md5('c' || n) || md5('d' || n),
    md5('k' || n) || md5('l' || n), '', '', '单位' || n, 'EC', now(), now() + interval '1 year' + n * interval '1 second',
    sha256('x')::bytea, now(), now()
  FROM generate_series(1, {count}) n CROSS JOIN (
    SELECT c.id FROM providers_carecord c LEFT JOIN locks_lockcertificate k ON k.ca_record_id = c.id
    GROUP BY c.id ORDER BY count(k.id) DESC LIMIT 1
  ) c;
INSERT INTO locks_binding (id, lock_id, account_id, bound_by_id, bound_at, site, reason)
  SELECT pg_temp.numbered('binding', n), pg_temp.numbered('lock', n), pg_temp.numbered('account', n / 10),
    pg_temp.numbered('account', n / 10), now() - n * interval '1 second', 'shanxi', ''
  FROM generate_series(1, {count}) n;
{reindex}
RESET session_replication_role;
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
    "accounts/account/?q=张1",
    "accounts/account/?q=TEST00000000000007",
    "accounts/account/?q=nichts",
    "organisations/organisation/",
    "organisations/organisation/?q=山西第7商贸",
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
    "audit/auditevent/?q=261129-ABCD-1234-0000777",
    "audit/auditevent/?q=10.77.3.7",
    "audit/auditevent/?q=L000000000000777",
    "audit/auditevent/?q=LOCK_NOT_BOUND",
    "audit/auditevent/?q=nichts",
)
"""Lists and searches of the console. Each finds as much among 1,000 people as among more, or a page full: what is shown costs."""
