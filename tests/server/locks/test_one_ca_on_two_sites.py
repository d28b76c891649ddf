"""One CA under two providers, each on a site of its own: one lock, one account, and on each site that site's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from worlds.browser import HOSTS, Browser, bound, logged_in, reason_of, refusal_row
from worlds.practice import NOW, YEARS, family, make_lock
from worlds.rows import OTHER_USCC, RULES, USCC, install, operator

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.services import approve
from calock.server.jobs.sessions import sweep_sessions
from calock.server.locks.models import Binding, LockCertificate
from calock.server.providers.anchors import CA_WITHDRAW, propose_ca, propose_ca_state
from calock.server.providers.models import CaRecord, CaState, Provider
from calock.server.providers.services import propose_trust, suspend_provider
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def at(site: str) -> Browser:
    return Browser(host=HOSTS[site])


@pytest.fixture
def zcy(lock_world) -> Provider:
    """The P-256 CA of the world's provider on shanxi, under the provider of the other site."""
    return install(replace(family("EC"), provider="zcy-lianxi"), sites=["zcy"])


def with_rules(provider: Provider, **rules) -> None:
    """As two operators would decide; how they do is not the subject here."""
    provider.rules = {**provider.rules, **rules}
    provider.save()


def test_a_lock_bound_on_one_site_is_the_same_account_on_the_other(lock_world, zcy):
    lock = make_lock("EC", uscc=USCC)
    bound(lock, lock_world.member)
    for site in ("shanxi", "zcy"):
        assert at(site).log_in(lock).status_code == 200
    assert set(Session.objects.filter(method="ca").values_list("account", "site")) == {
        (lock_world.member.pk, "shanxi"), (lock_world.member.pk, "zcy"),
    }  # fmt: skip
    own, other = (logged_in(person, site="zcy") for person in (lock_world.member, lock_world.colleague))
    assert reason_of(own.bind(lock, lock_world.member, provider="zcy-lianxi")) == "LOCK_ALREADY_BOUND"
    assert reason_of(other.bind(lock, lock_world.colleague, provider="zcy-lianxi")) == "LOCK_BOUND_TO_OTHER"
    assert reason_of(own.bind(lock, lock_world.member, provider="lianxi-ec")) == "PROVIDER_MISMATCH"


@pytest.mark.parametrize("both", [True, False])
def test_the_list_of_a_site_that_does_not_recognise_the_ca_does_not_call_the_lock_good(lock_world, both, request):
    if both:
        request.getfixturevalue("zcy")
    bound(make_lock("EC", uscc=USCC), lock_world.member)
    shown = {site: logged_in(lock_world.member, site=site).client.get("/system/ca/").content.decode() for site in HOSTS}
    assert "本平台不可用" not in shown["shanxi"]
    assert ("本平台不可用" in shown["zcy"]) is not both


def test_its_renewal_on_the_other_site_is_the_same_lock_on_both(lock_world, zcy):
    bound(make_lock("EC", uscc=USCC), lock_world.member)
    renewed = make_lock("EC", uscc=USCC, not_after=NOW + YEARS)
    for site in ("zcy", "shanxi"):
        assert at(site).log_in(renewed).status_code == 200
    assert LockCertificate.objects.get(superseded_at=None).ca_record.provider == zcy
    another = make_lock("EC", number=1, uscc=USCC, lock_id="SX-0002")
    asked = logged_in(lock_world.member, site="shanxi").bind(another, lock_world.member).json()
    assert [row["act"] for row in asked["question"]["candidates"]] == ["replace"]  # whichever site the other was bound on


def test_each_site_judges_by_its_own_rules(lock_world, zcy):
    """Also in the gate, before anything proves whose certificate it is: the laxer rules open only their own site."""
    with_rules(Provider.objects.get(code="lianxi-ec"), algorithms=["SM2"])
    lock = make_lock("EC", uscc=USCC)
    assert logged_in(lock_world.member, site="zcy").bind(lock, lock_world.member, provider="zcy-lianxi").status_code == 200
    assert at("zcy").log_in(lock).status_code == 200
    assert reason_of(at("shanxi").log_in(lock)) == "ALGORITHM_NOT_ALLOWED"
    assert at("zcy").log_in(lock).status_code == 200


def test_a_binding_that_only_the_other_providers_rules_allow_opens_nothing_here(lock_world, zcy):
    """Whoever writes rules that read no holder binds a stranger's lock there, not here."""
    with_rules(zcy, identity={**RULES["identity"], "holder": []})
    lock = make_lock("EC", uscc=OTHER_USCC)
    assert logged_in(lock_world.member, site="zcy").bind(lock, lock_world.member, provider="zcy-lianxi").status_code == 200
    assert at("zcy").log_in(lock).status_code == 200
    refusal_row(at("shanxi").log_in(lock), "HOLDER_NOT_ORGANISATION")
    assert logged_in(lock_world.member).step_up(lock).json()["error"]["reason"] == "HOLDER_NOT_ORGANISATION"
    own = make_lock("EC", number=1, uscc=USCC, lock_id="SX-0002")
    assert logged_in(lock_world.member, site="zcy").bind(own, lock_world.member, provider="zcy-lianxi").status_code == 200
    assert at("shanxi").log_in(own).status_code == 200


def test_what_one_provider_loses_ends_on_its_own_site_alone(lock_world, zcy):
    lock = make_lock("EC", uscc=USCC)
    bound(lock, lock_world.member)
    for site in ("shanxi", "zcy"):
        assert at(site).log_in(lock).status_code == 200
    Session.objects.filter(method="password").delete()
    for provider, lost, kept in ((zcy, "zcy", "shanxi"), (Provider.objects.get(code="lianxi-ec"), "shanxi", "zcy")):
        assert suspend_provider(provider=provider, reason="通报", by=lock_world.operator, context=None) == 1
        assert reason_of(at(lost).log_in(lock)) == "PROVIDER_SUSPENDED"
        assert set(Session.objects.filter(ended_at=None).values_list("site", flat=True)) <= {kept}
    assert not Session.objects.filter(ended_at=None).exists()


def test_the_sweep_judges_each_session_by_the_rules_of_its_site(lock_world, zcy, monkeypatch):
    lock = make_lock("EC", uscc=USCC)
    bound(lock, lock_world.member)
    for site in ("shanxi", "zcy"):
        assert at(site).log_in(lock).status_code == 200
    with_rules(zcy, required_policies=["1.2.3.4"])
    monkeypatch.setattr("calock.server.jobs.sessions.current_evidence", lambda look: lock_world.evidence())
    assert sweep_sessions().ended == 1
    assert set(Session.objects.filter(method="ca", ended_at=None).values_list("site", flat=True)) == {"shanxi"}


def test_on_one_site_a_ca_key_has_one_provider(lock_world, zcy):
    """Asked when it is proposed, when it is decided, and when somebody's sites grow, whatever became of the CA there."""
    one, two = operator("first"), operator("second")
    shanxi = Provider.objects.get(code="lianxi-ec")
    root = family("EC").root.certificate
    asking = {"reason": "互认", "by": one, "context": None}

    def wanted(provider, sites):
        provider.refresh_from_db()
        return propose_trust(
            provider=provider, version=provider.version, state=provider.state, sites=sites, rules=provider.rules,
            allow_expired_binding=False, **asking,
        )  # fmt: skip

    for act in (
        lambda: wanted(zcy, ["shanxi", "zcy"]),
        lambda: install(replace(family("EC"), provider="disan"), sites=["zcy"]),
    ):
        with pytest.raises(Refusal) as found:
            act()
        assert found.value.reason is Reason.CA_KEY_KNOWN
        assert {"subject", "owner", "sites"} <= found.value.facts.keys()
    third = install(family("SM2", "disan"), sites=[])
    late = propose_ca(provider=third, certificate=root, anchor=True, group="", **asking)
    install(family("SM2", "disan"), sites=["shanxi"])
    with pytest.raises(Refusal, match="CA_KEY_KNOWN"):
        approve(approval_id=late.pk, version=late.version, sha256=late.sha256, by=two, context=None)
    assert not CaRecord.objects.filter(provider=third, state=CaState.RECOGNISED, subject__contains="EC").exists()

    record = shanxi.ca_records.get(anchor=False)
    gone = propose_ca_state(record=record, version=record.version, kind=CA_WITHDRAW, **asking)
    approve(approval_id=gone.pk, version=gone.version, sha256=gone.sha256, by=two, context=None)
    with pytest.raises(Refusal, match="CA_KEY_KNOWN"):
        propose_ca(provider=third, certificate=family("EC").issuing.certificate, anchor=False, group="", **asking)
    assert Binding.objects.count() == 0
