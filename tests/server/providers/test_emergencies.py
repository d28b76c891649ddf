"""The emergency mode is bounded, for one CA of this very provider, and two operators decide it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.kinds import kind_of
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.providers import emergencies
from calock.server.providers.emergencies import LONGEST, running
from calock.server.providers.installation import install_provider
from calock.server.providers.models import CaRecord, Provider
from calock.server.providers.services import propose_emergency, propose_trust
from calock.server.providers.trust import current_register

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def rules(*ends: tuple[str, datetime | str]) -> dict:
    texts = [f"{key}:{end if isinstance(end, str) else end.isoformat()}" for key, end in ends]
    return {"revocation": {"emergencies": texts}}


def propose(world, wanted: dict) -> Approval:
    fresh = Provider.objects.get(pk=world.provider.pk)
    change = {"state": fresh.state, "sites": fresh.sites, "allow_expired_binding": False, "reason": "CA 停止发布 CRL"}
    return propose_trust(provider=fresh, version=fresh.version, rules=wanted, **change, by=world.first, context=None)


def agree(world, approval: Approval) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=world.second, context=None)


def refused():
    return pytest.raises(Refusal, match=f"^{Reason.PROVIDER_RULES_REFUSED}")


def test_it_runs_for_its_ca_alone_and_ends_by_itself(world):
    end = timezone.now() + 12 * HOUR
    agree(world, propose(world, rules((world.intermediate.spki_sha256, end))))
    policy = current_register().providers[0].policy.revocation
    assert policy.emergency_end(world.intermediate.spki_sha256) == end
    assert policy.emergency_end(world.anchor.spki_sha256) is None
    fresh = Provider.objects.get()
    assert [item.record for item in running(fresh, at=timezone.now())] == [world.intermediate]
    assert running(fresh, at=end) == []


def test_it_is_audited_with_its_ca_and_its_end(world):
    end = timezone.now() + 12 * HOUR
    agree(world, propose(world, rules((world.intermediate.spki_sha256, end))))
    row = AuditEvent.objects.get(event="provider:changed")
    assert row.details["emergencies"] == f"{world.intermediate.spki_sha256}:{end.astimezone(UTC).isoformat()}"


def test_the_second_operator_reads_which_ca_and_until_when(world):
    approval = propose(world, rules((world.intermediate.spki_sha256, timezone.now() + HOUR)))
    said = dict(kind_of(approval).facts(approval))["紧急放宽"]
    assert "练习中级 CA" in said
    assert "不受时效限制" in said


@pytest.mark.parametrize("late", [timedelta(minutes=1), timedelta(days=365)])
def test_it_ends_at_most_72_hours_after_the_proposal(world, late):
    with refused():
        propose(world, rules((world.anchor.spki_sha256, timezone.now() + LONGEST + late)))
    propose(world, rules((world.anchor.spki_sha256, timezone.now() + LONGEST - HOUR)))


@pytest.mark.parametrize(
    "end", ["9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+23:59x", "2026-01-01T00:00:00", "", "x"]
)
def test_an_end_beyond_the_calendar_or_without_an_offset_is_refused(world, end):
    with refused():
        propose(world, rules((world.anchor.spki_sha256, end)))


@pytest.mark.parametrize("key", ["0" * 64, "a" * 64])
def test_it_names_a_ca_of_this_provider(world, key):
    with refused():
        propose(world, rules((key, timezone.now() + HOUR)))


def test_a_ca_that_is_only_proposed_is_none_of_this_provider(world):
    CaRecord.objects.filter(pk=world.intermediate.pk).update(state="pending")
    with refused():
        propose(world, rules((world.intermediate.spki_sha256, timezone.now() + HOUR)))


def test_both_limits_are_held_again_when_it_is_approved(world, monkeypatch):
    approval = propose(world, rules((world.intermediate.spki_sha256, timezone.now() + 50 * HOUR)))
    monkeypatch.setattr(emergencies, "LONGEST", 40 * HOUR)
    with refused():
        agree(world, approval)
    # whoever writes to the database dates the proposal later than it is
    Approval.objects.filter(pk=approval.pk).update(proposed_at=timezone.now() + timedelta(days=300))
    with pytest.raises(Refusal, match=f"^{Reason.REGISTER_DAMAGED}"):
        agree(world, approval)
    assert running(Provider.objects.get(), at=timezone.now()) == []


def test_one_that_has_ended_does_not_stand_in_the_way_of_other_changes(world):
    over = rules((world.intermediate.spki_sha256, timezone.now() - HOUR))
    agree(world, propose(world, over))
    agree(world, propose(world, {**over, "grace_days": 1}))
    assert current_register().providers[0].policy.grace_days == 1


def test_the_page_proposes_one_without_anybody_writing_json(world):
    agree(world, propose(world, {"grace_days": 2, **rules((world.anchor.spki_sha256, timezone.now() + HOUR))}))
    record = CaRecord.objects.select_related("provider").get(pk=world.intermediate.pk)
    agree(world, propose_emergency(record=record, hours=6, reason="CRL 过期", by=world.first, context=None))
    fresh = Provider.objects.get()
    assert {item.record.pk for item in running(fresh, at=timezone.now())} == {world.anchor.pk, world.intermediate.pk}
    assert fresh.rules["grace_days"] == 2
    record.refresh_from_db()
    with refused():
        propose_emergency(record=record, hours=73, reason="CRL 过期", by=world.first, context=None)


def test_the_command_line_is_held_to_the_same_limits(world):
    for key, end in ((world.anchor.spki_sha256, timezone.now() + 99 * HOUR), ("a" * 64, timezone.now() + HOUR)):
        with refused():
            install_provider(code="lianxi", values={"name": "n", "short_name": "s"}, rules=rules((key, end)), sites=[])
