"""Accounts, organisations, bindings and locks in the console: what operators may do about people, and what takes two."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from worlds.browser import Browser, bound, console_client, logged_in, refusal_row
from worlds.practice import NOW, id_card, make_lock
from worlds.rows import USCC

from calock.core.refusals import Reason
from calock.server.accounts.models import Account, AccountState, PasswordCode, Role
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.organisations.models import Organisation
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def account_page(account) -> str:
    return f"/console/accounts/account/{account.pk}/change/"


def live_sessions(account) -> int:
    return Session.objects.filter(account=account, ended_at__isnull=True).count()


def version(lock: Lock, world, *, spki: str = "a" * 64, holder: str = "h" * 64, before: LockCertificate | None = None):
    now = timezone.now()
    if before is not None:
        before.superseded_at = now
        before.save()
    return LockCertificate.objects.create(
        lock=lock, ca_record=world.intermediate, serial=secrets.token_hex(8), cert_sha256=secrets.token_hex(32), spki_sha256=spki,
        holder_hmac=holder, holder_masked="9114****X0", subject_cn="山西测试科技有限公司", algorithm="SM2",
        not_before=now - timedelta(days=9), not_after=now + timedelta(days=9), der=b"", supersedes=before,
    )  # fmt: skip


@pytest.fixture
def lock(world):
    return Lock.objects.create(provider=world.provider, lock_id="7301401000450001")


@pytest.fixture
def binding(world, member, lock):
    version(lock, world)
    return Binding.objects.create(lock=lock, account=member, bound_by=member, bound_at=timezone.now(), site="shanxi")


def test_the_console_is_in_chinese_and_says_so_to_who_reads_the_pages_in_english(world, first):
    first.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    for path in ("/console/trust/", "/console/accounts/account/"):
        answer = first.get(path)
        assert '<html lang="zh-CN"' in answer.content.decode()
        assert answer.headers["Content-Language"] == "zh-hans"
        assert "Skip to the content" not in answer.content.decode()
    assert '<html lang="en"' in first.get("/help/").content.decode()


def test_names_are_masked_and_accounts_are_found(world, first, member):
    html = first.get("/console/accounts/account/?q=cssbjgys").content.decode()
    assert "cssbjgys02" in html
    assert "张*" in html
    assert "张三" not in html + first.get(account_page(member)).content.decode()


def test_disabling_an_account_ends_its_sessions_and_enabling_lets_it_in_again(world, first, member):
    console_client(member)
    first.post(account_page(member), {"step": "disable"})
    assert Account.objects.get(pk=member.pk).state == AccountState.DISABLED
    assert live_sessions(member) == 0
    first.post(account_page(member), {"step": "enable"})
    assert Account.objects.get(pk=member.pk).is_active
    assert {row.actor for row in AuditEvent.objects.filter(event__in=["account:disabled", "account:enabled"])} == {world.first.pk}


def test_sec03_a_reset_gives_the_operator_a_one_time_code_and_no_password(world, first, member):
    console_client(member)
    answer = first.post(account_page(member), {"step": "reset", "password": "Xin-Mi-Ma-20261122"})
    fresh = Account.objects.get(pk=member.pk)
    assert not fresh.has_usable_password()
    assert live_sessions(member) == 0
    code = re.search(r"<code>([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})</code>", answer.content.decode()).group(1)
    assert "no-store" in answer["Cache-Control"]
    assert code not in first.get(account_page(member)).content.decode()
    assert code not in str(list(AuditEvent.objects.values())) + str(list(PasswordCode.objects.values()))


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"step": "rename", "name": "一" * 65},
        {"step": "demote"},
        {"step": "operator_disable", "reason": "x"},
        {"step": "promote", "role": "operator"},
        {"role": "operator", "step": ""},
    ],
)
def test_a_strange_form_changes_no_account(world, first, member, form):
    """A96, A98: no field of a form makes anybody an operator."""
    before = Account.objects.filter(pk=member.pk).values().get()
    assert first.post(account_page(member), form, follow=True).status_code == 200
    assert Account.objects.filter(pk=member.pk).values().get() == before
    assert Account.objects.get(pk=member.pk).role == Role.MEMBER


def test_an_operator_does_not_disable_himself(world, first):
    first.post(account_page(world.first), {"step": "disable"})
    assert Account.objects.get(pk=world.first.pk).is_active


def test_an_operator_does_not_become_two_by_resetting_a_colleagues_password(world, first):
    """A34: whoever knows the second operator's password approves his own proposals."""
    console_client(world.second)
    before = Account.objects.get(pk=world.second.pk).password
    page = first.get(account_page(world.second)).content.decode()
    assert 'value="reset"' not in page
    first.post(account_page(world.second), {"step": "reset"})
    fresh = Account.objects.get(pk=world.second.pk)
    assert fresh.password == before
    assert live_sessions(world.second)
    row = AuditEvent.objects.get(event=Event.ACCOUNT_PASSWORD_REFUSED.value)
    assert (row.actor, row.subject, row.reason) == (world.first.pk, world.second.pk, Reason.NOT_ALLOWED)


def test_what_the_console_refuses_an_operator_is_in_the_trail(world, first, binding):
    """Approving one's own proposal is what an auditor looks for."""
    first.post(unbind_address(binding), {"step": "unbind", "reason": "本人遗失"})
    approval = Approval.objects.get()
    form = {"step": "approve", "version": approval.version, "sha256": approval.sha256}
    page = first.post(f"/console/approvals/{approval.pk}/", form, follow=True)
    row = AuditEvent.objects.get(reason=Reason.SECOND_OPERATOR_NEEDED.value)
    assert (row.actor, row.details["path"]) == (world.first.pk, f"/console/approvals/{approval.pk}/")
    assert page.status_code == 200
    assert Binding.objects.get(pk=binding.pk).unbound_at is None


def test_disabling_an_organisation_ends_the_sessions_of_all_its_members(world, first, member, organisation):
    other = Account.objects.create_account(username="elsewhere", name="李四")
    console_client(member)
    console_client(other)
    address = f"/console/organisations/organisation/{organisation.pk}/change/"
    first.post(address, {"step": "disable"})
    assert Organisation.objects.get(pk=organisation.pk).state == "disabled"
    assert (live_sessions(member), live_sessions(other)) == (0, 1)
    first.post(address, {"step": "enable"})
    first.post(address, {"step": "nonsense"})
    assert Organisation.objects.get(pk=organisation.pk).state == "active"


def unbind_address(binding) -> str:
    return f"/console/locks/binding/{binding.pk}/change/"


def test_an_emergency_unbind_takes_two_operators(world, first, second, member, binding):
    now = timezone.now()
    session = Session.objects.create(
        digest=secrets.token_hex(32), account=member, site="shanxi", method="ca", lock=binding.lock, created_at=now,
        last_seen_at=now, expires_at=now + timedelta(hours=1), authenticated_at=now,
    )  # fmt: skip
    first.post(unbind_address(binding), {"step": "unbind", "reason": "本人持身份证到场核验，锁已遗失"})
    approval = Approval.objects.get()
    assert Binding.objects.get(pk=binding.pk).unbound_at is None
    form = {"step": "approve", "version": 1, "sha256": approval.sha256}
    first.post(f"/console/approvals/{approval.pk}/", form)
    assert Binding.objects.get(pk=binding.pk).unbound_at is None
    second.post(f"/console/approvals/{approval.pk}/", form)
    ended = Binding.objects.get(pk=binding.pk)
    session.refresh_from_db()
    assert ended.unbound_by == world.second
    assert "锁已遗失" in ended.reason
    assert session.ended_at is not None
    assert AuditEvent.objects.filter(event="binding:lock:ended", actor=world.second.pk).count() == 1


def test_an_emergency_unbind_needs_a_reason_and_a_live_binding(world, first, second, member, binding):
    first.post(unbind_address(binding), {"step": "unbind", "reason": " "})
    first.post(unbind_address(binding), {"step": "x", "reason": "r"})
    assert not Approval.objects.exists()
    first.post(unbind_address(binding), {"step": "unbind", "reason": "锁已遗失"})
    approval = Approval.objects.get()
    Binding.objects.filter(pk=binding.pk).update(unbound_at=timezone.now(), unbound_by=member, reason="自己解除")  # meanwhile
    form = {"step": "approve", "version": 1, "sha256": approval.sha256}
    answer = second.post(f"/console/approvals/{approval.pk}/", form, follow=True)
    assert "alert bad" in answer.content.decode()
    assert Binding.objects.get(pk=binding.pk).reason == "自己解除"
    assert Approval.objects.get().state == "pending"


def test_the_lock_page_says_why_a_renewal_was_inherited(world, first, lock, binding):
    one = LockCertificate.objects.get()
    two = version(lock, world, before=one)
    record(Event.CERTIFICATE_RENEWED, lock=lock.pk, details={"certificate": two.cert_sha256, "how": "same key, at login"})
    version(lock, world, spki="b" * 64, before=two)
    html = first.get(f"/console/locks/lock/{lock.pk}/change/").content.decode()
    assert "登录时自动沿用原绑定（密钥未变）" in html
    assert "密钥已变，须本人再次确认身份" in html
    assert html.count("✓ 同一持有人标识") == 2


OTHER_HOLDER = {"person_id": id_card("14010119920303123"), "name": "李四"}
RENEWED = {"uscc": USCC, "not_after": NOW + timedelta(days=700)}


@pytest.mark.parametrize(
    ("way", "shown", "reason"),
    [
        ("login", OTHER_HOLDER, "LOCK_HOLDER_CHANGED"),
        ("bind", OTHER_HOLDER, "LOCK_HOLDER_CHANGED"),
        ("login", {**RENEWED, "number": 1}, "RENEWAL_NEEDS_STEP_UP"),
        ("login", RENEWED, "PREDECESSOR_REVOKED"),
        ("bind", RENEWED, "PREDECESSOR_REVOKED"),
    ],
)
def test_the_lock_page_says_why_a_certificate_did_not_inherit(lock_world, way, shown, reason):
    """Driven through the refusals themselves: each names the lock and the CA that issued the certificate."""
    first = make_lock("EC", uscc=USCC)
    held = bound(first, lock_world.member)
    if reason == "PREDECESSOR_REVOKED":
        lock_world.revoke(first)
    attempt = make_lock("EC", **shown)
    answer = Browser().log_in(attempt) if way == "login" else logged_in(lock_world.member).bind(attempt, lock_world.member)
    row = refusal_row(answer, reason)
    assert (row.lock, row.provider) == (held.lock_id, "lianxi-ec")
    assert str(held.lock_id) not in answer.content.decode()
    html = console_client(lock_world.operator).get(f"/console/locks/lock/{held.lock_id}/change/").content.decode()
    assert reason in html
    assert row.number in html
    assert "没有被拒绝的续期" not in html


def test_the_lock_page_tells_a_new_binding_from_a_renewal(lock_world):
    first = make_lock("EC", uscc=USCC)
    held = bound(first, lock_world.member)
    lock_world.revoke(first)
    second = make_lock("EC", **RENEWED)
    refusal_row(Browser().log_in(second), "PREDECESSOR_REVOKED")
    Binding.objects.update(unbound_at=timezone.now(), unbound_by=lock_world.member, reason="证书已吊销")
    bound(second, lock_world.member)
    html = console_client(lock_world.operator).get(f"/console/locks/lock/{held.lock_id}/change/").content.decode()
    assert "原绑定解除后重新绑定" in html
    assert "✗ 前一证书未被吊销" in html
    assert "确认身份后沿用原绑定" not in html
    assert html.count("<code>PREDECESSOR_REVOKED</code>") == 1
    assert "<code>CERTIFICATE_REVOKED</code>" not in html  # nobody showed it: the finding is not an attempt


def test_the_lock_page_shows_a_revoked_certificate_that_was_refused(lock_world):
    first = make_lock("EC", uscc=USCC)
    held = bound(first, lock_world.member)
    lock_world.revoke(first)
    refusal_row(Browser().log_in(first), "CERTIFICATE_REVOKED")
    html = console_client(lock_world.operator).get(f"/console/locks/lock/{held.lock_id}/change/").content.decode()
    assert "CERTIFICATE_REVOKED" in html
    assert "已吊销" in html


def test_every_list_has_a_chinese_heading(world, first):
    lists = {"accounts/account": "账户", "organisations/organisation": "单位", "locks/lock": "CA 锁", "locks/binding": "绑定"}
    for address, words in {**lists, "audit/auditevent": "审计记录"}.items():
        assert f"<h1>{words}</h1>" in first.get(f"/console/{address}/").content.decode(), address


def test_lists_filter_and_search(world, first, member, binding):
    for address, hit in (
        ("locks/binding/?q=730140", True),
        ("locks/binding/?q=nothing", False),
        ("locks/binding/?live=0", False),
        ("locks/binding/?live=1", True),
        ("locks/binding/?lock-provider-code=lianxi", True),
        ("locks/lock/?q=7301401000450001", True),
    ):
        assert ("7301401000450001" in first.get(f"/console/{address}").content.decode()) == hit, address


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ({}, "绑定中"),
        ({"awaits": "member"}, "待确认"),
        ({"suspended_at": NOW, "awaits": "member"}, "已挂失"),
        ({"unbound_at": NOW, "suspended_at": NOW}, "已解除"),
    ],
)
def test_a_lock_that_does_not_log_in_is_called_bound_on_no_page(world, first, member, binding, state, shown):
    by = {name.replace("_at", "_by"): member for name in state if name.endswith("_at")}
    Binding.objects.filter(pk=binding.pk).update(**state, **by)
    pages = (
        account_page(member),
        *(f"/console/locks/{kind}/{row.pk}/change/" for kind, row in (("binding", binding), ("lock", binding.lock))),
    )
    for page in (*pages, f"/console/locks/binding/?q={binding.lock.lock_id}"):
        html = first.get(page).content.decode()
        assert set(re.findall(r'class="badge[^>]*>(绑定中|待确认|已挂失|已解除)<', html)) <= {shown}, page
        assert shown in html or state.get("unbound_at"), page
