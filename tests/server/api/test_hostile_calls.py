"""Generated requests to every JSON call there is: whatever comes, the answer is a refusal in words, and no row is half-written.

The calls are read from the address table, so a call added later is tried without a line here. ``--hypothesis-profile=search``
(which ``make fuzz`` uses) sends many more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds.browser import Browser, page_client
from worlds.practice import make_lock

from calock.core.refusals import Reason
from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.organisations.models import Organisation
from calock.server.tools import throttle

pytestmark = pytest.mark.django_db

FIELDS = ["purpose", "member", "provider", "binding", "challenge", "token", "device", "next", "reason", "password"]
TOKEN_FIELDS = ["format", "unverifiedCertificate", "algorithm", "signature"]


def calls(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """The paths below ``/api/``, with a value for each argument."""
    for item in patterns:
        path = before + str(item.pattern).replace("<uuid:binding>", str(UUID(int=7)))
        if isinstance(item, URLResolver):
            yield from calls(item.url_patterns, path)
        elif path.startswith("api/"):
            yield f"/{path}"


CALLS = sorted(set(calls(get_resolver().url_patterns)))

texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["", "\x00", "\ud800", "login", "bind", "unbind", "stepup", "c2.login.0.x.y.z", "A" * 5_000, "../../etc", "' OR 1=1 --"]
    ),
    st.uuids().map(str),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
tokens = st.dictionaries(st.sampled_from(TOKEN_FIELDS), values, max_size=4) | values
bodies = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6).map(json.dumps),
    st.fixed_dictionaries({"challenge": texts, "token": tokens}, optional={"provider": texts, "member": texts}).map(json.dumps),
    values.map(json.dumps),
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"{", b"[" * 3_000, b'{"token":' * 500, b'{"a":1,"a":2}', b'{"challenge":NaN}', b"9" * 6_000, b'"\\ud800"']
    ),
)
"""A call's fields with wrong values, other JSON, and octets that are none."""

KINDS = [
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
]


def rows() -> list[Any]:
    return [list(model.objects.order_by("pk").values_list()) for model in (Account, Organisation, Lock, LockCertificate, Binding)]


def test_every_call_is_found():
    assert {
        "/api/challenge",
        "/api/login",
        "/api/bindings",
        "/api/step-up",
        "/api/site",
        f"/api/bindings/{UUID(int=7)}/end",
    } <= set(CALLS)


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("role", ["nobody", "member"])
def test_whatever_is_sent_the_answer_is_a_refusal_in_words_and_nothing_is_half_written(lock_world, client_of, path, role):
    browser = client_of(role)
    before = rows()

    @settings(max_examples=max(settings().max_examples // 8, 10), suppress_health_check=list(HealthCheck))
    @given(body=bodies, method=st.sampled_from(["post", "post", "post", "get", "put", "delete"]), kind=st.sampled_from(KINDS))
    def send(body: Any, method: str, kind: str) -> None:
        throttle.reset()
        text = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        if method == "get":
            answer = browser.client.get(path, {"q": text[:50].decode("latin-1")})
        else:
            answer = getattr(browser.client, method)(path, text, content_type=kind)
        if answer.status_code == 200:
            assert method == "get" or (path == "/api/challenge" and "challenge" in answer.json())
            return
        assert 400 <= answer.status_code < 500
        told = answer.json()["error"]
        assert told["reason"] in set(Reason)
        assert told["message"]
        assert told["action"]["label"]
        assert told["action"]["href"].startswith("/")

    send()
    assert rows() == before


@pytest.fixture
def client_of(lock_world):
    """A browser of a role; who is logged in has one lock bound, so that there is something to break."""
    owner = Browser()
    owner.enter(lock_world.member)
    owner.bind(make_lock(), lock_world.member)

    def make(role: str) -> Browser:
        browser = Browser(ip="192.0.2.44")
        if role != "nobody":
            browser.enter(getattr(lock_world, role))
        return browser

    return make


@pytest.mark.parametrize(
    "address",
    [
        "/apps/?x=" + "x" * 20_000,  # the address to come back to would be too long for a redirect
        "/login/?x=" + "&" * 2_000,  # more fields than are read
    ],
)
def test_an_address_of_any_length_is_refused_in_words_and_fills_no_log(caplog, address):
    answer = page_client("shanxi").get(address)
    assert answer.status_code == 400
    assert AuditEvent.objects.get().number in answer.content.decode()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
