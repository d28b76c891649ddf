"""One holder has several locks, and a lock with a new key is what its person says it is: the same one, its successor, one more."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in, reason_of, refusal_row
from worlds.practice import NOW, family, make_lock
from worlds.rows import PASSWORD, USCC, install

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact
from calock.server.locks import consent
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.locks.suspension import suspend_lock
from calock.server.login.services import login_with_password
from calock.server.sessions.models import Session
from calock.server.sites.registry import sites

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=700)


def first_lock(**fields):
    return make_lock("EC", uscc=USCC, **fields)


def next_lock(*, lock_id="SX-0002", **fields):
    return make_lock("EC", number=1, uscc=USCC, not_after=LATER, lock_id=lock_id, **fields)


def asked(world, lock):
    """(what to send, the question) when a member's second lock is bound."""
    browser = logged_in(world.member)
    aim = {"member": str(world.member.pk), "provider": lock.family.provider}
    text = browser.challenge("bind", **aim)
    sent = {"challenge": text, "token": lock.sign(text), **aim}
    answer = browser.post("/api/bindings", sent)
    assert answer.status_code == 200, answer.content.decode()
    return browser, sent, answer.json()["question"]


def test_colleagues_of_one_firm_bind_a_lock_each(lock_world):
    """Also when the CA wrote one and the same id into both."""
    one, two = first_lock(), next_lock(lock_id="SX-0001")
    bound(one, lock_world.member)
    bound(two, lock_world.colleague)
    for lock, person in ((one, lock_world.member), (two, lock_world.colleague)):
        assert Browser().log_in(lock).status_code == 200
        assert Session.objects.filter(account=person, method="ca").count() == 1
    assert Lock.objects.filter(lock_id="SX-0001").count() == 2


def test_the_question_uses_nothing_up_and_is_no_refusal(lock_world):
    binding = bound(first_lock(), lock_world.member)
    browser, sent, question = asked(lock_world, next_lock())
    assert [(row["binding"], row["act"]) for row in question["candidates"]] == [(str(binding.pk), "replace")]
    assert (Binding.objects.count(), Lock.objects.count()) == (1, 1)
    assert not AuditEvent.objects.filter(event="binding:lock:refused").exists()
    assert browser.post("/api/bindings", {**sent, "choice": {"act": "another"}}).json()["binding"]["lockId"] == "SX-0002"
    assert reason_of(browser.post("/api/bindings", {**sent, "choice": {"act": "another"}})) == "CHALLENGE_SPENT"


def test_one_more_lock_leaves_the_first_as_it_is(lock_world):
    one, two = first_lock(), next_lock()
    bound(one, lock_world.member)
    assert logged_in(lock_world.member).bind(two, lock_world.member, choose="another").status_code == 200
    assert Browser().log_in(one).status_code == 200
    assert Browser().log_in(two).status_code == 200


@pytest.mark.parametrize("by_lock", [True, False], ids=["proved by that lock", "proved by password"])
def test_what_stood_on_a_replaced_lock_stands_on_the_next_one_if_that_lock_proved_it(lock_world, by_lock):
    one, two = first_lock(), next_lock()
    member = lock_world.member
    old = bound(one, member)
    member.password_by_lock_id = old.lock_id
    member.set_password(PASSWORD)
    member.save()
    made = Contact(account=member, kind="mail", site="shanxi", language="en", added_at=timezone.now(), verified_at=timezone.now())
    made.value, made.by_lock = "zhang@supplier.example", old.lock_id
    made.save()
    browser = logged_in(member)
    if by_lock:
        browser = Browser()
        assert browser.log_in(one).status_code == 200
    assert browser.bind(two, member, choose="replace").status_code == 200
    if not by_lock:  # whoever has the old lock may have made them
        assert not Contact.objects.exists()
        assert not Account.objects.get(pk=member.pk).has_usable_password()
        return
    assert Contact.objects.exists()
    login_with_password(username="zhangsan", password=PASSWORD, context=context())
    suspend_lock(binding=Binding.objects.live().get().pk, reason="", by=member, context=context(account=member))
    assert not Contact.objects.exists()
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username="zhangsan", password=PASSWORD, context=context())


def test_a_replaced_lock_logs_in_no_more_and_its_sessions_end(lock_world):
    one, two = first_lock(), next_lock()
    old = bound(one, lock_world.member)
    assert Browser().log_in(one).status_code == 200
    assert logged_in(lock_world.member).bind(two, lock_world.member, choose="replace").status_code == 200
    old.refresh_from_db()
    assert (old.unbound_by, old.reason) == (lock_world.member, "已由新锁替换")
    assert old.replaced_by == Binding.objects.live().get().lock
    assert not Session.objects.filter(lock=old.lock_id, ended_at=None).exists()
    assert reason_of(Browser().log_in(one)) == "LOCK_NOT_BOUND"
    assert Browser().log_in(two).status_code == 200
    events = list(AuditEvent.objects.filter(event__startswith="binding:lock").order_by("id").values_list("event", flat=True))
    assert sorted(events) == ["binding:lock:added", "binding:lock:added", "binding:lock:ended"]


def test_on_the_same_device_a_new_key_renews_and_the_binding_stays(lock_world):
    one, two = first_lock(), next_lock(lock_id="SX-0001")
    binding = bound(one, lock_world.member)
    assert reason_of(Browser().log_in(two)) == "RENEWAL_NEEDS_STEP_UP"
    browser, sent, question = asked(lock_world, two)
    assert question["candidates"][0]["act"] == "renew"
    answer = browser.post("/api/bindings", {**sent, "choice": {"act": "renew", "binding": str(binding.pk)}})
    assert answer.json()["binding"]["id"] == str(binding.pk)
    assert LockCertificate.objects.filter(lock=binding.lock_id).count() == 2
    assert Browser().log_in(two).status_code == 200
    assert reason_of(Browser().log_in(one)) == "CERTIFICATE_SUPERSEDED"


def test_the_same_id_alone_renews_nothing(lock_world):
    """The device's id with another holder's certificate: no question, no hint at the login, a lock of its own."""
    bound(first_lock(), lock_world.member)
    stranger = make_lock("EC", number=1, lock_id="SX-0001", name="别人")
    assert reason_of(Browser().log_in(stranger)) == "LOCK_NOT_BOUND"
    bound(stranger, lock_world.outsider)
    assert Lock.objects.count() == 2


@pytest.mark.parametrize("act", ["renew", "replace"])
def test_a_choice_that_was_not_offered_is_refused(lock_world, act):
    """Another device is not renewed, and a colleague's binding is neither renewed nor ended by one's own lock."""
    own, colleagues = first_lock(), make_lock("EC", number=2, uscc=USCC, lock_id="SX-0003")
    binding = bound(own if act == "renew" else colleagues, lock_world.member if act == "renew" else lock_world.colleague)
    if act == "replace":
        bound(own, lock_world.member)
    browser, sent, _ = asked(lock_world, next_lock())
    choice = {"act": act, "binding": str(binding.pk)}
    refusal_row(browser.post("/api/bindings", {**sent, "choice": choice}), "BINDING_NOT_FOUND")
    assert Binding.objects.live().filter(pk=binding.pk).exists()
    assert reason_of(browser.post("/api/bindings", {**sent, "choice": {"act": "another"}})) == "CHALLENGE_SPENT"


def test_a_revoked_lock_is_not_renewed_but_replaced(lock_world):
    one, two = first_lock(), next_lock(lock_id="SX-0001")
    bound(one, lock_world.member)
    lock_world.revoke(one)
    refusal_row(Browser().log_in(one), "CERTIFICATE_REVOKED")
    _, _, question = asked(lock_world, two)
    assert question["candidates"][0]["act"] == "replace"
    assert logged_in(lock_world.member).bind(two, lock_world.member, choose="replace").status_code == 200
    assert Browser().log_in(two).status_code == 200


def test_the_move_to_another_ca_of_the_provider_is_asked_like_any_other(lock_world):
    """国密升级: the provider's other CA issues the new certificate, over a new key."""
    one = first_lock()
    bound(one, lock_world.member)
    owner = family("EC")
    key = make_lock("EC", number=1).key
    moved = type(one)(
        key, owner.root.issue_lock("测试单位_张三", key, not_before=NOW, not_after=LATER, lock_id="SX-0009", uscc=USCC), owner
    )
    assert reason_of(Browser().log_in(moved)) == "LOCK_NOT_BOUND"
    assert logged_in(lock_world.member).bind(moved, lock_world.member, choose="replace").status_code == 200
    assert Browser().log_in(moved).status_code == 200
    assert Binding.objects.live().count() == 1


def test_who_binds_for_a_member_that_must_consent_is_not_asked_and_replaces_nothing(lock_world, monkeypatch):
    one, two = first_lock(), next_lock()
    binding = bound(one, lock_world.member)
    members = msgspec.structs.replace(sites()["shanxi"].members, bind_for_member="member")
    profiles = {code: msgspec.structs.replace(profile, members=members) for code, profile in sites().items()}
    monkeypatch.setattr(consent, "sites", lambda: profiles)
    admin = logged_in(lock_world.admin)
    choice = {"act": "replace", "binding": str(binding.pk)}
    refusal_row(admin.bind(two, lock_world.member, choice=choice), "BINDING_NOT_FOUND")
    assert admin.bind(two, lock_world.member).status_code == 200
    assert Binding.objects.live().count() == 2
    assert reason_of(Browser().log_in(two)) == "LOCK_NOT_CONFIRMED"


def test_a_device_serial_joins_locks_of_one_holder_only(lock_world):
    """The driver's word about the device is a hint: with the holder's certificate it offers the renewal, alone it is nothing."""
    install(lock_world.families[1], rules={"identity": {"lock": [{"source": "device"}]}})
    device = {"serial": "K20250001", "label": "UKey", "manufacturer": "x"}
    browser = logged_in(lock_world.member)
    assert browser.bind(first_lock(lock_id=""), lock_world.member, device=device).status_code == 200
    answer = browser.bind(next_lock(lock_id=""), lock_world.member, device=device)
    assert answer.json()["question"]["candidates"][0]["act"] == "renew"
    other = browser.bind(next_lock(lock_id=""), lock_world.member, device={**device, "serial": "K20250002"})
    assert other.json()["question"]["candidates"][0]["act"] == "replace"


def test_an_id_that_several_bound_locks_show_denotes_no_device(lock_world):
    """A CA that writes the firm into the field: its second lock is one more, and no third one passes for a renewal."""
    bound(first_lock(), lock_world.member)
    bound(next_lock(lock_id="SX-0001"), lock_world.colleague)
    third = make_lock("EC", number=2, uscc=USCC, not_after=LATER, lock_id="SX-0001")
    assert reason_of(Browser().log_in(third)) == "LOCK_NOT_BOUND"
    _, _, question = asked(lock_world, third)
    assert [row["act"] for row in question["candidates"]] == ["replace"]


@pytest.mark.parametrize("serial", ["00000000", "1234567890", "0123456789ABCDEF", "FFFFFFFF", "000000000001"])
def test_a_serial_that_makers_put_into_every_device_is_none(lock_world, serial):
    install(lock_world.families[1], rules={"identity": {"lock": [{"source": "device"}]}})
    lock = first_lock(lock_id="")
    device = {"serial": serial, "label": "UKey", "manufacturer": "x"}
    answer = logged_in(lock_world.member).bind(lock, lock_world.member, device=device)
    assert answer.json()["binding"]["lockId"] == lock.key.spki_sha256[:20].upper()
    assert Lock.objects.get().device == ""


def test_an_account_without_a_password_may_replace_its_only_lock(lock_world):
    one, two = first_lock(), next_lock()
    bound(one, lock_world.member)
    assert not lock_world.member.check_password(PASSWORD)
    assert logged_in(lock_world.member).bind(two, lock_world.member, choose="replace").status_code == 200
    assert Binding.objects.live().get().lock.lock_id == "SX-0002"


def test_a_new_certificate_that_an_administrator_put_on_a_members_lock_is_told(lock_world):
    bound(first_lock(), lock_world.member)
    renewed = make_lock("EC", uscc=USCC, not_after=LATER)
    assert logged_in(lock_world.admin).bind(renewed, lock_world.member).status_code == 200
    html = logged_in(lock_world.member).client.get("/system/").content.decode()
    assert "由本单位管理员王管理换上了新证书" in html


def test_a_choice_about_a_lock_that_became_known_meanwhile_is_asked_for_anew(lock_world):
    """Otherwise the lock that was to be replaced would stay bound without a word."""
    old = bound(first_lock(), lock_world.member)
    browser, sent, question = asked(lock_world, next_lock())
    logged_in(lock_world.member).bind(next_lock(), lock_world.member, choose="another")
    Binding.objects.exclude(pk=old.pk).update(unbound_at=NOW)
    choice = {"act": "replace", "binding": question["candidates"][0]["binding"]}
    refusal_row(browser.post("/api/bindings", {**sent, "choice": choice}), "BINDING_NOT_FOUND")
    assert [row.pk for row in Binding.objects.live()] == [old.pk]
