"""The server's secret is changed while people log in: everything that hangs on it goes on, before and after ``manage rekey``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.management import CommandError, call_command
from django.db import connection
from worlds.browser import Browser, bound, reason_of
from worlds.practice import NOW, YEARS, id_card, make_lock
from worlds.rows import USCC, rewrite

from calock.core.refusals import Refusal
from calock.server.accounts.models import Account
from calock.server.accounts.operators import open_enrolment
from calock.server.approvals.models import Approval
from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.imports.columns import ImportKind
from calock.server.imports.services import ImportList
from calock.server.jobs import readiness
from calock.server.jobs.rekeying import rekey
from calock.server.jobs.sessions import sweep_sessions
from calock.server.locks import row_seals
from calock.server.locks.holder import holder_hmacs
from calock.server.locks.models import Lock, LockCertificate, PendingBinding
from calock.server.locks.rekeying import foreign_keys
from calock.server.providers import rollback_guard
from calock.server.providers.models import Provider, RegisterState
from calock.server.providers.trust import check_at_start, current_register, forget_register
from calock.server.sessions.models import Session
from calock.server.tools import rekeying, seals
from calock.server.tools.keys import key_for, key_ids

pytestmark = pytest.mark.django_db
NEXT = "the next secret key of this server, long enough"
NUMBER = id_card("14010119900101123")
OPERATOR = {"number": 1, "lock_id": "SX-0009", "name": "运营"}


def turn(settings, *, keep_the_old=True):
    """The machine is started with a new secret, the old one behind it."""
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY] if keep_the_old else []
    settings.SECRET_KEY = NEXT
    forget_register()


def take_the_old_away(settings):
    settings.SECRET_KEY_FALLBACKS = []
    forget_register()
    rollback_guard._memory = None


def personal(number=0, **fields):
    return make_lock("EC", number=number, lock_id=f"1@5013SF0{NUMBER}", person_id=NUMBER, **fields)


@pytest.fixture(autouse=True)
def _own_data(settings, tmp_path):
    settings.CALOCK = replace(settings.CALOCK, data=tmp_path)


@pytest.fixture
def in_use(lock_world):
    """A company's lock, a personal one whose id hides a number, an operator's lock, a proposal; each with a live session."""
    company, own = make_lock("EC", number=2, uscc=USCC), make_lock("EC", **OPERATOR)
    bound(company, lock_world.member)
    bound(personal(), lock_world.expert)
    account = Account.objects.get(pk=lock_world.operator.pk)
    open_enrolment(operator=account, by=None, context=None)
    bound(own, Account.objects.get(pk=account.pk))
    browser = Browser()
    assert browser.log_in(own).status_code == 200
    approval = Approval(kind="k", target="t", summary="s", reason="r", proposed_by=account, proposed_at=NOW)
    approval.seal()
    approval.save()
    return browser


def whole(console_browser):
    """Nobody notices anything."""
    call_command("verify_audit")
    check_at_start()
    assert len(current_register().providers) == Provider.objects.count()
    assert [*row_seals.damaged_rows()] == []
    assert all(approval.is_intact() for approval in Approval.objects.all())
    assert console_browser.client.get("/console/trust/").status_code == 200
    assert foreign_keys() == []


@pytest.mark.parametrize("rekeyed", [False, True])
def test_a_new_secret_in_front_changes_nothing_for_anybody(lock_world, in_use, settings, rekeyed):
    call_command("seal_audit")
    assert in_use.client.get("/console/trust/").status_code == 200
    turn(settings)
    whole(in_use)
    if rekeyed:
        call_command("rekey")
        call_command("seal_audit")
        take_the_old_away(settings)
        whole(in_use)
    for lock in (
        make_lock("EC", number=2, uscc=USCC, not_after=NOW + YEARS / 2),
        personal(not_after=NOW + YEARS / 2),
    ):
        answer = Browser().log_in(lock)
        assert answer.status_code == 200, answer.content.decode()
    assert Lock.objects.count() == 3
    assert sweep_sessions().failed == 0


def test_what_is_made_anew_names_the_newest_key_and_opens_without_the_others(lock_world, in_use, settings):
    turn(settings)
    before = RegisterState.objects.get().revision
    call_command("rekey")
    newest = key_ids()[0]
    assert {row.holder_hmac.partition(".")[0] for row in LockCertificate.objects.exclude(holder_hmac="")} == {newest}
    assert {bytes(row.sealed_der)[1:9].decode() for row in LockCertificate.objects.all()} == {newest}
    live = [*Session.objects.exclude(mac=""), *Approval.objects.all(), *Provider.objects.all()]
    assert {seals.key_id(row.mac) for row in live} == {newest}
    assert RegisterState.objects.get().revision == before + 1
    row = AuditEvent.objects.get(event=Event.KEYS_RENEWED)
    assert row.details["key"] == newest
    assert row.details["failed"] == 0
    assert sum(found.done for found in rekey()) == 0  # nothing is left, and nothing is written twice
    assert AuditEvent.objects.filter(event=Event.KEYS_RENEWED).count() == 1


def as_before_keys_had_names():
    """Rows as earlier versions wrote them."""
    former = dict(holder_hmacs(kind, number) for kind, number in (("uscc", USCC), ("id_card", NUMBER)))
    for row in LockCertificate.objects.all():
        nonce = b"n" * 12
        text = b"\x01" + nonce + AESGCM(key_for("certificates")).encrypt(nonce, row.der, row.cert_sha256.encode())
        rewrite(row, sealed_der=text, holder_hmac=former.get(row.holder_hmac, ""))
        LockCertificate.objects.filter(pk=row.pk).update(mac=seals.former_macs("locks", row.sealed_content())[0])
    for session in Session.objects.all():
        Session.objects.filter(pk=session.pk).update(mac=seals.former_macs("session", session._sealed_content())[0])
    for account in Account.objects.exclude(mac=""):
        Account.objects.filter(pk=account.pk).update(mac=seals.former_macs("operators", account.sealed_content())[0])


def test_rows_that_name_no_key_are_made_anew_too(lock_world, in_use, settings):
    as_before_keys_had_names()
    turn(settings)
    whole(in_use)
    call_command("seal_audit")
    call_command("rekey")
    take_the_old_away(settings)
    whole(in_use)


def test_a_challenge_that_somebody_signs_meanwhile_is_good_and_a_secret_taken_away_ends_it(lock_world, in_use, settings):
    lock = make_lock("EC", number=2, uscc=USCC)
    first, second = Browser(), Browser()
    one, two = first.challenge(), second.challenge()
    turn(settings)
    assert first.post("/api/login", {"challenge": one, "token": lock.sign(one)}).status_code == 200
    take_the_old_away(settings)
    assert reason_of(second.post("/api/login", {"challenge": two, "token": lock.sign(two)})) == "CHALLENGE_FORGED"


def test_what_does_not_fit_is_named_and_not_sealed(lock_world, in_use, settings, capsys):
    turn(settings)
    Account.objects.filter(pk=lock_world.operator.pk).update(password="changed behind the server's back")
    LockCertificate.objects.filter(lock__lock_id="SX-0001").update(holder_hmac="0" * 64)
    with pytest.raises(CommandError, match="3 could not be made anew"):
        call_command("rekey")
    said = capsys.readouterr().err
    assert f"accounts: not made anew: {lock_world.operator.pk}" in said
    assert "does not follow from the certificate" in said
    assert [*row_seals.damaged_rows()]


def test_a_secret_that_is_missing_is_an_alarm_and_ends_what_nobody_could_revoke(lock_world, in_use, settings):
    assert not [line for line in readiness.problems() if line.startswith("keys:")]
    turn(settings, keep_the_old=False)
    rollback_guard.forget()
    call_command("register", "reseal", "--yes-the-list-is-right")
    assert [line for line in readiness.problems() if line.startswith("keys:")]
    swept = sweep_sessions()
    assert swept.failed
    assert swept.problem
    assert not Session.objects.filter(lock__isnull=False, ended_at=None).exists()
    with pytest.raises(Refusal):
        _ = LockCertificate.objects.first().der


def claimed(world, lock, lock_id: str) -> None:
    text = f"账户,CA 服务商,CA锁ID,来源\n{world.expert.username},{lock.family.provider},{lock_id},旧系统"
    assert [line.outcome.value for line in ImportList(ImportKind.BINDINGS, text.encode()).written(world.operator)] == ["new"]


def test_a_claim_whose_id_no_certificate_gives_anew_keeps_the_older_secret(lock_world, settings, capsys):
    lock = personal()
    claimed(lock_world, lock, f"1@5013SF0{NUMBER}")
    call_command("rekey")  # one secret alone: nothing to keep
    turn(settings)
    for _ in range(2):  # the first one's other work does not make it forget
        with pytest.raises(CommandError, match="1 could not be made anew: keep the older secrets"):
            call_command("rekey")
        said = capsys.readouterr().err
        assert f"claims: not made anew: {PendingBinding.objects.get().lock_id} of {lock_world.expert.username}" in said
        assert NUMBER not in said
    answer = Browser().log_in(lock)
    assert answer.status_code == 200, answer.content.decode()
    claimed(lock_world, lock, f"1@5013SF1{NUMBER}")
    claimed(lock_world, lock, "SX-0007")
    call_command("rekey")  # what is left was made under the newest, or needs no key
    take_the_old_away(settings)
    assert [*row_seals.damaged_rows()] == []


def test_it_goes_on_where_it_was_broken_off(lock_world, in_use, settings, monkeypatch):
    monkeypatch.setattr(rekeying, "BATCH", 1)
    turn(settings)
    left = iter(rekey())
    for _ in range(3):
        next(left)
    assert sum(found.done for found in rekey())
    take_the_old_away(settings)
    assert [found.failed for found in rekey() if found.failed] == []


def test_the_trail_keeps_rows_whose_secret_is_gone_by_their_seals_alone(lock_world, in_use, settings, capsys):
    call_command("seal_audit")
    turn(settings)
    call_command("rekey")
    call_command("seal_audit")
    take_the_old_away(settings)
    call_command("verify_audit")
    assert "by their signed seals alone" in capsys.readouterr().out
    row = AuditEvent.objects.order_by("pk").first()
    assert not is_intact(row)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET ip = '192.0.2.99' WHERE id = %s", [row.pk])
    with pytest.raises(CommandError):
        call_command("verify_audit")
    assert f"row {row.pk}" in capsys.readouterr().out
