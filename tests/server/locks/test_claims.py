"""待激活绑定: a list says whose a lock is; only the lock itself, by its CA's signature, makes a binding of it."""

from __future__ import annotations

import msgspec
import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in, page_client, refusal_row
from worlds.practice import make_lock
from worlds.rows import OTHER_USCC, install, rewrite

from calock.core.refusals import Refusal
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.imports.columns import ImportKind
from calock.server.imports.services import ImportList
from calock.server.locks import consent
from calock.server.locks.claims import withdraw_claim
from calock.server.locks.models import Binding, PendingBinding
from calock.server.locks.put_back import put_back_rows
from calock.server.locks.row_seals import damaged_rows
from calock.server.locks.unbinding import unbind_by_operators
from calock.server.notices.models import Notice
from calock.server.organisations.models import Organisation
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session
from calock.server.sites.registry import sites

pytestmark = pytest.mark.django_db


def taken(world, *lines: str, by: Account | None = None) -> list[tuple[str, str]]:
    text = "\n".join(["账户,CA 服务商,CA锁ID,来源", *lines])
    return [(line.outcome.value, line.words) for line in ImportList(ImportKind.BINDINGS, text.encode()).written(by)]


def claimed(world, lock, member=None) -> PendingBinding:
    member = member or world.member
    assert taken(world, f"{member.username},{lock.family.provider},SX-0001,旧系统", by=world.operator)[0][0] == "new"
    return PendingBinding.objects.get()


def test_the_first_login_with_the_lock_makes_a_binding_of_the_claim_and_its_person_is_told(lock_world):
    lock = make_lock()
    claimed(lock_world, lock)
    assert Notice.objects.get().kind == "lock_claimed"
    page = page_client("shanxi", lock_world.member).get("/system/ca/").content.decode()
    assert "待激活" in page
    assert "SX-0001" in page
    assert Browser().log_in(lock).status_code == 200
    binding = Binding.objects.get()
    assert (binding.account, binding.bound_by, binding.awaits) == (lock_world.member, lock_world.operator, "")
    assert not PendingBinding.objects.exists()
    assert Session.objects.get(method="ca").account == lock_world.member
    row = AuditEvent.objects.get(event=Event.BINDING_ADDED)
    assert (row.actor, row.subject, row.lock, row.details["source"]) == (
        lock_world.operator.pk, lock_world.member.pk, binding.lock_id, "旧系统"
    )  # fmt: skip
    assert Notice.objects.filter(account=lock_world.member, kind="lock_activated").count() == 1
    assert Browser().log_in(lock).status_code == 200
    assert Binding.objects.count() == 1


def test_a_lock_that_was_bound_and_ended_before_is_activated_as_well_but_never_twice(lock_world):
    lock = make_lock()
    binding = bound(lock, lock_world.member)
    Binding.objects.update(unbound_at=timezone.now(), unbound_by=lock_world.member)
    claimed(lock_world, lock, lock_world.colleague)
    assert Browser().log_in(lock).status_code == 200
    assert Binding.objects.live().get().account == lock_world.colleague
    assert Binding.objects.live().get().lock == binding.lock
    Binding.objects.live().update(unbound_at=timezone.now(), unbound_by=lock_world.colleague)
    refusal_row(Browser().log_in(lock), "LOCK_NOT_BOUND")


@pytest.mark.parametrize("what", ["other id", "other provider", "other organisation", "revoked", "operator", "disabled"])
def test_a_claim_opens_nothing_that_a_binding_would_not(lock_world, what):
    lock = make_lock(uscc=OTHER_USCC if what == "other organisation" else "")
    claim = claimed(lock_world, lock)
    reason = "LOCK_NOT_BOUND"
    if what == "other id":
        PendingBinding.objects.update(lock_id="SX-0002")
    elif what == "other provider":
        PendingBinding.objects.update(provider=Provider.objects.exclude(pk=claim.provider_id).first())
    elif what == "other organisation":
        reason = "HOLDER_NOT_ORGANISATION"
    elif what == "revoked":
        reason = "CERTIFICATE_REVOKED"
        lock_world.revoke(lock)
    elif what == "operator":
        rewrite(claim, account=lock_world.operator)
    else:
        rewrite(Account.objects.get(pk=lock_world.member.pk), state="disabled")
    refusal_row(Browser().log_in(lock), reason)
    assert not Binding.objects.exists()
    assert not Session.objects.filter(method="ca").exists()
    assert PendingBinding.objects.exists()


@pytest.mark.parametrize("change", [{"imported_by": None}, {"account": "colleague"}, {"mac": ""}])
def test_a_claim_that_somebody_wrote_or_changed_makes_no_binding(lock_world, change):
    lock = make_lock()
    claimed(lock_world, lock)
    values = {name: getattr(lock_world, value) if value else value for name, value in change.items()}
    PendingBinding.objects.update(**values)
    refusal_row(Browser().log_in(lock), "RECORD_DAMAGED")
    assert not Binding.objects.exists()


def test_a_list_claims_no_lock_for_an_account_whose_name_somebody_changed(lock_world):
    """The claim would be under seal, and good for the victim once the name is written back."""
    lock, name, victim = make_lock(), lock_world.colleague.username, lock_world.member
    Account.objects.filter(pk=lock_world.colleague.pk).update(username="x")
    Account.objects.filter(pk=victim.pk).update(username=name)
    ((outcome, words),) = taken(lock_world, f"{name},{lock.family.provider},SX-0001,旧系统")
    assert (outcome, "未通过完整性校验" in words) == ("error", True)
    Account.objects.filter(pk=victim.pk).update(username=victim.username)
    refusal_row(Browser().log_in(lock), "LOCK_NOT_BOUND")


@pytest.mark.parametrize("how", ["let go", "used"])
def test_a_claim_that_somebody_puts_back_with_its_seal_binds_no_lock_and_is_found(lock_world, how):
    """The person said that it is not theirs, or unbound the lock since."""
    lock = make_lock()
    kept = claimed(lock_world, lock)
    by = {"by": lock_world.member, "context": context(account=lock_world.member)}
    if how == "let go":
        withdraw_claim(claim=kept.pk, **by)
    else:
        assert Browser().log_in(lock).status_code == 200
        unbind_by_operators(binding=Binding.objects.get().pk, reason="换锁", by=lock_world.operator, context=context())
    assert [*put_back_rows()] == []
    PendingBinding.objects.bulk_create([kept])
    assert [*damaged_rows()] == []
    assert [*put_back_rows()] == [f"claim {kept.pk} of {lock_world.member.username}: it was used or let go"]
    refusal_row(Browser().log_in(lock), "RECORD_DAMAGED")
    assert not Binding.objects.live().exists()


def test_where_only_the_device_names_the_lock_the_password_is_asked_once(lock_world):
    lock = make_lock()
    device = {"device": {"serial": "DEVICE-77", "label": "", "manufacturer": ""}}
    install(lock_world.families[0], rules={"identity": {"lock": [{"source": "device"}]}})
    line = f"{lock_world.member.username},{lock.family.provider},DEVICE-77,"
    assert taken(lock_world, line)[0][0] == "new"
    refusal_row(Browser().log_in(lock, **device), "LOCK_NOT_ACTIVATED")
    assert not Binding.objects.exists()
    assert logged_in(lock_world.member).bind(lock, lock_world.member, **device).status_code == 200
    assert not PendingBinding.objects.exists()
    assert Browser().log_in(lock, **device).status_code == 200


def test_where_a_site_wants_the_members_consent_an_activated_lock_waits_for_it(lock_world, monkeypatch):
    lock = make_lock()
    claimed(lock_world, lock)
    changed = {
        code: msgspec.structs.replace(profile, members=msgspec.structs.replace(profile.members, bind_for_member="member"))
        for code, profile in sites().items()
    }
    monkeypatch.setattr(consent, "sites", lambda: changed)
    refusal_row(Browser().log_in(lock), "LOCK_NOT_CONFIRMED")
    assert Binding.objects.get().awaits == "member"
    assert not PendingBinding.objects.exists()


def test_whoever_binds_the_lock_themselves_ends_the_claim_about_it(lock_world):
    lock = make_lock()
    claim = claimed(lock_world, lock, lock_world.colleague)
    bound(lock, lock_world.member)
    assert not PendingBinding.objects.exists()
    row = AuditEvent.objects.get(event=Event.BINDING_CLAIM_ENDED)
    assert (row.actor, row.subject, row.details["claim"]) == (lock_world.member.pk, lock_world.colleague.pk, str(claim.pk))


def test_a_list_claims_no_lock_that_somebody_has_or_another_line_claims(lock_world):
    lock = make_lock()
    bound(lock, lock_world.member)
    code = lock.family.provider
    told = taken(
        lock_world,
        f"zhangsan,{code},SX-0001,",
        f"lisi,{code},SX-0001,",
        f"lisi,{code},SX-0009,",
        f"zhangsan,{code.upper()},SX-0009,",
        f"yunying,{code},SX-0010,",
        f"niemand,{code},SX-0011,",
        "lisi,unbekannt,SX-0012,",
        f"lisi,{code},SX-0013,",
    )
    assert [outcome for outcome, _ in told] == ["error"] * 7 + ["new"]
    assert [words for _, words in told[2:4]] == ["CA锁ID重复：第 4、5 行"] * 2
    again = taken(lock_world, f"lisi,{code},SX-0013,", f"zhangsan,{code},SX-0001,")
    assert [outcome for outcome, _ in again] == ["same", "same"]
    other = taken(lock_world, f"zhangsan,{code},SX-0013,", f"lisi,{code},SX-0001,")
    assert other == [("error", "该 CA 锁已是另一账户的待激活绑定"), ("error", "该 CA 锁已绑定其他账户")]


def test_a_person_ends_a_claim_about_their_own_account_and_nobody_elses(lock_world):
    claim = claimed(lock_world, make_lock())
    with pytest.raises(Refusal, match="BINDING_NOT_FOUND"):
        withdraw_claim(claim=claim.pk, by=lock_world.colleague, context=context(account=lock_world.colleague))
    client = page_client("shanxi", lock_world.member)
    assert client.post(f"/system/ca/claims/{claim.pk}/withdraw/").status_code == 302
    assert not PendingBinding.objects.exists()
    assert AuditEvent.objects.get(event=Event.BINDING_CLAIM_ENDED).actor == lock_world.member.pk


def test_another_organisations_claims_are_nowhere_to_be_seen(lock_world):
    claimed(lock_world, make_lock())
    for account in (lock_world.outsider, lock_world.outside_admin):
        assert "SX-0001" not in page_client("shanxi", account).get("/system/ca/").content.decode()
    assert "SX-0001" in page_client("shanxi", lock_world.admin).get("/system/ca/").content.decode()
    assert Organisation.objects.count() == 2
