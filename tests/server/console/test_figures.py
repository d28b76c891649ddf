"""The trust dashboard, the failure statistics and the audit pages say what is so."""

from __future__ import annotations

import base64
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from worlds.browser import Browser, bound, console_client, logged_in, refusal_row
from worlds.practice import NOW, make_lock
from worlds.rows import USCC

from calock.core.refusals import Reason
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.console.lock_admin import person
from calock.server.console.pages.dashboard import bindings_without_holder
from calock.server.console.statistics import browser_of, by_provider, failures_since
from calock.server.locks.models import LockCertificate
from calock.server.providers.models import CaRecord, Provider, RevocationSource
from calock.server.sessions.context import RequestContext

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_machine")]

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36"


def happened(event: Event, *, ago: timedelta = timedelta(), agent: str = CHROME, **row) -> None:
    at = timezone.now() - ago
    context = RequestContext(site="shanxi", origin="", ip="192.0.2.1", user_agent=agent, browser="", session=None, at=at)
    record(event, context=context, **row)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (CHROME, "Chrome 147"),
        (f"{CHROME} Edg/146.0.1", "Edge 146"),
        ("Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140"),
        ("Mozilla/5.0 (Macintosh) AppleWebKit/605 (KHTML, like Gecko) Version/19.1 Safari/605", "Safari 19"),
        ("", "其他"),
        ("curl/8", "其他"),
        ("Chrome/" * 5000, "其他"),
    ],
)
def test_browsers_have_the_names_people_use(agent, name):
    assert browser_of(agent) == name


def test_logins_and_refusals_are_counted_by_provider_reason_and_period(world):
    happened(Event.LOGIN_CA_SUCCEEDED, provider="lianxi")
    happened(Event.LOGIN_CA_SUCCEEDED, provider="lianxi", ago=timedelta(days=2))
    happened(Event.LOGIN_CA_SUCCEEDED, provider="lianxi", ago=timedelta(days=8))
    happened(Event.LOGIN_CA_REFUSED, provider="lianxi", reason=Reason.REVOCATION_STALE)
    happened(Event.LOGIN_CA_REFUSED, reason=Reason.CERTIFICATE_UNTRUSTED, ago=timedelta(days=2))
    counts = by_provider(timezone.now())
    one = counts["lianxi"]
    assert (one.logins_day, one.logins_week, one.refused_day, one.refused_week) == (1, 2, 1, 1)
    assert [(item.reason, item.day, item.week) for item in counts[""].top] == [("CERTIFICATE_UNTRUSTED", 0, 1)]


def test_refusals_count_for_the_ca_that_issued_the_certificate_not_for_the_one_that_was_chosen(lock_world):
    """Anybody can choose a provider, or send its code without a page: only a signature and a chain make it count."""
    own, foreign = make_lock("EC"), make_lock("EC", provider="waimian")
    expired = make_lock("EC", not_before=NOW - timedelta(days=400), not_after=NOW - timedelta(days=3))
    for lock in (own, foreign):
        Browser().log_in(lock, provider="lianxi-sm2")
    Browser().log_in(expired)
    forger = Browser()
    text = forger.challenge()
    token = {**own.sign(text), "signature": base64.b64encode(bytes(64)).decode()}
    forger.post("/api/login", {"challenge": text, "token": token, "provider": "lianxi-sm2"})
    counts = by_provider(timezone.now())
    assert {item.reason: item.day for item in counts["lianxi-ec"].top} == {"PROVIDER_MISMATCH": 1, "CERTIFICATE_EXPIRED": 1}
    assert {item.reason: item.day for item in counts[""].top} == {"CERTIFICATE_UNTRUSTED": 1, "SIGNATURE_INVALID": 1}
    assert set(counts) == {"lianxi-ec", ""}
    chosen = [row.details.get("chosen") for row in AuditEvent.objects.filter(event="login:ca:refused").order_by("pk")]
    assert chosen == ["lianxi-sm2", "lianxi-sm2", None, "lianxi-sm2"]


def test_a_known_certificate_with_a_forged_signature_counts_for_nobody(lock_world):
    """The server remembers certificates that logged in; a signature that does not hold must not profit from that."""
    lock = make_lock("EC")
    bound(lock, lock_world.member)
    assert Browser().log_in(lock).status_code == 200
    forger = Browser()
    text = forger.challenge()
    token = {**lock.sign(text), "signature": base64.b64encode(bytes(64)).decode()}
    row = refusal_row(forger.post("/api/login", {"challenge": text, "token": token}), "SIGNATURE_INVALID")
    assert (row.provider, row.lock) == ("", None)
    assert "issuer_key" not in row.details


def test_refused_bindings_count_for_the_issuing_ca_too(lock_world):
    lock = make_lock("EC")
    logged_in(lock_world.member).bind(lock, lock_world.member, provider="lianxi-sm2")
    found = failures_since(timezone.now() - timedelta(hours=1))
    assert found.providers == [("lianxi-ec", 1)]


def test_live_bindings_without_a_holders_id_are_counted(lock_world):
    binding = bound(make_lock("EC"), lock_world.member)
    certificates = LockCertificate.objects.filter(lock=binding.lock)
    assert [certificate.holder_hmac for certificate in certificates] == [""]  # its provider's rules name none
    assert bindings_without_holder() == 1
    certificates.update(holder_hmac="0" * 64)
    assert bindings_without_holder() == 0
    certificates.update(holder_hmac="")
    binding.unbound_at = timezone.now()
    binding.save(update_fields=["unbound_at"])
    assert bindings_without_holder() == 0


def test_failures_are_counted_by_reason_browser_and_provider(world, first):
    happened(Event.LOGIN_CA_REFUSED, provider="lianxi", reason=Reason.LOCK_NOT_BOUND)
    happened(Event.LOGIN_PASSWORD_REFUSED, reason=Reason.CREDENTIALS_WRONG, agent=f"{CHROME} Edg/146.0")
    happened(Event.LOGIN_CA_SUCCEEDED, provider="lianxi")
    found = failures_since(timezone.now() - timedelta(hours=1))
    assert (found.attempts, found.refused) == (3, 2)
    assert {reason for reason, _, _ in found.reasons} == {"LOCK_NOT_BOUND", "CREDENTIALS_WRONG"}
    assert {name: (refused, every) for name, refused, every in found.browsers} == {"Chrome 147": (1, 2), "Edge 146": (1, 1)}
    html = first.get("/console/failures/?period=1h").content.decode()
    assert "LOCK_NOT_BOUND" in html
    assert "练习 CA 互认平台" in html
    assert first.get("/console/failures/?period=%00").status_code == 200


def source(**values) -> None:
    row = RevocationSource.objects.get()
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))


@pytest.mark.parametrize(
    ("used", "words", "summary"),
    [(0.5, "正常", ""), (0.76, "临近过期", "需要处理"), (1.2, "已过期", "异常")],
)
def test_the_dashboard_warns_when_three_quarters_of_a_crls_life_are_over(world, first, used, words, summary):
    now, life = timezone.now(), timedelta(hours=10)
    source(this_update=now - used * life, next_update=now + (1 - used) * life, last_ok_at=now)
    html = first.get("/console/trust/").content.decode()
    row = html[html.rindex("http://127.0.0.1:8/ca.crl") :][:900]
    assert words in row
    assert f'value="{min(100, round(100 * used))}"' in row
    badges = [word for word in ("需要处理", "异常") if f">{word}</span>" in html]
    assert badges == ([summary] if summary else [])


def test_the_dashboard_shows_the_last_error_as_text(world, first):
    source(last_error="<script>alert(1)</script> timed out")
    html = first.get("/console/trust/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; timed out" in html
    assert "<script>alert" not in html


def test_the_dashboard_says_that_a_row_was_tampered_with(world, first):
    source(this_update=timezone.now(), next_update=timezone.now() + timedelta(days=7), last_ok_at=timezone.now())
    sound = first.get("/console/trust/").content.decode()
    assert "登记异常" not in sound
    assert "登记、吊销信息与后台任务一切正常" in sound
    CaRecord.objects.filter(pk=world.intermediate.pk).update(group="x")
    html = first.get("/console/trust/").content.decode()
    assert "登记异常" in html
    assert "一切正常" not in html
    assert "ca_tampered" in html
    Provider.objects.update(rules={"unknown": 1})
    for address in ("/console/trust/", "/console/providers/", f"/console/providers/{world.provider.pk}/trust/"):
        assert first.get(address).status_code == 200


def test_the_audit_list_filters_and_finds(world, first):
    happened(Event.LOGIN_CA_REFUSED, provider="lianxi", reason=Reason.LOCK_NOT_BOUND)
    happened(Event.PACKAGE_PUBLISHED, ago=timedelta(days=3), actor=world.second)
    refused, published = AuditEvent.objects.get(reason="LOCK_NOT_BOUND"), AuditEvent.objects.get(event="package:published")
    for query, hits in (
        ("", (True, True)),
        ("about=login", (True, False)),
        ("about=package", (False, True)),
        ("refused=1", (True, False)),
        (f"from={timezone.localdate() - timedelta(days=1)}&to={timezone.localdate()}", (True, False)),
        ("provider=lianxi", (True, False)),
        ("q=yi", (False, True)),
        (f"q={refused.number}", (True, False)),
    ):
        html = first.get(f"/console/audit/auditevent/?{query}").content.decode()
        assert (refused.number in html, published.number in html) == hits, query


def test_a_changed_audit_row_is_found_by_the_check_on_its_row_and_on_its_page(world, first):
    happened(Event.LOGIN_CA_SUCCEEDED, provider="lianxi")
    html = first.get("/console/audit/auditevent/?verify=1").content.decode()
    assert re.search(r"全部 \d+ 条记录完整", html)
    row = AuditEvent.objects.latest("id")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET event = 'login:ca:refused' WHERE id = %s", [row.pk])
    html = first.get("/console/audit/auditevent/?verify=1").content.decode()
    assert "发现 1 处异常" in html
    assert row.number in html
    assert html.count("被改动") == 1
    assert "被改动" in first.get(f"/console/audit/auditevent/{row.pk}/change/").content.decode()


def test_an_audit_row_names_whom_it_speaks_of_masked_beside_their_ids(world, first, member, organisation):
    happened(
        Event.ACCOUNT_DISABLED, actor=world.first, subject=member.pk, organisation=organisation.pk, provider=world.provider.code
    )
    row = AuditEvent.objects.latest("id")
    html = first.get(f"/console/audit/auditevent/{row.pk}/change/").content.decode()
    for name, key in (
        (person(world.first), world.first.pk),
        ("张*（cssbjgys02）", member.pk),
        (organisation.name, organisation.pk),
        (world.provider.name, world.provider.code),
    ):
        assert f"{name} <code>{key}</code>" in html
    assert "张三" not in html


def test_each_detail_of_a_row_is_named_in_words_or_by_its_code_alone(lock_world):
    lock = make_lock("EC", uscc=USCC)
    bound(lock, lock_world.member)
    Browser().log_in(lock)
    happened(Event.LIST_EXPORTED, details={"newer_than_the_words": 1})
    for event, name in (
        ("login:ca:succeeded", "回执 SHA-256 <code>receipt</code>"),
        ("console:list:exported", "<dt> <code>newer_"),
    ):
        row = AuditEvent.objects.filter(event=event).latest("id")
        html = console_client(lock_world.operator).get(f"/console/audit/auditevent/{row.pk}/change/").content.decode()
        assert name in html
        assert not re.search(r"<dt>(\w+) <code>\1</code>", html), "a code that stands for its own words"


def test_an_auditor_reads_of_a_wrong_password_no_tale_of_a_lock(world, first, member):
    """A row does not say which of the two did not prove who it was."""
    happened(Event.CONTACT_REFUSED, actor=member, subject=member.pk, reason=Reason.STEP_UP_FAILED)
    row = AuditEvent.objects.latest("id")
    for address in ("", f"{row.pk}/change/"):
        html = first.get(f"/console/audit/auditevent/{address}").content.decode()
        assert "登录密码不正确，或 CA 锁不是这个账户的" in html
        assert "这把 CA 锁没有绑定到您的账户" not in html


def test_audit_rows_take_no_post(world, first):
    happened(Event.LOGIN_CA_SUCCEEDED, provider="lianxi")
    row = AuditEvent.objects.latest("id")
    assert first.post(f"/console/audit/auditevent/{row.pk}/change/", {"event": "x"}).status_code == 404
    assert AuditEvent.objects.get(pk=row.pk).event == "login:ca:succeeded"
