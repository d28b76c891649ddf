"""Binding: who may, for whom, with what proof; and the database as referee of every race."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.bindings import end, refused, with_password
from worlds.browser import Browser, context, logged_in, reason_of, refusal_row
from worlds.practice import NOW, id_card, make_lock
from worlds.races import in_parallel
from worlds.rows import OTHER_USCC, PASSWORD, USCC, install

from calock.core.challenge import Purpose
from calock.core.refusals import Refusal
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.operators import open_enrolment
from calock.server.audit.models import AuditEvent
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey
from calock.server.locks.services import bind_lock
from calock.server.organisations.models import Organisation
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def test_a_member_binds_for_himself(lock_world):
    answer = logged_in(lock_world.member).bind(make_lock(), lock_world.member)
    row = answer.json()["binding"]
    assert (row["account"]["name"], row["boundBy"], row["lockId"], row["status"]) == ("张三", "张三", "SX-0001", "valid")
    event = AuditEvent.objects.get(event="binding:lock:added")
    assert (event.actor, event.subject, event.details["for_other"]) == (lock_world.member.pk, lock_world.member.pk, False)


def test_an_administrator_binds_for_a_member(lock_world):
    answer = logged_in(lock_world.admin).bind(make_lock(), lock_world.member)
    row = answer.json()["binding"]
    assert (row["account"]["name"], row["boundBy"]) == ("张三", "王管理")
    event = AuditEvent.objects.get(event="binding:lock:added")
    assert (event.actor, event.subject, event.details["for_other"]) == (lock_world.admin.pk, lock_world.member.pk, True)


@pytest.mark.parametrize(
    ("by", "member"),
    [
        ("member", "colleague"),
        ("member", "admin"),
        ("admin", "outsider"),
        ("outside_admin", "member"),
        ("operator", "member"),
        ("expert", "member"),
        ("admin", "operator"),
    ],
)
def test_nobody_binds_outside_his_authority(lock_world, by, member):
    browser = logged_in(getattr(lock_world, by))
    told = refused(browser.bind(make_lock(), getattr(lock_world, member)), "NOT_FOUND")
    assert told["facts"] == {}
    assert not Lock.objects.exists()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ORGANISATION_ADMIN])
def test_an_administrator_binds_and_unbinds_for_ordinary_members_only(lock_world, role):
    """With a lock of one's own bound to another administrator one would log in as them; nor is their password reset."""
    peer = Account.objects.create_account(username="peer", name="总管", role=role, organisation=lock_world.organisation)
    admin = logged_in(with_password(lock_world.admin))
    refused(admin.bind(make_lock(), peer), "NOT_FOUND")
    if role == Role.OPERATOR:
        open_enrolment(operator=peer, by=None, context=None)
        peer.refresh_from_db()
    binding = logged_in(peer).bind(make_lock(), peer).json()["binding"]["id"]
    refused(end(admin, binding, password=PASSWORD), "BINDING_NOT_FOUND", "binding:lock:end_refused")
    assert admin.client.get(f"/system/ca/{binding}/").status_code == 404
    assert admin.client.get("/api/bindings").json()["bindings"] == []
    assert Binding.objects.live().count() == 1


def test_a_disabled_member_gets_no_lock(lock_world):
    Account.objects.filter(pk=lock_world.member.pk).update(state=AccountState.DISABLED)
    refused(logged_in(lock_world.admin).bind(make_lock(), lock_world.member), "NOT_FOUND")


def test_a_proof_older_than_five_minutes_does_not_do(lock_world):
    with_password(lock_world.member)
    browser = Browser()
    session = browser.enter(lock_world.member)
    Session.objects.filter(pk=session.pk).update(authenticated_at=timezone.now() - timedelta(minutes=5, seconds=1))
    refused(browser.bind(make_lock(), lock_world.member), "STEP_UP_REQUIRED")
    refused(browser.post("/api/step-up", {"password": "wrong"}), "STEP_UP_FAILED", "login:step_up:refused")
    assert browser.post("/api/step-up", {"password": PASSWORD}).status_code == 200
    assert browser.bind(make_lock(), lock_world.member).status_code == 200


def test_step_up_with_the_own_lock(lock_world):
    own, foreign = make_lock(), make_lock("EC", lock_id="SX-0002")
    logged_in(lock_world.member).bind(own, lock_world.member)
    logged_in(lock_world.colleague).bind(foreign, lock_world.colleague)
    browser = Browser()
    session = browser.enter(lock_world.member)
    old = timezone.now() - timedelta(minutes=20)
    Session.objects.filter(pk=session.pk).update(authenticated_at=old)
    text = browser.challenge("stepup")
    refused(
        browser.post("/api/step-up", {"challenge": text, "token": foreign.sign(text)}), "STEP_UP_FAILED", "login:step_up:refused"
    )
    refused(browser.post("/api/step-up", {"challenge": text, "token": own.sign(text)}), "CHALLENGE_SPENT", "login:step_up:refused")
    text = browser.challenge("stepup")
    assert browser.post("/api/step-up", {"challenge": text, "token": own.sign(text)}).status_code == 200
    assert Session.objects.get(pk=session.pk).authenticated_at > old


def test_a_refused_step_up_says_whether_password_or_lock_was_to_prove_it(lock_world):
    lock = make_lock()
    browser = logged_in(with_password(lock_world.member))
    text = browser.challenge("stepup")
    for how, given in {"password": {"password": "wrong"}, "lock": {"challenge": text, "token": lock.sign(text)}}.items():
        assert refusal_row(browser.post("/api/step-up", given), "STEP_UP_FAILED").details["how"] == how


def stepped_up(lock_world, lock):
    browser = Browser()
    browser.enter(lock_world.member)
    text = browser.challenge("stepup")
    return browser.post("/api/step-up", {"challenge": text, "token": lock.sign(text)})


def test_an_earlier_proof_makes_no_new_one(lock_world):
    """Otherwise whoever sits down at an open session keeps it fresh for hours without lock or PIN."""
    lock = make_lock()
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    browser = Browser()
    assert browser.log_in(lock).status_code == 200
    before = Session.objects.get(method="ca").lock_proved_at
    refused(browser.post("/api/step-up", {}), "STEP_UP_REQUIRED", "login:step_up:refused")
    assert Session.objects.get(method="ca").lock_proved_at == before


def test_what_a_revoked_lock_proved_counts_no_longer(lock_world):
    lock = make_lock()
    browser = logged_in(lock_world.member)
    assert browser.bind(lock, lock_world.member).status_code == 200
    assert browser.step_up(lock).status_code == 200
    assert Session.objects.filter(proved_lock__isnull=False, ended_at=None).exists()
    lock_world.revoke(lock)
    assert reason_of(Browser().log_in(lock)) == "CERTIFICATE_REVOKED"
    assert not Session.objects.filter(proved_lock__isnull=False, ended_at=None).exists()
    assert Session.objects.filter(ended_at=None, account=lock_world.member).exists()


def test_step_up_takes_no_certificate_that_could_not_log_in(lock_world):
    """The lock's old key, another holder's certificate and a renewal nobody confirmed name the right lock and prove nothing."""
    first, second = make_lock(uscc=USCC), make_lock(number=1, uscc=USCC)
    logged_in(lock_world.member).bind(first, lock_world.member)
    refused(stepped_up(lock_world, second), "STEP_UP_FAILED", "login:step_up:refused")
    logged_in(lock_world.member).bind(second, lock_world.member, choose="renew")
    refused(stepped_up(lock_world, first), "STEP_UP_FAILED", "login:step_up:refused")
    refused(
        stepped_up(lock_world, make_lock(number=2, name="李四", person_id=id_card("14010119920303123"))),
        "STEP_UP_FAILED",
        "login:step_up:refused",
    )
    assert stepped_up(lock_world, second).status_code == 200
    assert stepped_up(lock_world, make_lock(number=1, uscc=USCC, not_after=NOW + timedelta(days=700))).status_code == 200


def test_no_session_fills_the_audit_trail_with_bindings_endings_or_step_ups(lock_world, settings):
    """A76: past the limit one row a minute says so, whatever is asked for."""
    settings.CALOCK = dataclasses.replace(settings.CALOCK, failures_per_minute=2)
    foreign, browser = make_lock("EC", lock_id="SX-0002"), logged_in(lock_world.member)
    attempts = {
        "login:step_up:refused": lambda: browser.step_up(foreign),
        "binding:lock:refused": lambda: browser.bind(foreign, lock_world.outsider),
        "binding:lock:end_refused": lambda: end(browser, uuid.uuid4(), password="x"),
    }
    for event, attempt in attempts.items():
        answers = [attempt() for _ in range(5)]
        assert [answer.status_code == 429 for answer in answers] == [False, False, True, True, True]
        assert AuditEvent.objects.filter(event=event).count() == 2
    assert AuditEvent.objects.filter(reason="TOO_MANY_ATTEMPTS").count() == 1


def test_a_bound_lock_is_not_bound_again(lock_world):
    lock = make_lock()
    logged_in(lock_world.member).bind(lock, lock_world.member)
    refused(logged_in(lock_world.member).bind(lock, lock_world.member), "LOCK_ALREADY_BOUND")
    told = refused(logged_in(lock_world.admin).bind(lock, lock_world.colleague), "LOCK_BOUND_TO_OTHER")
    assert told["message"] == "该 CA 锁已绑定其他用户（张*），一把 CA 锁只能绑定一个用户"
    assert told["facts"]["since"] == timezone.localtime(timezone.now()).date().isoformat()
    assert Binding.objects.count() == 1


def test_another_certificate_over_a_known_key_is_the_same_lock(lock_world):
    logged_in(lock_world.member).bind(make_lock(), lock_world.member)
    other_id = make_lock(lock_id="SX-0009")
    refused(logged_in(lock_world.colleague).bind(other_id, lock_world.colleague), "LOCK_BOUND_TO_OTHER")


def test_a_key_names_its_lock_whatever_id_the_certificate_shows(lock_world):
    first, second = make_lock(), make_lock(number=1, lock_id="SX-0002")
    binding = logged_in(lock_world.member).bind(first, lock_world.member).json()["binding"]["id"]
    logged_in(lock_world.colleague).bind(second, lock_world.colleague)
    mixed = make_lock(number=0, lock_id="SX-0002")
    refused(logged_in(lock_world.colleague).bind(mixed, lock_world.colleague), "LOCK_BOUND_TO_OTHER")
    assert logged_in(lock_world.member).bind(mixed, lock_world.member).json()["binding"]["id"] == binding


def test_an_organisations_certificate_stays_in_the_organisation(lock_world):
    foreign = make_lock(uscc=OTHER_USCC)
    told = refused(logged_in(lock_world.member).bind(foreign, lock_world.member), "HOLDER_NOT_ORGANISATION")
    assert told["message"] == "证书单位与当前账户单位不一致"
    refused(logged_in(lock_world.expert).bind(make_lock(uscc=USCC), lock_world.expert), "HOLDER_NOT_ORGANISATION")
    assert logged_in(lock_world.member).bind(make_lock(uscc=USCC), lock_world.member).status_code == 200


@pytest.mark.parametrize(("fields", "holder"), [({}, "none"), ({"uscc": USCC}, "uscc")])
def test_the_row_says_whether_the_certificate_named_a_holder(lock_world, fields, holder):
    """One that names nobody is no organisation's: the provider's rules let it in, and an auditor sees that they did."""
    assert logged_in(lock_world.member).bind(make_lock(**fields), lock_world.member).status_code == 200
    assert AuditEvent.objects.get(event="binding:lock:added").details["holder"] == holder


def test_where_the_providers_rules_ask_for_a_holder_none_is_not_enough(lock_world):
    install(lock_world.families[0], rules={"identity": {"holder_required": True}})
    refused(logged_in(lock_world.member).bind(make_lock(), lock_world.member), "HOLDER_ID_MISSING")
    assert logged_in(lock_world.member).bind(make_lock(uscc=USCC), lock_world.member).status_code == 200


def test_an_expert_binds_a_personal_lock(lock_world):
    lock = make_lock(person_id=id_card("14010119900101123"))
    assert logged_in(lock_world.expert).bind(lock, lock_world.expert).status_code == 200


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"not_before": NOW - timedelta(days=400), "not_after": NOW - timedelta(days=3)}, "CERTIFICATE_EXPIRED"),
        ({"not_before": NOW + timedelta(days=3)}, "CERTIFICATE_NOT_YET_VALID"),
        ({"usages": ("key_encipherment",)}, "KEY_USAGE_NOT_SIGNING"),
    ],
)
def test_a_certificate_that_cannot_log_in_is_not_bound(lock_world, fields, reason):
    refused(logged_in(lock_world.member).bind(make_lock(**fields), lock_world.member), reason)
    assert not Lock.objects.exists()


def test_a_revoked_certificate_is_not_bound(lock_world):
    lock = make_lock()
    lock_world.revoke(lock)
    refused(logged_in(lock_world.member).bind(lock, lock_world.member), "CERTIFICATE_REVOKED")


def test_a_provider_may_allow_expired_certificates_to_be_bound_but_not_to_log_in(lock_world):
    install(lock_world.families[0], allow_expired_binding=True)
    lock = make_lock(not_before=NOW - timedelta(days=400), not_after=NOW - timedelta(days=3))
    answer = logged_in(lock_world.member).bind(lock, lock_world.member)
    assert answer.json()["binding"]["status"] == "expired"
    assert reason_of(Browser().log_in(lock)) == "CERTIFICATE_EXPIRED"
    assert Provider.objects.get(code=lock.family.provider).allow_expired_binding


@pytest.mark.parametrize("provider", ["lianxi\0", "x" * 51, "a b", "lianxi-sm2\n"])
def test_a_provider_that_no_code_looks_like_is_refused_before_it_is_looked_up(lock_world, provider):
    body = {"challenge": "c1", "token": {}, "member": str(lock_world.member.pk), "provider": provider}
    answer = logged_in(lock_world.member).post("/api/bindings", body)
    assert (answer.status_code, reason_of(answer)) == (400, "REQUEST_MALFORMED")


def test_an_answer_made_for_one_member_or_provider_binds_no_other(lock_world):
    lock = make_lock()
    browser = logged_in(lock_world.admin)
    aim = {"member": str(lock_world.member.pk), "provider": lock.family.provider}
    for changed in ({"member": str(lock_world.colleague.pk)}, {"provider": "lianxi-ec"}):
        text = browser.challenge("bind", **aim)
        answer = browser.post("/api/bindings", {"challenge": text, "token": lock.sign(text), **aim, **changed})
        refused(answer, "CHALLENGE_WRONG_CONTEXT")
    text = browser.challenge("bind", **aim)
    stranger = logged_in(lock_world.admin)
    refused(stranger.post("/api/bindings", {"challenge": text, "token": lock.sign(text), **aim}), "CHALLENGE_WRONG_CONTEXT")


def test_a_login_answer_binds_nothing(lock_world):
    lock = make_lock()
    browser = logged_in(lock_world.member)
    text = browser.challenge("login")
    aim = {"member": str(lock_world.member.pk), "provider": lock.family.provider}
    refused(browser.post("/api/bindings", {"challenge": text, "token": lock.sign(text), **aim}), "CHALLENGE_WRONG_PURPOSE")


def test_the_chosen_provider_must_be_the_locks(lock_world):
    refused(logged_in(lock_world.member).bind(make_lock("EC"), lock_world.member, provider="lianxi-sm2"), "PROVIDER_MISMATCH")


def test_one_account_has_several_locks_and_losing_one_keeps_the_other(lock_world):
    with_password(lock_world.member)
    first, second = make_lock(), make_lock("EC", lock_id="SX-0002")
    browser = logged_in(lock_world.member)
    one = browser.bind(first, lock_world.member).json()["binding"]["id"]
    browser.bind(second, lock_world.member)
    assert end(browser, one, password=PASSWORD).status_code == 200
    assert reason_of(Browser().log_in(first)) == "LOCK_NOT_BOUND"
    assert Browser().log_in(second).status_code == 200


@pytest.mark.parametrize(("serial", "shown"), [("ABC1234567", "ABC1234567-"), ("", ""), ("xy" * 250, "xy" * 12), ("<script>", "")])
def test_a_device_serial_names_a_lock_only_together_with_its_key(lock_world, serial, shown):
    install(lock_world.families[0], rules={"identity": {"lock": [{"source": "device"}]}})
    lock = make_lock(lock_id="")
    device = {"serial": serial, "label": "UKey", "manufacturer": "x"}
    answer = logged_in(lock_world.member).bind(lock, lock_world.member, device=device)
    lock_id = answer.json()["binding"]["lockId"]
    assert lock_id.startswith(shown)
    assert lock.key.spki_sha256[:8].upper() in lock_id
    assert len(lock_id) <= 64
    thief = make_lock(number=1, lock_id="")
    assert logged_in(lock_world.colleague).bind(thief, lock_world.colleague, device=device).status_code == 200


# --- races


@pytest.mark.django_db(transaction=True)
def test_fifty_people_bind_one_lock_at_once_and_one_wins(committed_lock_world):
    world = committed_lock_world
    lock = make_lock()
    people = [Account.objects.create_account(username=f"ren{n}", name=f"人{n}", organisation=world.organisation) for n in range(50)]
    prepared = []
    for person in people:
        made = context(account=person, ip=f"192.0.2.{people.index(person)}")
        text = issue_challenge(aim=Aim(Purpose.BIND, member=person.pk, provider=lock.family.provider), context=made).text
        prepared.append((person, made, text, json.dumps(lock.sign(text)).encode()))
    outcomes = in_parallel([lambda item=item: _bind(lock, *item) for item in prepared])
    assert sorted(outcomes) == ["LOCK_BOUND_TO_OTHER"] * 49 + ["bound"]
    assert Binding.objects.count() == Lock.objects.count() == LockKey.objects.count() == LockCertificate.objects.count() == 1
    assert AuditEvent.objects.filter(event="binding:lock:added").count() == 1
    assert AuditEvent.objects.filter(reason="LOCK_BOUND_TO_OTHER").count() == 49


def _bind(lock, person, made, text, token):
    try:
        bind_lock(member=person, provider=lock.family.provider, challenge=text, token=token, device=None, by=person, context=made)
    except Refusal as refusal:
        return refusal.reason.value
    return "bound"


@pytest.mark.django_db(transaction=True)
def test_one_answer_posted_many_times_at_once_opens_one_session(committed_lock_world):
    world = committed_lock_world
    lock = make_lock()
    assert logged_in(world.member).bind(lock, world.member).status_code == 200
    for _ in range(3):
        first = Browser()
        text = first.challenge()
        body = {"challenge": text, "token": lock.sign(text)}
        pre = first.client.cookies["calock-pre"].value

        def post(body=body, pre=pre):
            browser = Browser()
            browser.client.cookies["calock-pre"] = pre
            return browser.post("/api/login", body).status_code

        before = Session.objects.filter(method="ca").count()
        statuses = in_parallel([post] * 20)
        assert sorted(statuses) == [200] + [409] * 19
        assert Session.objects.filter(method="ca").count() == before + 1


def test_a107_a_challenge_says_for_whom_it_is_and_names_nobody_out_of_reach(lock_world):
    said = json.loads(statement_for(logged_in(lock_world.admin), lock_world.member))
    assert (said["account"], said["by"]) == (lock_world.member.username, lock_world.admin.username)
    assert said["organisation"] == lock_world.member.organisation.name
    stranger = statement_for(logged_in(lock_world.outside_admin), lock_world.member)
    assert lock_world.member.username not in stranger
    assert "organisation" not in stranger
    assert "account" not in Browser().post("/api/challenge", {"purpose": "login"}).json()["statement"]


def test_a107_an_answer_for_an_account_that_was_renamed_meanwhile_is_refused(lock_world):
    browser, lock = logged_in(lock_world.member), make_lock()
    text = browser.challenge("bind", member=str(lock_world.member.pk), provider=lock.family.provider)
    Organisation.objects.filter(pk=lock_world.member.organisation_id).update(name="另一名称")
    sent = {"challenge": text, "token": lock.sign(text), "member": str(lock_world.member.pk), "provider": lock.family.provider}
    refused(browser.post("/api/bindings", sent), "CHALLENGE_WRONG_CONTEXT")


def statement_for(browser, member) -> str:
    return browser.post("/api/challenge", {"purpose": "bind", "member": str(member.pk), "provider": "x"}).json()["statement"]
