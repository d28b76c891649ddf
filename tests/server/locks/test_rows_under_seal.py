"""Whoever writes into the database, without the server's secret, gives nobody a lock or a password (A105)."""

from __future__ import annotations

import uuid

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in, reason_of, refusal_row
from worlds.forged_rows import sql, unharmed
from worlds.practice import NOW, ORIGIN, id_card, make_lock
from worlds.rows import PASSWORD, USCC, rewrite

from calock.core.refusals import Refusal
from calock.server.accounts.codes import choose_password, issue_code
from calock.server.accounts.members import set_account_state
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.services import reset_password
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.locks.holder import holder_hmacs
from calock.server.locks.labels import label_lock
from calock.server.locks.models import Binding, LockCertificate, PendingBinding
from calock.server.locks.row_seals import damaged_rows
from calock.server.locks.step_up import Evidence, confirm_session
from calock.server.locks.suspension import resume_lock, suspend_by_operator, suspend_lock
from calock.server.locks.unbinding import unbind_by_operators
from calock.server.login import store
from calock.server.login.services import login_with_password
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def test_a_certificate_moved_to_the_victims_lock_opens_nothing(mine):
    target = mine.binding.lock_id
    sql("UPDATE locks_lockcertificate SET superseded_at = %s WHERE lock_id = %s", timezone.now(), target)
    sql("UPDATE locks_lockcertificate SET lock_id = %s WHERE lock_id = %s", target, mine.own.lock_id)
    sql("UPDATE locks_lockkey SET lock_id = %s WHERE lock_id = %s", target, mine.own.lock_id)
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    refusal_row(logged_in(mine.member).step_up(mine.own_lock), "RECORD_DAMAGED")


def test_a_key_moved_to_the_victims_lock_makes_no_renewal(mine):
    """The attacker's next certificate over their own key, with the victim's holder written beside it."""
    target = mine.binding.lock_id
    sql("UPDATE locks_lockkey SET lock_id = %s WHERE lock_id = %s", target, mine.own.lock_id)
    renewed = make_lock("EC", lock_id="SX-9", not_after=NOW.replace(year=NOW.year + 2))
    refusal_row(Browser().log_in(renewed), "RECORD_DAMAGED")
    unharmed(mine)


def test_a_holder_written_beside_the_victims_certificate_makes_no_renewal(mine):
    sql("UPDATE locks_lockcertificate SET holder_hmac = 'x' WHERE lock_id = %s", mine.binding.lock_id)
    refusal_row(Browser().log_in(mine.lock), "RECORD_DAMAGED")
    assert Browser().log_in(mine.own_lock).status_code == 200


@pytest.mark.parametrize("mac", ["", "0" * 64, "copied"])
def test_a_binding_turned_to_the_victim_opens_nothing(mine, mac):
    kept = mine.binding.mac if mac == "copied" else mac
    sql("UPDATE locks_binding SET account_id = %s, mac = %s WHERE id = %s", mine.member.pk, kept, mine.own.pk)
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    refusal_row(logged_in(mine.member).step_up(mine.own_lock), "RECORD_DAMAGED")
    unharmed(mine)


def test_a_binding_that_somebody_inserts_opens_nothing(mine):
    sql("UPDATE locks_binding SET unbound_at = %s WHERE id = %s", timezone.now(), mine.own.pk)
    columns = "lock_id, bound_by_id, bound_at, site, reason, suspend_reason, awaits, mac, label, rank"
    copy = f"INSERT INTO locks_binding (id, account_id, {columns}) SELECT %s, %s, {columns} FROM locks_binding WHERE id = %s"
    sql(copy, uuid.uuid4(), mine.member.pk, mine.own.pk)
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    unharmed(mine)


def test_an_ended_binding_is_not_brought_back(victim):
    browser = logged_in(victim.member)
    assert browser.bind(make_lock("EC", lock_id="SX-8"), victim.member).status_code == 200
    browser = Browser()
    assert browser.log_in(victim.lock).status_code == 200
    assert browser.post(f"/api/bindings/{victim.binding.pk}/end", {"reason": "换锁"}).status_code == 200
    sql("UPDATE locks_binding SET unbound_at = NULL, unbound_by_id = NULL WHERE id = %s", victim.binding.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_a_lost_lock_is_not_resumed(victim):
    suspend_lock(binding=victim.binding.pk, reason="遗失", by=victim.member, context=context(account=victim.member))
    sql("UPDATE locks_binding SET suspended_at = NULL WHERE id = %s", victim.binding.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_no_consent_is_given(victim):
    rewrite(victim.binding, awaits="member")
    assert reason_of(Browser().log_in(victim.lock)) == "LOCK_NOT_CONFIRMED"
    sql("UPDATE locks_binding SET awaits = '' WHERE id = %s", victim.binding.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_a_disabled_account_is_not_enabled(victim):
    rewrite(Account.objects.get(pk=victim.member.pk), state=AccountState.DISABLED)
    sql("UPDATE accounts_account SET state = 'active' WHERE id = %s", victim.member.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_what_somebody_wrote_is_not_sealed_along_with_another_change(mine):
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", mine.member.pk, mine.own.pk)
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):
        Binding.objects.get(pk=mine.own.pk).save()
    label_lock(binding=mine.own.pk, label="我的", rank="", by=mine.member, context=context())
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")


def test_an_administrator_binds_no_lock_for_a_member_whose_organisation_somebody_wrote(lock_world):
    """The binding would be under seal, and good as soon as the organisation is written back."""
    lock, home = make_lock("EC", lock_id="SX-9"), lock_world.member.organisation_id
    turn = "UPDATE accounts_account SET organisation_id = %s WHERE id = %s"
    sql(turn, lock_world.outside_admin.organisation_id, lock_world.member.pk)
    refusal_row(logged_in(lock_world.outside_admin).bind(lock, lock_world.member), "RECORD_DAMAGED")
    sql(turn, home, lock_world.member.pk)
    refusal_row(Browser().log_in(lock), "LOCK_NOT_BOUND")
    assert not Binding.objects.exists()


def test_an_administrator_gives_no_consent_for_a_member_whose_organisation_somebody_wrote(victim):
    rewrite(victim.binding, awaits="administrator")
    turn = "UPDATE accounts_account SET organisation_id = %s WHERE id = %s"
    sql(turn, victim.outside_admin.organisation_id, victim.member.pk)
    browser = logged_in(victim.outside_admin)
    browser.client.post(f"/system/ca/{victim.binding.pk}/confirm/", headers={"origin": ORIGIN})
    sql(turn, victim.organisation.pk, victim.member.pk)
    refusal_row(Browser().log_in(victim.lock), "LOCK_NOT_CONFIRMED")
    assert AuditEvent.objects.filter(event="binding:lock:confirm_refused", reason="RECORD_DAMAGED").exists()


def test_a_list_gives_no_lock_to_a_member_whose_row_somebody_changed(lock_world):
    lock = make_lock()
    provider = Provider.objects.get(code=lock.family.provider)
    PendingBinding.objects.create(account=lock_world.member, provider=provider, lock_id="SX-0001", imported_at=timezone.now())
    turn = "UPDATE accounts_account SET organisation_id = %s WHERE id = %s"
    sql(turn, lock_world.other_organisation.pk, lock_world.member.pk)
    refusal_row(Browser().log_in(lock), "RECORD_DAMAGED")
    assert not Binding.objects.exists()
    sql(turn, lock_world.organisation.pk, lock_world.member.pk)
    assert Browser().log_in(lock).status_code == 200


def test_a_lock_that_went_to_another_holder_is_no_renewal_where_somebody_wrote_that_holder(victim):
    """The same key in another person's certificate."""
    others = make_lock(lock_id="SX-0001", person_id=id_card("14010119900101123"), not_after=NOW.replace(year=NOW.year + 2))
    refusal_row(Browser().log_in(others), "LOCK_HOLDER_CHANGED")
    holder = holder_hmacs("person", id_card("14010119900101123"))[0]
    sql("UPDATE locks_lockcertificate SET holder_hmac = %s WHERE lock_id = %s", holder, victim.binding.lock_id)
    refusal_row(Browser().log_in(others), "RECORD_DAMAGED")
    refusal_row(logged_in(victim.member).step_up(others), "RECORD_DAMAGED")
    assert LockCertificate.objects.count() == 1


def test_a_colleague_renews_no_lock_of_their_firm_whose_binding_somebody_turned_to_them(lock_world):
    """Once the binding is written back, their certificate would log in as the other."""
    binding = bound(make_lock("EC", uscc=USCC), lock_world.member)
    own = make_lock("EC", number=1, uscc=USCC, not_after=NOW.replace(year=NOW.year + 2))  # the same device, by its id
    turn = "UPDATE locks_binding SET account_id = %s WHERE id = %s"
    sql(turn, lock_world.colleague.pk, binding.pk)
    refusal_row(logged_in(lock_world.colleague).bind(own, lock_world.colleague, choose="renew"), "RECORD_DAMAGED")
    sql(turn, lock_world.member.pk, binding.pk)
    refusal_row(Browser().log_in(own), "RENEWAL_NEEDS_STEP_UP")


def test_a_renewal_seals_no_binding_that_somebody_turned_to_an_operator(mine):
    """An operator's binding is sealed anew with each certificate of its lock."""
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", mine.operator.pk, mine.own.pk)
    renewed = make_lock("EC", lock_id="SX-9", not_after=NOW.replace(year=NOW.year + 2))
    refusal_row(Browser().log_in(renewed), "OPERATOR_DAMAGED")
    refusal_row(Browser().log_in(mine.own_lock), "OPERATOR_DAMAGED")


@pytest.mark.parametrize("what", ["binding", "lock", "certificate", "account", "lost"])
def test_rows_that_are_changed_back_while_a_login_looks_at_them_open_nothing(mine, what):
    """The look-up reads what somebody wrote, the look at the seals what stood there before."""
    certificate = mine.own.lock.certificates.get()
    statement, row, written, stood = {
        "binding": ("UPDATE locks_binding SET account_id = %s WHERE id = %s", mine.own, mine.member.pk, mine.colleague.pk),
        "certificate": (
            "UPDATE locks_lockcertificate SET lock_id = %s WHERE id = %s", certificate, mine.binding.lock_id, mine.own.lock_id
        ),
        "lock": ("UPDATE locks_binding SET lock_id = %s WHERE id = %s", mine.binding, mine.own.lock_id, mine.binding.lock_id),
        "account": ("UPDATE accounts_account SET state = %s WHERE id = %s", mine.colleague, "active", "disabled"),
        "lost": ("UPDATE locks_binding SET suspended_at = %s WHERE id = %s", mine.own, None, timezone.now()),
    }[what]  # fmt: skip
    if what == "lock":
        sql("UPDATE locks_binding SET unbound_at = %s WHERE id = %s", timezone.now(), mine.own.pk)
    if what == "account":
        rewrite(Account.objects.get(pk=mine.colleague.pk), state=AccountState.DISABLED)
    if what == "lost":
        rewrite(Binding.objects.get(pk=mine.own.pk), suspended_at=stood)
    if what == "certificate":
        sql("UPDATE locks_lockcertificate SET superseded_at = %s WHERE lock_id = %s", timezone.now(), mine.binding.lock_id)
    sql(statement, written, row.pk)
    before = Session.objects.count()

    def change_back(execute, asked, *more):
        answer = execute(asked, *more)
        if asked == store.FIND:
            sql(statement, stood, row.pk)
        return answer

    with connection.execute_wrapper(change_back):
        refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    assert Session.objects.count() == before


DAMAGES = {
    "account": "UPDATE accounts_account SET lock_only = (1 = 1) WHERE id = (SELECT account_id FROM locks_binding WHERE id = %s)",
    "binding": "UPDATE locks_binding SET bound_at = '2026-01-01 00:00:00' WHERE id = %s",
}


@pytest.mark.parametrize("damaged", DAMAGES)
def test_a_lock_of_a_damaged_row_is_reported_lost_and_not_made_good_by_that(victim, damaged):
    binding, operators = victim.binding.pk, {"by": victim.operator, "context": context(account=victim.operator)}
    member = Account.objects.get(pk=victim.member.pk)
    member.set_password(PASSWORD)
    member.password_changed_at, member.password_by_lock = timezone.now(), victim.binding.lock
    member.save()
    sql(DAMAGES[damaged], binding)
    damage = [*damaged_rows()]
    suspend_by_operator(binding=binding, reason="遗失", **operators)
    row = Binding.objects.get(pk=binding)
    assert row.suspended_at is not None
    assert not row.account.has_usable_password(), "what stands on the lock ended"
    assert [*damaged_rows()] == damage, "and the row is as damaged as it was"
    refusal_row(Browser().log_in(victim.lock), "LOCK_REPORTED_LOST")
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):
        resume_lock(binding=binding, reason="找到", evidence=Evidence(), by=victim.admin, context=context(account=victim.admin))
    unbind_by_operators(binding=binding, reason="换锁", **operators)


def test_a_damaged_account_is_disabled_and_enabled_again_when_the_owner_had_its_row_sealed(victim):
    browser, by = Browser(), {"by": victim.operator, "context": context(account=victim.operator)}
    assert browser.log_in(victim.lock).status_code == 200
    sql("UPDATE accounts_account SET lock_only = %s WHERE id = %s", True, victim.member.pk)
    member, named = Account.objects.get(pk=victim.member.pk), [f"account {victim.member.username}"]
    set_account_state(member=member, state=AccountState.DISABLED, **by)
    assert browser.client.get("/sessions/").status_code == 302
    assert Account.objects.get(pk=member.pk).state == AccountState.DISABLED
    assert [*damaged_rows()] == named
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):
        set_account_state(member=member, state=AccountState.ACTIVE, **by)
    call_command("sealed_rows", "seal", "--yes-the-list-is-right", "--row", *named[0].split())
    set_account_state(member=member, state=AccountState.ACTIVE, **by)
    unharmed(victim)


# --- passwords, roles, sessions


def by_password(username: str, password: str) -> str:
    with pytest.raises(Refusal) as caught:
        login_with_password(username=username, password=password, context=context())
    assert AuditEvent.objects.filter(event="login:password:refused", reason=caught.value.reason).exists()
    return caught.value.reason


@pytest.mark.parametrize("along", [False, True], ids=["the hash", "the hash and its seal"])
def test_a_hash_of_the_attackers_password_opens_nothing(typed, along):
    own = Account.objects.get(pk=typed.colleague.pk)
    mac = own.mac if along else typed.member.mac
    sql("UPDATE accounts_account SET password = %s, mac = %s WHERE id = %s", own.password, mac, typed.member.pk)
    assert by_password(typed.member.username, "Angreifer-9-Wang") == "RECORD_DAMAGED"
    assert login_with_password(username=own.username, password="Angreifer-9-Wang", context=context())
    browser = logged_in(typed.member)  # nor does it prove anything in a session
    assert reason_of(browser.post("/api/step-up", {"password": "Angreifer-9-Wang"})) == "SESSION_ENDED"


def test_a_password_is_not_let_in_where_the_account_goes_by_its_lock(typed):
    bound(make_lock(), typed.member)
    rewrite(Account.objects.get(pk=typed.member.pk), lock_only=True)
    assert by_password(typed.member.username, PASSWORD) == "PASSWORD_LOGIN_OFF"
    sql("UPDATE accounts_account SET lock_only = NULL WHERE id = %s", typed.member.pk)
    assert by_password(typed.member.username, PASSWORD) == "RECORD_DAMAGED"


def test_a_role_written_into_the_database_makes_no_administrator(lock_world):
    """Nor does an administrator of one organisation become one of another."""
    forged = lock_world.outsider
    place = lock_world.member.organisation_id
    sql("UPDATE accounts_account SET role = %s, organisation_id = %s WHERE id = %s", Role.ORGANISATION_ADMIN, place, forged.pk)
    forged = Account.objects.get(pk=forged.pk)
    assert forged.administers is None
    asked = {"purpose": "bind", "member": str(lock_world.member.pk)}
    assert reason_of(logged_in(forged).post("/api/challenge", asked)) == "SESSION_ENDED"
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):  # written while the request is under way
        reset_password(member=lock_world.member, by=forged, context=context(account=forged))


def code_refused(username: str, code: str) -> str:
    with pytest.raises(Refusal) as caught:
        choose_password(username=username, code=code, new="Xin-Mi-Ma-2026-abc", context=context())
    return caught.value.reason


def test_a_code_that_somebody_inserts_or_turns_to_the_victim_sets_no_password(typed):
    victim, own = typed.member, typed.colleague
    code = issue_code(own, by=None, at=timezone.now())
    sql("UPDATE accounts_passwordcode SET account_id = %s WHERE account_id = %s", victim.pk, own.pk)
    assert code_refused(victim.username, code) == "RECORD_DAMAGED"
    sql("UPDATE accounts_passwordcode SET mac = '' WHERE account_id = %s", victim.pk)
    assert code_refused(victim.username, code) == "RECORD_DAMAGED"
    assert login_with_password(username=victim.username, password=PASSWORD, context=context())


def test_a_code_that_was_used_is_not_made_good_again(typed):
    code = issue_code(typed.member, by=None, at=timezone.now())
    choose_password(username=typed.member.username, code=code, new="Erste-Wahl-2026-x", context=context())
    sql("UPDATE accounts_passwordcode SET used_at = NULL WHERE account_id = %s", typed.member.pk)
    assert code_refused(typed.member.username, code) == "RECORD_DAMAGED"


@pytest.mark.parametrize(
    "change", ["account_id = %s", "lock_proved_at = '2099-01-01', account_id = %s", "mac = '', account_id = %s"]
)
def test_a_session_turned_to_the_victim_is_none(lock_world, change):
    browser = logged_in(lock_world.colleague)
    assert browser.client.get("/sessions/").status_code == 200
    sql(f"UPDATE calock_sessions_session SET {change}", lock_world.member.pk)
    assert browser.client.get("/sessions/")["Location"].startswith("/login/")


@pytest.mark.parametrize("act", ["lost", "proved"])
def test_no_act_seals_a_session_that_somebody_turned_to_the_victim(mine, act):
    """What a lost lock proved is forgotten in it, and a further proof is added to it, under another seal."""
    mine.colleague.set_password(PASSWORD)
    mine.colleague.save()
    browser = logged_in(mine.colleague)
    assert browser.step_up(mine.own_lock).status_code == 200
    session = Session.objects.get(account=mine.colleague, proved_lock=mine.own.lock_id, ended_at=None, lock=None)
    sql("UPDATE calock_sessions_session SET account_id = %s WHERE digest = %s", mine.member.pk, session.pk)
    if act == "lost":
        suspend_by_operator(binding=mine.own.pk, reason="遗失", by=mine.operator, context=context(account=mine.operator))
    else:  # it was written while the request was under way
        with pytest.raises(Refusal, match="SESSION_ENDED"):
            confirm_session(session=session, evidence=Evidence(password=PASSWORD), context=context(account=mine.colleague))
        assert AuditEvent.objects.get(event=Event.STEP_UP_REFUSED).reason == "SESSION_ENDED"
    assert not Session.objects.get(pk=session.pk).is_intact()
    assert browser.client.get("/sessions/")["Location"].startswith("/login/")
