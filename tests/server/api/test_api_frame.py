"""The frame around every call: hosts, methods, CSRF, headers, roles, and refusals that always say what to do next."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import translation
from worlds.browser import Browser, reason_of
from worlds.practice import HOST, ORIGIN, make_lock

from calock.core.refusals import Reason
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding
from calock.server.sessions.models import Session
from calock.server.sites import registry
from calock.server.web import errors, refusals
from calock.server.web.refusal_texts import ENTRIES
from calock.server.web.site_middleware import resolve
from calock.wire.driver import PORTS, TLS_PORTS

pytestmark = pytest.mark.django_db


# --- every reason


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_reason_has_a_sentence_and_one_next_action(reason, language):
    facts = {"tries_left": 3, "holder": "张*", "not_after": "2020-07-16", "hotline": "0351-1", "provider": "山西 CA", "seconds": 5}
    with translation.override(language):
        for given in ({}, facts):
            told = refusals.describe(reason, given)
            assert told["message"]
            assert "{" not in told["message"]
            assert told["action"]["label"]
            assert told["action"]["href"].startswith("/")
    assert isinstance(ENTRIES[reason].event, Event)


def test_every_next_action_leads_to_a_page_that_exists(lock_world):
    client = Client(headers={"host": HOST})
    for page in {entry.action.page for entry in ENTRIES.values()}:
        answer = client.get(reverse(f"portal:{page}"))
        assert answer.status_code in (200, 302), page


def test_the_catalogue_of_sentences_is_the_failure_catalogues():
    told = refusals.catalogue()
    assert told["DRIVER_ABSENT"]["message"] == "CA 客户端驱动未安装, 请下载"
    assert told["LOCK_ABSENT"]["message"] == "未检测到 CA 锁，请将 CA 锁插入电脑"
    assert told["PIN_WRONG"]["message"] == "PIN 码错误，还可尝试 {tries_left} 次"
    assert told["LOCK_REMOVED"]["message"] == "操作过程中 CA 锁被拔出"
    assert set(told) == {reason.value for reason in Reason}


# --- hosts


@pytest.mark.parametrize(
    ("host", "code", "origin"),
    [
        ("shanxi.localhost:8000", "shanxi", "http://shanxi.localhost:8000"),
        ("zcy.localhost:9", "zcy", "http://zcy.localhost:9"),
        ("zcy.localhost", "zcy", "http://zcy.localhost"),
        ("127.0.0.1:8000", "shanxi", "http://127.0.0.1:8000"),
        ("localhost:8000", "shanxi", "http://localhost:8000"),
        ("SHANXI.LOCALHOST:80", "shanxi", "http://shanxi.localhost"),
    ],
)
def test_a_host_names_its_site(host, code, origin):
    site, found = resolve(host)
    assert (site.code, found) == (code, origin)


def test_on_a_real_site_the_origin_is_configured_and_never_the_headers(settings, monkeypatch):
    settings.CALOCK = replace(settings.CALOCK, insecure_http=False)
    sites = registry.load_sites(environ={"CALOCK_HOSTS_SHANXI": "ca.example.gov.cn"})
    monkeypatch.setattr("calock.server.sites.registry.sites", lambda: sites)
    monkeypatch.setattr("calock.server.web.site_middleware.sites", lambda: sites)
    assert resolve("ca.example.gov.cn")[1] == "https://ca.example.gov.cn"
    assert resolve("ca.example.gov.cn:8443")[1] == "https://ca.example.gov.cn"
    assert resolve("127.0.0.1") is None
    assert resolve("shanxi.localhost") is None
    settings.CALOCK = replace(settings.CALOCK, public_port="8443")
    assert resolve("ca.example.gov.cn")[1] == "https://ca.example.gov.cn:8443"


@pytest.mark.parametrize("host", ["evil.example", "shanxi.localhost.evil.example", "xshanxi.localhost", "[::2]", "a b"])
def test_an_unknown_host_is_refused(host):
    client = Client(headers={"host": host})
    answer = client.get("/api/site")
    assert (answer.status_code, reason_of(answer)) == (421, "HOST_UNKNOWN")
    page = client.get("/")
    assert page.status_code == 421
    assert "没有该网址的平台" in page.content.decode()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "name", ["X-SSL-Client-Cert", "SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Forwarded-Host"]
)
def test_headers_of_a_proxy_log_nobody_in_and_change_no_host(lock_world, name):
    client = Client(headers={"host": HOST, name: "evil.example"})
    assert reason_of(client.get("/api/bindings")) == "SESSION_REQUIRED"
    assert client.get("/api/site").json()["code"] == "shanxi"


# --- CSRF, methods, headers


def strict(**headers):
    return Client(enforce_csrf_checks=True, headers={"host": HOST, **headers})


def with_token(client):
    client.get("/login/")
    return client.cookies["csrftoken"].value


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://zcy.localhost:8000", ORIGIN + "0", ORIGIN.upper()])
@pytest.mark.parametrize("path", ["/api/challenge", "/api/login", "/api/bindings", "/api/step-up", "/login/"])
def test_a_post_from_elsewhere_is_refused(lock_world, origin, path):
    client = strict(**({"origin": origin} if origin else {}))
    token = with_token(client)
    answer = client.post(path, "{}", content_type="application/json", headers={"x-csrftoken": token})
    assert answer.status_code == 403
    assert AuditEvent.objects.filter(reason="CSRF_FAILED").exists()


def test_a_post_of_our_own_page_needs_its_token(lock_world):
    client = strict(origin=ORIGIN)
    token = with_token(client)
    body = {"purpose": "login"}
    assert reason_of(client.post("/api/challenge", body, content_type="application/json")) == "CSRF_FAILED"
    answer = client.post("/api/challenge", body, content_type="application/json", headers={"x-csrftoken": token})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/api/challenge", "/api/login", "/api/step-up"])
@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "options", "trace"])
def test_other_methods_do_nothing(lock_world, path, method):
    answer = getattr(Client(headers={"host": HOST}), method)(path)
    assert (answer.status_code, reason_of(answer)) == (400, "REQUEST_MALFORMED")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_security_headers_stand_on_pages_calls_and_refusals(lock_world):
    client = Client(headers={"host": HOST})
    for path in ("/", "/api/site", "/api/bindings", "/nowhere/"):
        headers = client.get(path).headers
        csp = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert csp["default-src"] == csp["frame-ancestors"] == csp["base-uri"] == "'none'"
        assert csp["script-src"] == csp["style-src"] == "'self'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        ports = {f"http://127.0.0.1:{port}" for port in PORTS} | {f"https://127.0.0.1:{port}" for port in TLS_PORTS}
        assert set(csp["form-action"].split()) == {"'self'", *ports}
        assert "ws://127.0.0.1:47113" in csp["connect-src"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "origin-when-cross-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] in ("no-store", "no-cache") or "no-cache" in headers["Cache-Control"]


# --- failures of ours


def test_a_failure_of_ours_shows_a_number_and_no_trace(lock_world, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("calock.server.portal.site_api.offered_providers", broken)
    client = Client(headers={"host": HOST}, raise_request_exception=False)
    answer = client.get("/api/site")
    assert answer.status_code == 500
    told = answer.json()["error"]
    assert told["number"] == AuditEvent.objects.get(event="server:failed").number
    assert "secret" not in answer.content.decode()


def test_a_failure_of_the_database_still_shows_a_number(lock_world, monkeypatch):
    def broken(*args, **kwargs):
        raise DatabaseError("gone")

    monkeypatch.setattr(errors, "record", broken)
    monkeypatch.setattr("calock.server.portal.site_api.offered_providers", broken)
    answer = Client(headers={"host": HOST}, raise_request_exception=False).get("/api/site")
    assert answer.status_code == 500
    assert len(answer.json()["error"]["number"]) == 21


@pytest.mark.parametrize("error", [OperationalError("server closed the connection\nunexpectedly"), InterfaceError("closed")])
def test_a_database_that_is_away_is_no_failure_of_ours(lock_world, monkeypatch, caplog, error):
    """503 with Retry-After in the site's own look, one line in the log, no row: balancers tell an outage from a bug."""

    def away(*args, **kwargs):
        raise error

    monkeypatch.setattr("calock.server.portal.site_api.offered_providers", away)
    monkeypatch.setattr("calock.server.portal.views.public.offered_providers", away)
    client = Client(headers={"host": HOST}, raise_request_exception=False)
    answer = client.get("/api/site")
    assert (answer.status_code, reason_of(answer), answer.headers["Retry-After"]) == (503, "DATABASE_UNAVAILABLE", "5")
    page = client.get("/")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "系统维护中，请稍后再试" in page.content.decode()
    assert "山西政府采购平台" in page.content.decode()
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 2
    assert not any("\n" in line or record.exc_info for line, record in zip(lines, caplog.records, strict=False))
    assert not AuditEvent.objects.filter(event="server:failed").exists()


def test_a_table_that_is_not_there_is_a_failure_of_ours(lock_world, monkeypatch):
    def broken(*args, **kwargs):
        raise OperationalError("no such table: x")

    monkeypatch.setattr("calock.server.portal.site_api.offered_providers", broken)
    assert Client(headers={"host": HOST}, raise_request_exception=False).get("/api/site").status_code == 500


@pytest.mark.parametrize("path", ["/api/login", "/", "/apps/"])
def test_a_request_that_found_no_room_is_told_so_in_the_sites_look_without_a_statement(lock_world, django_assert_num_queries, path):
    client = Client(headers={"host": HOST}, **{"calock.refused": Reason.SERVER_BUSY, "calock.retry_after": 2})
    with django_assert_num_queries(0):
        answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert ("山西政府采购平台" if path != "/api/login" else "SERVER_BUSY") in answer.content.decode()


# --- who may do what

ROLES = ("nobody", "member", "colleague", "admin", "outsider", "outside_admin", "operator", "expert")


@pytest.fixture
def a_binding(lock_world):
    browser = Browser()
    browser.enter(lock_world.member)
    return browser.bind(make_lock(), lock_world.member).json()["binding"]["id"]


def as_role(world, role):
    browser = Browser(ip=f"192.0.2.{ROLES.index(role) + 20}")
    if role != "nobody":
        browser.enter(getattr(world, role))
    return browser


@pytest.mark.parametrize("role", ROLES)
def test_who_sees_a_binding(lock_world, a_binding, role):
    answer = as_role(lock_world, role).client.get("/api/bindings")
    if role == "nobody":
        assert answer.status_code == 401
    else:
        assert [row["id"] for row in answer.json()["bindings"]] == ([a_binding] if role in ("member", "admin") else [])


@pytest.mark.parametrize("role", ROLES)
def test_who_may_touch_a_binding(lock_world, a_binding, role):
    answer = as_role(lock_world, role).post(f"/api/bindings/{a_binding}/end", {"reason": "x", "password": "wrong"})
    expected = {"nobody": "SESSION_REQUIRED", "member": "LAST_LOCK", "admin": "STEP_UP_FAILED"}.get(role, "BINDING_NOT_FOUND")
    assert reason_of(answer) == expected
    assert Binding.objects.live().count() == 1


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("whose", ["member", "admin", "outsider", "operator"])
def test_who_may_bind_for_whom(lock_world, role, whose):
    browser = as_role(lock_world, role)
    target = getattr(lock_world, whose)
    lock = make_lock()
    aim = {"member": str(target.pk), "provider": lock.family.provider}
    if role == "nobody":
        assert reason_of(browser.post("/api/challenge", {"purpose": "bind", **aim})) == "SESSION_REQUIRED"
        return
    answer = browser.bind(lock, target)
    own = role == whose
    same = {"admin": ("member", "admin"), "outside_admin": ("outsider",)}.get(role, ())
    if own and role == "operator":
        assert reason_of(answer) == "LOCK_ENROLMENT_CLOSED"
    elif own or whose in same:
        assert answer.status_code == 200, answer.content.decode()
    else:
        assert reason_of(answer) == "NOT_FOUND"


@pytest.mark.parametrize("path", ["/api/bindings", "/api/step-up", "/api/bindings/00000000-0000-4000-8000-000000000000/end"])
def test_nothing_is_done_without_a_session(lock_world, path):
    assert reason_of(Browser().post(path, {})) == "SESSION_REQUIRED"


def test_fields_nobody_asked_for_change_nothing(lock_world):
    lock = make_lock()
    extra = {
        "bound_by": str(lock_world.admin.pk),
        "status": "x",
        "is_admin": True,
        "account": str(lock_world.admin.pk),
        "lock_id": "MINE",
    }
    browser = Browser()
    browser.enter(lock_world.member)
    row = browser.bind(lock, lock_world.member, **extra).json()["binding"]
    assert (row["boundBy"], row["account"]["username"], row["lockId"]) == ("张三", "zhangsan", "SX-0001")
    lock_world.member.refresh_from_db()
    assert lock_world.member.role == "member"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "CN=victim,CN=x", "\u202eevil", "=cmd()"])
def test_names_in_certificates_are_data(lock_world, name):
    browser = Browser()
    browser.enter(lock_world.member)
    answer = browser.bind(make_lock(name=name), lock_world.member)
    assert answer.headers["Content-Type"] == "application/json"
    page = browser.client.get("/system/ca/").content.decode()
    assert "<script>alert" not in page


def test_site_tells_scripts_what_they_need(lock_world):
    told = Client(headers={"host": HOST}).get("/api/site").json()
    provider = next(item for item in told["providers"] if item["code"] == "lianxi-sm2")
    assert len(provider["issuerKeyIds"]) == 2
    assert told["code"] == "shanxi"
    assert json.dumps(told)
    assert not Session.objects.exists()
