"""Unbinding: who may, with what proof, what ends with it and what stays to be read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from worlds.bindings import end, refused, with_password
from worlds.browser import Browser, logged_in, reason_of
from worlds.practice import NOW, make_lock
from worlds.races import in_parallel
from worlds.rows import PASSWORD, rewrite

from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding, LockCertificate, LockKey
from calock.server.providers.models import Provider
from calock.server.providers.services import suspend_provider
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def bound(lock_world):
    with_password(lock_world.member)
    with_password(lock_world.admin)
    lock = make_lock()
    answer = logged_in(lock_world.member).bind(lock, lock_world.member)
    return lock, answer.json()["binding"]["id"]


def test_unbinding_ends_the_locks_sessions_and_keeps_the_history(lock_world, bound):
    lock, binding = bound
    by_lock = Browser()
    by_lock.log_in(lock)
    browser = logged_in(lock_world.member)
    assert end(browser, binding, password=PASSWORD).json() == {"message": "解除绑定成功"}
    assert reason_of(by_lock.client.get("/api/bindings")) == "SESSION_ENDED"
    row = Binding.objects.get(pk=binding)
    assert (row.unbound_by, row.reason) == (lock_world.member, "离职")
    assert AuditEvent.objects.get(event="binding:lock:ended").details["sessions_ended"] == 1
    assert browser.client.get("/api/bindings").json() == {"bindings": []}
    refused(end(browser, binding, password=PASSWORD), "BINDING_ALREADY_ENDED", "binding:lock:end_refused")


def test_an_unbound_lock_can_be_bound_again_by_another(lock_world, bound):
    lock, binding = bound
    end(logged_in(lock_world.member), binding, password=PASSWORD)
    assert logged_in(lock_world.colleague).bind(lock, lock_world.colleague).status_code == 200
    assert Binding.objects.filter(lock__lock_id="SX-0001").count() == 2
    assert LockCertificate.objects.count() == LockKey.objects.count() == 1
    assert Browser().log_in(lock).status_code == 200
    assert Session.objects.get(method="ca").account == lock_world.colleague


def test_a_former_holder_reads_nothing_of_the_next_ones_certificate(lock_world, bound):
    """Nor does his administrator; of another organisation's it would be more than the sentence that the lock is taken."""
    _, binding = bound
    assert end(logged_in(lock_world.member), binding, password=PASSWORD).status_code == 200
    next_one = make_lock(number=1, name="别家有限公司_周秘密")
    after = logged_in(lock_world.outsider).bind(next_one, lock_world.outsider).json()["binding"]["id"]
    for former in (lock_world.member, lock_world.admin):
        client = logged_in(former).client
        ended = client.get("/system/ca/?state=ended").content.decode()
        detail = client.get(f"/system/ca/{binding}/").content.decode()
        assert "测试单位_张三" in detail
        assert "周秘密" not in ended + detail
        assert binding not in client.get("/system/ca/?state=ended&q=周秘密").content.decode()
        assert binding in client.get("/system/ca/?state=ended&q=测试单位_张三").content.decode()
    client = logged_in(lock_world.outsider).client
    shown = client.get("/system/ca/").content.decode() + client.get(f"/system/ca/{after}/").content.decode()
    assert "周秘密" in shown
    assert "测试单位_张三" not in shown
    assert after in client.get("/system/ca/?q=周秘密").content.decode()
    assert after not in client.get("/system/ca/?q=测试单位_张三").content.decode()


def test_a_certificate_that_came_back_is_not_shown_to_who_held_the_lock_between(lock_world, bound):
    lock, binding = bound
    with_password(lock_world.outsider)
    assert end(logged_in(lock_world.member), binding, password=PASSWORD).status_code == 200
    between = logged_in(lock_world.outsider).bind(make_lock(number=1, name="别家"), lock_world.outsider).json()["binding"]["id"]
    assert end(logged_in(lock_world.outsider), between, password=PASSWORD).status_code == 200
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    told = logged_in(lock_world.outsider).client.get(f"/system/ca/{between}/").content.decode()
    assert "测试单位_张三" not in told


def test_unbinding_with_the_lock_itself(lock_world, bound):
    lock, binding = bound
    browser = logged_in(lock_world.member)
    text = browser.challenge("unbind", binding=binding)
    assert end(browser, binding, challenge=text, token=lock.sign(text)).status_code == 200


def test_an_unbind_answer_is_for_one_binding(lock_world, bound):
    lock, binding = bound
    second = make_lock("EC", lock_id="SX-0002")
    browser = logged_in(lock_world.member)
    other = browser.bind(second, lock_world.member).json()["binding"]["id"]
    text = browser.challenge("unbind", binding=other)
    answer = end(browser, binding, challenge=text, token=lock.sign(text))
    refused(answer, "CHALLENGE_WRONG_CONTEXT", "binding:lock:end_refused")
    text = browser.challenge("stepup")
    answer = end(browser, binding, challenge=text, token=lock.sign(text))
    refused(answer, "CHALLENGE_WRONG_PURPOSE", "binding:lock:end_refused")
    assert Binding.objects.live().count() == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "STEP_UP_REQUIRED"),
        ({"password": ""}, "STEP_UP_REQUIRED"),
        ({"password": "wrong"}, "STEP_UP_FAILED"),
        ({"password": "x" * 2000}, "STEP_UP_FAILED"),
        ({"password": PASSWORD, "reason": ""}, "REASON_MISSING"),
        ({"password": PASSWORD, "reason": " \n "}, "REASON_MISSING"),
        ({"challenge": "x", "token": {}}, "CHALLENGE_MALFORMED"),
    ],
)
def test_unbinding_wants_a_reason_and_a_proof(lock_world, bound, body, reason):
    _, binding = bound
    refused(end(logged_in(lock_world.member), binding, **body), reason, "binding:lock:end_refused")
    assert Binding.objects.live().count() == 1


def test_an_administrator_unbinds_for_a_member_with_his_own_password(lock_world, bound):
    _, binding = bound
    browser = logged_in(lock_world.admin)
    assert end(browser, binding, password=PASSWORD, reason="岗位调整\x00\r\n" + "长" * 500).status_code == 200
    row = Binding.objects.get(pk=binding)
    assert row.unbound_by == lock_world.admin
    assert len(row.reason) == 200
    assert row.reason.startswith("岗位调整···")


@pytest.mark.parametrize("by", ["colleague", "outsider", "outside_admin", "operator", "expert"])
def test_nobody_else_unbinds_or_learns_that_it_exists(lock_world, bound, by):
    _, binding = bound
    actor = with_password(getattr(lock_world, by))
    told = refused(end(logged_in(actor), binding, password=PASSWORD), "BINDING_NOT_FOUND", "binding:lock:end_refused")
    unknown = end(logged_in(actor), "00000000-0000-4000-8000-000000000000", password=PASSWORD).json()["error"]
    assert {**told, "number": ""} == {**unknown, "number": ""}


def test_the_only_way_into_an_account_is_not_taken_away(lock_world):
    lock = make_lock()
    lock_world.member.set_unusable_password()
    lock_world.member.save()
    browser = logged_in(lock_world.member)
    binding = browser.bind(lock, lock_world.member).json()["binding"]["id"]
    text = browser.challenge("unbind", binding=binding)
    refused(end(browser, binding, challenge=text, token=lock.sign(text)), "LAST_LOCK", "binding:lock:end_refused")
    with_password(lock_world.admin)
    assert end(logged_in(lock_world.admin), binding, password=PASSWORD).status_code == 200


@pytest.mark.parametrize("other", ["good", "expired", "revoked", "held", "suspended"])
def test_a_lock_that_does_not_log_in_is_no_other_way_in(lock_world, other):
    lock, second = make_lock(), make_lock("EC", number=1, lock_id="SX-0002")
    lock_world.member.set_unusable_password()
    lock_world.member.save()
    browser = logged_in(lock_world.member)
    binding = browser.bind(lock, lock_world.member).json()["binding"]["id"]
    browser.bind(second, lock_world.member)
    row = LockCertificate.objects.filter(lock__lock_id="SX-0002")
    if other == "expired":
        row.update(not_after=NOW - timedelta(days=1))
    elif other == "revoked":
        row.update(revoked_at=NOW)
    elif other == "held":
        lock_world.revoke(second, "certificateHold")
    elif other == "suspended":
        suspend_provider(provider=Provider.objects.get(code="lianxi-ec"), reason="通报", by=lock_world.operator, context=None)
    text = browser.challenge("unbind", binding=binding)
    answer = end(browser, binding, challenge=text, token=lock.sign(text))
    if other == "good":
        assert answer.status_code == 200
    else:
        refused(answer, "LAST_LOCK", "binding:lock:end_refused")


def test_a_password_is_no_other_way_in_where_a_dead_lock_keeps_it_from_counting(lock_world):
    """Whoever goes by their lock unbinds the dead one first: with no lock bound the password counts again."""
    lock, dead = make_lock(), make_lock("EC", number=1, lock_id="SX-0002")
    browser = logged_in(with_password(lock_world.member))
    ids = [browser.bind(one, lock_world.member).json()["binding"]["id"] for one in (lock, dead)]
    rewrite(Account.objects.get(pk=lock_world.member.pk), lock_only=True)
    LockCertificate.objects.filter(lock__lock_id="SX-0002").update(revoked_at=NOW)

    def unbind(binding):
        text = browser.challenge("unbind", binding=binding)
        return end(browser, binding, challenge=text, token=lock.sign(text))

    refused(unbind(ids[0]), "LAST_LOCK", "binding:lock:end_refused")
    assert [unbind(binding).status_code for binding in reversed(ids)] == [200, 200]


@pytest.mark.django_db(transaction=True)
def test_unbinding_twice_at_once_ends_it_once(committed_lock_world):
    world = committed_lock_world
    with_password(world.member)
    browser = logged_in(world.member)
    binding = browser.bind(make_lock(), world.member).json()["binding"]["id"]
    statuses = in_parallel([lambda: end(logged_in(world.member), binding, password=PASSWORD).status_code] * 4)
    assert sorted(statuses) == [200, 409, 409, 409]
    assert AuditEvent.objects.filter(event="binding:lock:ended").count() == 1
