"""Who gets into the console: operators with a fresh proof, and for everybody else it does not exist (A95)."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver
from django.utils import timezone
from worlds.browser import CONSOLE_ORIGIN, console_client, prove

from calock.server.accounts.models import Account, AccountState, Role
from calock.server.audit.models import AuditEvent
from calock.server.providers.models import Provider, ProviderState
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def addresses() -> list[str]:
    """One concrete address for every route under /console/."""
    found = []

    def walk(prefix: str, patterns) -> None:
        for item in patterns:
            route = prefix + str(item.pattern)
            if isinstance(item, URLResolver):
                walk(route, item.url_patterns)
            elif isinstance(item, URLPattern):
                found.append(route)

    walk("", admin.site.urls[0])
    concrete = {re.sub(r"<uuid:\w+>|<path:\w+>|<int:\w+>", str(uuid.UUID(int=1)), route) for route in found}
    return sorted("/console/" + re.sub(r"\(\?P<url>\.\*\)\$|\^|\$", "", route).replace("\\", "") for route in concrete)


ADDRESSES = addresses()


def test_there_are_addresses_to_try():
    assert len(ADDRESSES) > 30
    assert "/console/trust/" in ADDRESSES


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_is_sent_to_the_login_page_and_does_nothing(world, method):
    stranger = console_client(None)
    for address in ADDRESSES:
        answer = getattr(stranger, method)(address)
        if method == "get":
            assert answer.status_code == 302, address
            assert answer["Location"].startswith("/login/?next=%2Fconsole%2F"), address
        else:
            assert answer.status_code in (401, 403), address
    assert Provider.objects.get().state == ProviderState.ENABLED


@pytest.mark.parametrize("method", ["get", "post"])
def test_for_members_and_administrators_there_is_no_console(world, outsider, method):
    for address in ADDRESSES:
        assert getattr(outsider, method)(address).status_code == 404, address


def test_members_cannot_take_steps_on_real_rows(world, outsider):
    step = f"/console/providers/{world.provider.pk}/step/"
    assert outsider.post(step, {"step": "suspend", "reason": "x"}).status_code == 404
    assert outsider.post(f"/console/accounts/account/{world.first.pk}/change/", {"step": "disable"}).status_code == 404
    assert Provider.objects.get().state == ProviderState.ENABLED
    assert Account.objects.get(pk=world.first.pk).is_active
    assert AuditEvent.objects.filter(reason="NOT_FOUND").exists()


@pytest.mark.parametrize("change", [{"role": Role.MEMBER}, {"state": AccountState.DISABLED}])
def test_a_role_taken_away_closes_the_console_at_once(world, first, change):
    assert first.get("/console/trust/").status_code == 200
    Account.objects.filter(pk=world.first.pk).update(**change)
    assert first.get("/console/trust/").status_code in (302, 404)


def test_an_old_proof_leads_to_the_proof_page_and_back(world):
    browser = console_client(world.first, proof_age=timedelta(minutes=15, seconds=5))
    for address in ADDRESSES:
        answer = browser.get(address)
        assert answer.status_code == 302, address
        assert answer["Location"].startswith("/confirm/?next=%2Fconsole%2F"), address
    page = browser.get("/confirm/?next=/console/failures/%3Fperiod%3D7d").content.decode()
    assert 'data-purpose="stepup"' in page
    assert 'data-next="/console/failures/?period=7d"' in page
    assert 'name="password"' not in page  # SEC09: a password opens no console
    prove(browser.session_row)
    assert browser.get("/console/trust/").status_code == 200


def test_sec09_a_password_is_no_proof_for_the_console(world):
    world.first.set_password("x9!kkd-Long-1")
    world.first.save()
    browser = console_client(world.first, proof_age=timedelta(minutes=16))
    answer = browser.post("/confirm/?next=/console/trust/", {"password": "x9!kkd-Long-1"})
    assert answer.status_code == 403
    assert "须用已绑定的 CA 锁确认身份" in answer.content.decode()
    assert AuditEvent.objects.get(event="login:step_up:refused").reason == "LOCK_PROOF_REQUIRED"
    assert browser.get("/console/trust/").status_code == 302


def test_where_operators_may_do_with_a_password_it_is_asked_for_every_quarter_of_an_hour(world, settings):
    settings.CALOCK = replace(settings.CALOCK, operators_need_lock=False)
    world.first.set_password("x9!kkd-Long-1")
    world.first.save()
    browser = console_client(world.first, proof_age=timedelta(minutes=16))
    assert browser.get("/console/trust/").status_code == 302
    assert 'name="password"' in browser.get("/confirm/?next=/console/trust/").content.decode()
    assert browser.post("/confirm/?next=/console/trust/", {"password": "wrong"}).status_code == 403
    answer = browser.post("/confirm/?next=/console/failures/%3Fperiod%3D7d", {"password": "x9!kkd-Long-1"})
    assert answer["Location"] == "/console/failures/?period=7d"
    assert browser.get("/console/trust/").status_code == 200
    assert AuditEvent.objects.filter(event="login:step_up:succeeded").count() == 1


def test_a_post_with_an_old_proof_does_nothing(world):
    browser = console_client(world.first, proof_age=timedelta(minutes=16))
    step = f"/console/providers/{world.provider.pk}/step/"
    seen = f"http://127.0.0.1/console/providers/{world.provider.pk}/"
    for referer, back in (("https://elsewhere.example/", "/console/"), (seen, f"/console/providers/{world.provider.pk}/")):
        answer = browser.post(step, {"step": "suspend", "reason": "x"}, headers={"Referer": referer})
        assert answer["Location"] == f"/confirm/?{urlencode({'next': back})}"
    assert Provider.objects.get().state == ProviderState.ENABLED


@pytest.mark.parametrize(
    "wanted", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "", "/confirm/", "\x00"]
)
def test_the_proof_page_leads_nowhere_else(world, wanted, member):
    browser = console_client(member)
    answer = browser.post("/confirm/", {"password": "x9!kkd-Long-1"}, query_params={"next": wanted})
    assert answer["Location"] == "/system/ca/"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_another_site_cannot_press_a_button(world, first, origin):
    step = f"/console/providers/{world.provider.pk}/step/"
    strict = Client(enforce_csrf_checks=True, headers={"Host": "127.0.0.1"})
    strict.cookies = first.cookies
    assert strict.post(step, {"step": "suspend", "reason": "x"}, headers={"Origin": origin}).status_code == 403
    assert Provider.objects.get().state == ProviderState.ENABLED


def test_a_button_needs_the_form_s_token(world, first):
    strict = Client(enforce_csrf_checks=True, headers={"Host": "127.0.0.1", "Origin": CONSOLE_ORIGIN})
    strict.cookies = first.cookies
    step = f"/console/providers/{world.provider.pk}/step/"
    assert strict.post(step, {"step": "suspend", "reason": "x"}).status_code == 403
    assert Provider.objects.get().state == ProviderState.ENABLED


ROWS = ("accounts/account", "organisations/organisation", "locks/lock", "locks/binding", "audit/auditevent")


@pytest.mark.parametrize("rows", ROWS)
def test_rows_are_never_added_edited_or_deleted_by_the_admin(world, first, rows):
    for address in (
        f"/console/{rows}/add/",
        f"/console/{rows}/{world.first.pk}/delete/",
        f"/console/{rows}/{world.first.pk}/history/",
    ):
        assert first.get(address).status_code == 404, address
        assert first.post(address, {"post": "yes"}).status_code == 404, address
    assert first.post(f"/console/{rows}/", {"action": "delete_selected", "_selected_action": [world.first.pk]}).status_code < 500
    assert Account.objects.filter(pk=world.first.pk).exists()


@pytest.mark.parametrize("address", ["/console/login/", "/console/logout/", "/console/password_change/", "/console/r/1/1/"])
def test_the_admins_own_login_does_not_exist(world, first, address):
    assert first.get(address).status_code == 404


ODD = (
    "q=%00",
    "q=" + "x" * 3000,
    "p=999999",
    "o=99.-3",
    "nosuch=1",
    "provider=%27--",
    "from=never&to=2026-02-30",
    "from=9999-12-31",
    "e=1",
    "verify=1&q=%27",
)


@pytest.mark.parametrize("rows", [*ROWS, "downloads/driverpackage"])
def test_a_list_answers_any_question_without_failing(world, first, rows):
    for query in ODD:
        assert first.get(f"/console/{rows}/?{query}").status_code in (200, 302, 400, 404), query


def test_pages_hold_no_inline_script_or_style(world, first, member):
    """The policy forbids them; a page that needs them would be broken."""
    rows = [f"/console/accounts/account/{member.pk}/change/", f"/console/providers/{world.provider.pk}/"]
    for address in [*ADDRESSES, *rows]:
        answer = first.get(address)
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            html = answer.content.decode()
            assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|<style", html), address
            assert "unsafe-inline" not in answer["Content-Security-Policy"]


def test_an_idle_operator_is_out_after_a_quarter_of_an_hour(world, first):
    Session.objects.update(last_seen_at=timezone.now() - timedelta(minutes=15, seconds=5))
    assert first.get("/console/trust/").status_code == 302
