"""备注, 主锁/备用锁, and the warning when one lock is left."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in, page_client
from worlds.practice import ORIGIN, make_lock
from worlds.rows import USCC

from calock.server.audit.models import AuditEvent
from calock.server.locks.last_lock import last_lock
from calock.server.locks.models import Binding, LockCertificate
from calock.server.locks.suspension import suspend_lock
from calock.server.notices.models import Notice

pytestmark = pytest.mark.django_db
HOSTILE = "<script>\u202e'\"&"


@pytest.fixture
def two(lock_world):
    first = bound(make_lock(), lock_world.member)
    answer = logged_in(lock_world.member).bind(make_lock(number=1, lock_id="SX-0002"), lock_world.member, choose="another")
    assert answer.status_code == 200
    return first, Binding.objects.exclude(pk=first.pk).get()


def name(by, binding, label="", rank=""):
    browser = logged_in(by)
    return browser.client.post(f"/system/ca/{binding.pk}/label/", {"label": label, "rank": rank}, headers={"origin": ORIGIN})


def test_a_label_is_shown_where_the_lock_is_and_is_never_markup(lock_world, two):
    first, _ = two
    assert name(lock_world.member, first, HOSTILE, "main").status_code == 302
    for path in ("/system/ca/", f"/system/ca/{first.pk}/", "/system/ca/expiry/", "/apps/", "/user-center/"):
        page = logged_in(lock_world.member).client.get(path).content.decode()
        assert "<script>·" not in page, path
        assert ("主锁 · &lt;script&gt;·" in page) == (path != "/apps/"), path
    suspend_lock(binding=first.pk, reason="", by=lock_world.member, context=context(account=lock_world.member))
    assert Notice.objects.get(account=lock_world.member, kind="lock_suspended").facts["lock"].startswith("SX-0001（<script>·")
    to_others = Notice.objects.exclude(account=lock_world.member)
    assert [notice.facts["lock"] for notice in to_others] == ["SX-0001"]  # a label goes with its person
    assert "script" not in repr(list(AuditEvent.objects.values()))


def test_an_account_has_one_main_lock_and_the_administrator_names_a_members(lock_world, two):
    first, second = two
    name(lock_world.member, first, "财务室", "main")
    name(lock_world.admin, second, "投标", "main")
    assert list(Binding.objects.order_by("bound_at").values_list("label", "rank")) == [("财务室", "spare"), ("投标", "main")]
    assert AuditEvent.objects.filter(event="binding:lock:labelled").count() == 2


def test_others_locks_ended_ones_long_labels_and_unknown_ranks_are_refused(lock_world, two):
    first, second = two
    for stranger in (lock_world.colleague, lock_world.outsider, lock_world.outside_admin):
        assert name(stranger, first, "我的").status_code == 404
    Binding.objects.filter(pk=second.pk).update(unbound_at=timezone.now())
    assert name(lock_world.member, second, "旧").status_code == 404
    assert name(lock_world.member, first, "长" * 21).status_code == 400
    assert name(lock_world.member, first, "短", "best").status_code == 400
    assert set(Binding.objects.values_list("label", "rank")) == {("", "")}


def test_the_page_says_in_its_language_what_is_wrong_with_a_label(lock_world, two):
    browser, address = page_client("shanxi", lock_world.member, english=True), f"/system/ca/{two[0].pk}/label/"
    assert "A label has at most 20 characters." in browser.post(address, {"label": "x" * 21, "rank": ""}).content.decode()
    page = browser.post(address, {"label": "x", "rank": "best"}).content.decode()
    assert not re.search("[一-鿿]", page.partition('role="alert">')[2].partition("</div>")[0])


def test_the_same_label_again_fills_no_trail(lock_world, two):
    for _ in range(3):
        name(lock_world.member, two[0], "财务室", "main")
    assert AuditEvent.objects.filter(event="binding:lock:labelled").count() == 1


def test_the_last_lock_is_warned_of_from_30_days_before_its_end_and_after_another_went(lock_world, two):
    first, second = two
    now = timezone.now()
    assert last_lock(lock_world.member, at=now) is None
    suspend_lock(binding=first.pk, reason="", by=lock_world.member, context=context(account=lock_world.member))
    assert last_lock(lock_world.member, at=now).binding == second
    for path in ("/system/ca/", "/apps/", "/user-center/"):
        assert "只剩一把可以登录的 CA 锁 SX-0002" in logged_in(lock_world.member).client.get(path).content.decode()
    Binding.objects.filter(pk=first.pk).update(suspended_at=now - timedelta(days=31))
    assert last_lock(lock_world.member, at=now) is None
    Binding.objects.filter(pk=first.pk).update(unbound_at=now, reason="已由新锁替换")
    assert last_lock(lock_world.member, at=now).binding == second, "what somebody typed as the reason says nothing"
    Binding.objects.filter(pk=first.pk).update(replaced_by=second.lock_id)
    assert last_lock(lock_world.member, at=now) is None
    LockCertificate.objects.filter(lock=second.lock_id).update(not_after=now + timedelta(days=29))
    assert last_lock(lock_world.member, at=now).binding == second


def test_the_cards_of_plugged_in_locks_and_the_question_of_a_new_one_say_the_label(lock_world):
    first = bound(make_lock(uscc=USCC), lock_world.member)
    name(lock_world.member, first, "财务室", "main")
    suspend_lock(binding=first.pk, reason="", by=lock_world.member, context=context(account=lock_world.member))
    page = logged_in(lock_world.member).client.get("/system/ca/").content.decode()
    assert '<script id="lock-labels" type="application/json">{"SX-0001": "主锁 · 财务室"' in page
    for other in (Browser(), logged_in(lock_world.colleague)):
        assert "财务室" not in other.client.get("/login/").content.decode()
        assert "财务室" not in other.client.get("/confirm/").content.decode()
    answer = logged_in(lock_world.member).bind(make_lock(number=1, lock_id="SX-0002", uscc=USCC), lock_world.member)
    (asked,) = answer.json()["question"]["candidates"]
    assert (asked["binding"], asked["act"], asked["label"], asked["lost"]) == (str(first.pk), "replace", "财务室", True)
