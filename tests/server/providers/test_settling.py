"""What a decision about a CA leaves behind: nothing stands on what is gone, nothing waits for what came to nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.register import AT_START, install_practice
from worlds.rows import ca_session

from calock.core.refusals import Refusal
from calock.demo import pki
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import kind_of
from calock.server.approvals.models import LIFE, Approval
from calock.server.approvals.services import approve, reject, take_back
from calock.server.audit.models import AuditEvent
from calock.server.providers.anchors import CA_RESUME, CA_SUSPEND, CA_WITHDRAW, propose_ca, propose_ca_state
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.providers.services import create_provider, suspend_provider
from calock.server.providers.trust import check_at_start, current_problems, current_register

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def newcomer() -> pki.Authority:
    return pki.make_root("新根 CA", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20))


@pytest.fixture(scope="module")
def newer(authority) -> bytes:
    """A newer certificate of the world's anchor key."""
    return pki.make_root("练习根 CA", "SM2", authority.key, not_before=AT_START, not_after=pki.years(AT_START, 30)).certificate


def ask(world, certificate: bytes, *, provider: Provider | None = None, by: Account | None = None, **fields) -> Approval:
    wanted = {"anchor": True, "group": "", "reason": "换发", "context": None, **fields}
    return propose_ca(provider=provider or world.provider, certificate=certificate, by=by or world.first, **wanted)


def agree(approval: Approval, by: Account) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=by, context=None)


def step(world, kind: str, record: CaRecord) -> None:
    row = CaRecord.objects.get(pk=record.pk)
    agree(propose_ca_state(record=row, version=row.version, kind=kind, reason="通报", by=world.first, context=None), world.second)


def facts(approval: Approval) -> dict[str, str]:
    return dict(kind_of(approval).facts(approval))


# --- the only anchor, demoted


def test_an_anchor_recognised_anew_as_an_intermediate_takes_the_provider_with_it(world, newer):
    """F14: it used to stay enabled without an anchor, sessions going on, until the next start failed."""
    session = ca_session(world.intermediate)
    agree(ask(world, newer, anchor=False), world.second)
    session.refresh_from_db()
    assert Provider.objects.get().state == ProviderState.SUSPENDED
    assert session.ended_at is not None
    assert current_problems() == ()
    check_at_start()
    row = AuditEvent.objects.get(event="provider:anchor:approved")
    assert (row.details["provider_suspended"], row.details["sessions_ended"]) == (True, 1)


def test_the_second_operator_reads_that_an_anchor_would_go(world, newer):
    shown = facts(ask(world, newer, anchor=False))
    assert shown["用途变更"] == "信任锚 → 中间 CA"
    assert "服务商立即被暂停" in shown["不再是信任锚"]
    assert "路径不会成立" in shown["用途"]  # it is its own issuer, and no anchor any more


def test_with_another_anchor_only_what_stood_on_the_demoted_one_ends(world, newer, newcomer):
    agree(ask(world, newcomer.certificate, group="second"), world.second)
    approval = ask(world, newer, anchor=False)
    assert "服务商立即被暂停" not in facts(approval)["不再是信任锚"]
    below = ca_session(world.intermediate)
    elsewhere = ca_session(CaRecord.objects.get(spki_sha256=newcomer.key.spki_sha256))
    agree(approval, world.second)
    below.refresh_from_db()
    elsewhere.refresh_from_db()
    assert (below.ended_at is None, elsewhere.ended_at is None) == (False, True)
    assert Provider.objects.get().state == ProviderState.ENABLED


def test_a_newer_certificate_of_an_anchor_that_stays_one_ends_nothing(world, newer):
    session = ca_session(world.intermediate)
    approval = ask(world, newer)
    assert "用途变更" not in facts(approval)
    assert facts(approval)["登记状态"] == "已互认，通过后由此证书替换现有证书"
    agree(approval, world.second)
    session.refresh_from_db()
    assert session.ended_at is None


def test_an_empty_group_keeps_the_records_group(world, newer):
    """It used to become the provider's code, and no lock of that CA kept its binding over a renewal any more."""
    agree(ask(world, newer), world.second)
    assert CaRecord.objects.get(pk=world.anchor.pk).group == "root"


def test_another_group_is_said_before_it_is_decided(world, newer, newcomer):
    assert facts(ask(world, newer, group="neu"))["CA 组"].startswith("root → neu（")
    agree(ask(world, newcomer.certificate), world.second)
    assert CaRecord.objects.get(spki_sha256=newcomer.key.spki_sha256).group == "lianxi"


# --- proposals that came to nothing


def other_provider(world) -> Provider:
    return create_provider(code="other", values={"name": "另一家", "short_name": "另一家"}, by=world.first, context=None)


def taken_back(world, approval: Approval) -> None:
    take_back(approval_id=approval.pk, version=1, by=world.first, context=None)


def rejected(world, approval: Approval) -> None:
    reject(approval_id=approval.pk, version=1, by=world.second, context=None, note="不符")


def lapsed(_world, approval: Approval) -> None:
    Approval.objects.filter(pk=approval.pk).update(proposed_at=timezone.now() - LIFE)


@pytest.mark.parametrize("end", [taken_back, rejected, lapsed])
def test_a_proposal_without_approval_does_not_keep_the_key_from_others(world, newcomer, end):
    end(world, ask(world, newcomer.certificate))
    other = other_provider(world)
    agree(ask(world, newcomer.certificate, provider=other), world.second)
    assert CaRecord.objects.get(spki_sha256=newcomer.key.spki_sha256, state=CaState.RECOGNISED).provider == other
    assert current_problems() == ()


@pytest.mark.parametrize("end", [taken_back, rejected])
def test_a_proposal_that_was_decided_against_leaves_no_record(world, newcomer, end):
    end(world, ask(world, newcomer.certificate))
    assert CaRecord.objects.count() == 2
    assert len(current_register().providers) == 1


def test_taking_back_a_newer_certificate_leaves_the_record_it_was_for(world, newer):
    taken_back(world, ask(world, newer))
    assert CaRecord.objects.get(pk=world.anchor.pk).state == CaState.RECOGNISED


# --- dates


def test_a_record_keeps_when_each_step_was_taken(world):
    before = timezone.now()
    record = CaRecord.objects.get(pk=world.intermediate.pk)
    recognised = record.recognised_at
    assert recognised is not None
    assert (record.suspended_at, record.withdrawn_at) == (None, None)
    step(world, CA_SUSPEND, record)
    step(world, CA_RESUME, record)
    record.refresh_from_db()
    assert record.recognised_at == recognised
    assert record.suspended_at is not None
    step(world, CA_WITHDRAW, record)
    agree(ask(world, bytes(record.certificate), anchor=False), world.second)
    record.refresh_from_db()
    assert before < record.suspended_at < record.withdrawn_at < record.recognised_at
    assert current_problems() == ()


def test_a_date_changed_in_the_database_is_tampering(world):
    CaRecord.objects.filter(pk=world.anchor.pk).update(recognised_at=timezone.now() - timedelta(days=400))
    assert "ca_tampered" in {problem.kind for problem in current_problems()}


# --- the command line


@pytest.mark.parametrize("state", [CA_SUSPEND, CA_WITHDRAW])
def test_installing_again_does_not_bring_back_what_operators_took_away(world, state):
    step(world, state, world.intermediate)
    with pytest.raises(Refusal, match="it comes back in the console"):
        install_practice()
    assert CaRecord.objects.get(pk=world.intermediate.pk).state in (CaState.SUSPENDED, CaState.WITHDRAWN)


def test_installing_again_ends_what_loses_its_ground(world, authority):
    on_site = ca_session(world.intermediate)
    install_provider(code="lianxi", values={"name": "n", "short_name": "s"}, rules={}, sites=["zcy"])
    on_site.refresh_from_db()
    assert on_site.ended_at is not None
    assert Provider.objects.get().state == ProviderState.ENABLED
    demoted = CaToInstall(authority.certificate, anchor=False)
    install_provider(code="lianxi", values={"name": "n", "short_name": "s"}, rules={}, sites=["zcy"], cas=[demoted])
    assert Provider.objects.get().state == ProviderState.SUSPENDED
    assert CaRecord.objects.get(pk=world.anchor.pk).group == "root"


def test_installing_again_does_not_undo_an_emergency_stop(world):
    suspend_provider(provider=world.provider, reason="疑似泄露", by=world.first, context=None)
    install_practice()
    assert Provider.objects.get().state == ProviderState.SUSPENDED
