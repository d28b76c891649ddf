"""Addresses of revocation data: public ones take one operator, those in a private network two."""

from __future__ import annotations

import pytest
from worlds.register import AT_START
from worlds.rows import operator

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.accounts.models import Account, Role
from calock.server.approvals.kinds import kind_of
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.approvals.services import approve, take_back
from calock.server.audit.models import AuditEvent
from calock.server.providers.anchors import CA_SUSPEND, propose_ca, propose_ca_state
from calock.server.providers.models import CaRecord, CaState, RevocationSource
from calock.server.providers.sources import add_source, propose_private_source, remove_source
from calock.server.providers.trust import current_problems
from calock.server.providers.validators import MAX_SOURCES

pytestmark = pytest.mark.django_db
INSIDE = "http://10.1.2.3/ca.crl"


def refused(reason: Reason):
    return pytest.raises(Refusal, match=f"^{reason}")


def ask(world, url: str = INSIDE, *, by: Account | None = None, kind: str = "crl") -> Approval:
    return propose_private_source(
        record=world.anchor, kind=kind, url=url, reason="专线内的 CRL 镜像", by=by or world.first, context=None
    )


def agree(approval: Approval, by: Account) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=by, context=None)


def inside() -> list[str]:
    return list(RevocationSource.objects.filter(private_network=True).values_list("url", flat=True))


def test_one_operator_does_not_make_the_server_talk_to_a_machine_inside(world):
    with refused(Reason.SECOND_OPERATOR_NEEDED):
        add_source(record=world.anchor, kind="crl", url=INSIDE, private_network=True, by=world.first, context=None)
    approval = ask(world)
    with refused(Reason.SECOND_OPERATOR_NEEDED):
        agree(approval, world.first)
    assert inside() == []


def test_two_operators_do_and_the_audit_trail_says_which(world):
    approval = ask(world)
    shown = dict(kind_of(approval).facts(approval))
    assert shown["内网地址"] == INSIDE
    assert shown["公钥 SHA-256"] == world.anchor.spki_sha256
    assert "连接这台内网主机" in shown["通过后"]
    agree(approval, world.second)
    assert inside() == [INSIDE]
    row = AuditEvent.objects.get(event="provider:revocation_source:changed")
    assert (row.actor, row.details["url"], row.details["private_network"]) == (world.second.pk, INSIDE, True)
    assert row.details["approval"] == str(approval.pk)
    assert current_problems() == ()


def test_several_may_wait_and_the_same_one_only_once(world):
    ask(world)
    ask(world, "http://10.1.2.3/delta.crl")
    with refused(Reason.APPROVAL_WAITING):
        ask(world)


def test_what_changed_meanwhile_is_judged_again(world):
    first, second = ask(world), ask(world, "http://10.1.2.3/delta.crl")
    agree(first, world.second)
    RevocationSource.objects.get(url=INSIDE).delete()
    world.anchor.refresh_from_db()
    world.anchor.state = CaState.WITHDRAWN
    world.anchor.save()
    with refused(Reason.VERSION_CHANGED):
        agree(second, world.second)
    assert Approval.objects.get(pk=second.pk).state == ApprovalState.PENDING


@pytest.mark.parametrize("url", ["", "ftp://10.1.2.3/", "http://", "http://user@10.1.2.3/", "http://10.1.2.3/a b"])
def test_a_private_address_is_an_http_address_as_well(world, url):
    with refused(Reason.REQUEST_MALFORMED):
        ask(world, url)
    with refused(Reason.REQUEST_MALFORMED):
        ask(world, kind="ftp")
    assert not Approval.objects.exists()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ORGANISATION_ADMIN])
def test_only_operators_propose_one(world, role):
    with refused(Reason.NOT_ALLOWED):
        ask(world, by=Account.objects.create_account(username="x", name="某", role=role))


def test_a_ca_has_so_many_addresses_and_no_more(world):
    rows = [RevocationSource(ca_record=world.anchor, kind="crl", url=f"http://ca.example/{n}.crl") for n in range(MAX_SOURCES)]
    for row in rows[:2]:
        row.save()
    add = {"kind": "crl", "private_network": False, "by": operator("bing"), "context": None}
    add_source(record=world.anchor, url="http://ca.example/more.crl", **add)
    for row in rows[2:-1]:
        row.save()
    with pytest.raises(Refusal, match=f"来源最多 {MAX_SOURCES} 个"):
        add_source(record=world.anchor, url="http://ca.example/one-more.crl", **add)
    with pytest.raises(Refusal, match=f"来源最多 {MAX_SOURCES} 个"):
        ask(world)


def test_a_page_that_still_shows_a_forgotten_record_takes_no_step_on_it(world):
    root = pki.make_root("新根", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20)).certificate
    ask_ca = {"provider": world.provider, "certificate": root, "anchor": True, "group": ""}
    approval = propose_ca(**ask_ca, reason="新根", by=world.first, context=None)
    record = CaRecord.objects.get(pk=approval.target)
    take_back(approval_id=approval.pk, version=1, by=world.first, context=None)
    by = {"record": record, "by": world.first, "context": None}
    for step in (
        lambda: add_source(**by, kind="crl", url="http://ca.example/a.crl", private_network=False),
        lambda: propose_private_source(**by, kind="crl", url=INSIDE, reason="专线"),
        lambda: propose_ca_state(**by, version=record.version, kind=CA_SUSPEND, reason="通报"),
    ):
        with refused(Reason.NOT_FOUND):
            step()


def test_an_address_that_several_take_away_at_once_leaves_one_audit_row(world):
    """Each holds the row that their page showed."""
    seen = [RevocationSource.objects.get() for _ in range(3)]
    remove_source(source=seen[0], by=world.first, context=None)
    for source, by in zip(seen[1:], (world.first, world.second), strict=True):
        with refused(Reason.NOT_FOUND):
            remove_source(source=source, by=by, context=None)
    assert AuditEvent.objects.get(event="provider:revocation_source:changed").actor == world.first.pk
