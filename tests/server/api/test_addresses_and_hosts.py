"""Whose address a request has behind proxies of all kinds, and which spellings of a host are the same host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest
from django.test import Client
from worlds.browser import reason_of
from worlds.rows import PASSWORD

from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.sites import registry
from calock.server.web.client_address import Watch, client_address

PROXIES = frozenset({"203.0.113.9", "203.0.113.8", "2001:db8::9"})


def behind(settings, *proxies: str, **changed) -> None:
    settings.CALOCK = replace(settings.CALOCK, trusted_proxies=tuple(map(ip_network, proxies)), **changed)


def test_forwarded_headers_count_only_from_listed_proxies(settings):
    assert client_address("203.0.113.9", "10.0.0.1").ip == "203.0.113.9"
    behind(settings, *PROXIES)
    assert client_address("203.0.113.9", "6.6.6.6, 192.0.2.4, 203.0.113.8").ip == "192.0.2.4"
    assert client_address("203.0.113.9", "not an address").ip is None
    assert client_address("203.0.113.9", "").ip is None


def test_a_balancer_whose_address_changes_is_known_by_its_network(settings):
    behind(settings, "10.1.2.0/24", "2001:db8:1::/48")
    for proxy in ("10.1.2.7", "::ffff:10.1.2.7", "2001:db8:1::5"):
        assert client_address(proxy, "6.6.6.6, 192.0.2.4, 10.1.2.200").ip == "192.0.2.4"
    assert client_address("10.1.3.7", "192.0.2.4").ip == "10.1.3.7"
    assert client_address("::ffff:192.0.2.4", "").ip == "192.0.2.4"


@pytest.mark.parametrize("said", ["fe80::7%eth0", "[fe80::7%eth0]:51234"])
def test_a_zone_that_a_proxy_writes_makes_no_row_of_the_trail_a_changed_one(lock_world, settings, said):
    behind(settings, *PROXIES)
    client = Client(headers={"host": "shanxi.localhost", "origin": "http://shanxi.localhost", "x-forwarded-for": said})
    client.post("/login/", {"username": "nobody", "password": PASSWORD}, REMOTE_ADDR="203.0.113.9")
    rows = AuditEvent.objects.filter(event=Event.LOGIN_PASSWORD_REFUSED)
    assert [(row.ip, is_intact(row)) for row in rows] == [("fe80::7", True)]


@pytest.mark.parametrize(
    ("said", "ip"),
    [
        ("203.0.113.66:51234", "203.0.113.66"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("6.6.6.6:1, 192.0.2.4:2, 203.0.113.8:3", "192.0.2.4"),
        ("203.0.113.66:51234:1", None),
        ("[203.0.113.66]:51234x", None),
        ("unknown", None),
        ("_hidden", None),
    ],
)
def test_the_port_that_some_proxies_write_behind_an_address_is_no_part_of_it(settings, said, ip):
    behind(settings, *PROXIES)
    assert client_address("2001:db8::9", said).ip == ip


def test_what_is_no_address_is_said_loudly_once(settings, caplog):
    behind(settings, *PROXIES)
    watch = Watch()
    for _ in range(3):
        watch.see("203.0.113.9", client_address("203.0.113.9", "unknown"))
    assert len([line for line in caplog.messages if "'unknown' is no address" in line]) == 1
    assert watch.lines() == ["addresses: a proxy's X-Forwarded-For held no address"]


@pytest.mark.parametrize(
    ("peers", "count", "noticed"),
    [(["10.0.0.5"], 100, True), (["127.0.0.1"], 100, True), (["10.0.0.5"], 99, False), (["8.8.8.8"], 100, False),
     (["10.0.0.5", "10.0.0.6"], 100, False)],
)  # fmt: skip
def test_an_hour_of_requests_from_one_private_address_means_that_a_proxy_is_not_listed(
    settings, monkeypatch, caplog, peers, count, noticed
):
    behind(settings, insecure_http=False)
    now = [1000.0]
    monkeypatch.setattr("calock.server.web.client_address.time.monotonic", lambda: now[0])
    watch = Watch()
    for number in range(count):
        now[0] += 3600 / count
        peer = peers[number % len(peers)]
        watch.see(peer, client_address(peer, ""))
    assert bool(watch.lines()) == noticed
    assert any("CALOCK_TRUSTED_PROXIES" in line for line in caplog.messages) == noticed


def test_a_listed_proxy_is_no_such_sign(settings, monkeypatch):
    behind(settings, "10.0.0.5", insecure_http=False)
    now = [1000.0]
    monkeypatch.setattr("calock.server.web.client_address.time.monotonic", lambda: now[0])
    watch = Watch()
    for _ in range(200):
        now[0] += 36
        watch.see("10.0.0.5", client_address("10.0.0.5", "192.0.2.4"))
    assert watch.lines() == []


@pytest.mark.parametrize("host", ["shanxi.localhost:80", "shanxi.localhost.", "shanxi.localhost.:80", "SHANXI.localhost"])
def test_another_spelling_of_the_host_is_the_same_host_to_every_check(lock_world, host):
    """Some proxies pass the scheme's own port, or a final dot; the browser's Origin has neither."""
    origin = "http://shanxi.localhost"
    client = Client(headers={"host": host, "origin": origin}, enforce_csrf_checks=True)
    client.cookies["csrftoken"] = "x" * 32
    answer = client.post(
        "/api/challenge", '{"purpose":"login"}', content_type="application/json", headers={"x-csrftoken": "x" * 32}
    )
    assert answer.status_code == 200, answer.content.decode()


@pytest.mark.parametrize("port", ["8741", "80"])
def test_a_host_with_a_foreign_port_is_told_to_the_operator(settings, monkeypatch, caplog, db, port):
    behind(settings, insecure_http=False)
    sites = registry.load_sites(environ={"CALOCK_HOSTS_SHANXI": "ca.example.gov.cn"})
    monkeypatch.setattr(registry, "sites", lambda: sites)
    monkeypatch.setattr("calock.server.web.site_middleware.sites", lambda: sites)
    client = Client(
        headers={"host": f"ca.example.gov.cn:{port}", "origin": f"https://ca.example.gov.cn:{port}"}, enforce_csrf_checks=True
    )
    answer = client.post("/api/challenge", '{"purpose":"login"}', content_type="application/json")
    assert reason_of(answer) == "CSRF_FAILED"
    assert any(f"ca.example.gov.cn:{port}" in line and "'ca.example.gov.cn'" in line for line in caplog.messages)
