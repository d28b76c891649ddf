"""Providers and their revocation sources: what one operator may do, what takes two, and what ends with it."""

from __future__ import annotations

import pytest
from worlds.rows import ca_session

from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.providers.models import CaState, Provider, ProviderState, RevocationSource
from calock.server.providers.services import create_provider, edit_provider, propose_trust, suspend_provider
from calock.server.providers.sources import add_source, remove_source
from calock.server.providers.trust import current_register
from calock.server.providers.vendors import install_vendor
from calock.wire.vendors import read_vendors

pytestmark = pytest.mark.django_db


def refused(reason: Reason):
    return pytest.raises(Refusal, match=f"^{reason}")


def trust_change(world, **changes):
    provider = Provider.objects.get(pk=world.provider.pk)
    values = {
        "state": provider.state,
        "sites": provider.sites,
        "rules": provider.rules,
        "allow_expired_binding": provider.allow_expired_binding,
        **changes,
    }
    approval = propose_trust(
        provider=provider, version=provider.version, **values, reason="按合同变更", by=world.first, context=None
    )
    approve(approval_id=approval.pk, version=1, sha256=approval.sha256, by=world.second, context=None)


def test_a_new_provider_is_suspended_and_on_no_site(world):
    provider = create_provider(code="xin", values={"name": "新 CA", "short_name": "新"}, by=world.first, context=None)
    assert (provider.state, provider.sites) == (ProviderState.SUSPENDED, [])
    assert AuditEvent.objects.get(event="provider:created", provider="xin").actor == world.first.pk


@pytest.mark.parametrize("values", [{"name": ""}, {"name": "长" * 101}, {"short_name": ""}, {"order": -1}])
def test_a_provider_with_bad_values_is_not_created(world, values):
    with refused(Reason.REQUEST_MALFORMED):
        create_provider(code="xin", values={"name": "新", "short_name": "新", **values}, by=world.first, context=None)
    assert not Provider.objects.filter(code="xin").exists()


def test_a_code_is_taken_once(world):
    with refused(Reason.REQUEST_MALFORMED):
        create_provider(code="lianxi", values={"name": "新", "short_name": "新"}, by=world.first, context=None)


def test_editing_needs_the_version_that_was_seen(world):
    edit_provider(
        provider=world.provider, version=world.provider.version, values={"legal_name": "12345"}, by=world.first, context=None
    )
    with refused(Reason.VERSION_CHANGED):
        edit_provider(
            provider=world.provider, version=world.provider.version, values={"legal_name": "1"}, by=world.second, context=None
        )
    assert Provider.objects.get(pk=world.provider.pk).legal_name == "12345"
    assert len(current_register().providers) == 1  # and the register is still sealed


@pytest.mark.parametrize("field", ["state", "sites", "rules", "allow_expired_binding", "mac", "version", "id"])
def test_one_operator_cannot_edit_what_decides_trust(world, field):
    """A98: a form field too many is refused, not dropped."""
    with refused(Reason.REQUEST_MALFORMED):
        edit_provider(provider=world.provider, version=world.provider.version, values={field: "x"}, by=world.first, context=None)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ORGANISATION_ADMIN])
def test_only_operators(world, role):
    stranger = Account.objects.create_account(username="x", name="某", role=role)
    source = RevocationSource.objects.get()
    for attempt in (
        lambda: create_provider(code="xin", values={"name": "n", "short_name": "s"}, by=stranger, context=None),
        lambda: edit_provider(provider=world.provider, version=world.provider.version, values={}, by=stranger, context=None),
        lambda: suspend_provider(provider=world.provider, reason="r", by=stranger, context=None),
        lambda: add_source(
            record=world.anchor, kind="crl", url="http://a.example/", private_network=False, by=stranger, context=None
        ),
        lambda: remove_source(source=source, by=stranger, context=None),
    ):
        with refused(Reason.NOT_ALLOWED):
            attempt()


def test_one_operator_stops_a_provider_and_two_start_it_again(world):
    session = ca_session(world.intermediate)
    assert suspend_provider(provider=world.provider, reason="根密钥疑似泄露", by=world.first, context=None) == 1
    session.refresh_from_db()
    assert session.ended_at is not None
    assert current_register().providers[0].suspended
    trust_change(world, state="enabled")
    assert not current_register().providers[0].suspended
    assert AuditEvent.objects.filter(event="provider:resumed").count() == 1


def test_a_proposal_to_start_a_provider_does_not_outlive_another_stop(world):
    """The second stop was of a provider that had stopped already; it used to leave neither a version nor an audit row behind."""
    suspend_provider(provider=world.provider, reason="检修", by=world.first, context=None)
    provider = Provider.objects.get(pk=world.provider.pk)
    ask = {"state": "enabled", "sites": ["shanxi"], "rules": provider.rules, "allow_expired_binding": False}
    approval = propose_trust(provider=provider, version=provider.version, **ask, reason="检修完毕", by=world.first, context=None)
    assert suspend_provider(provider=provider, reason="根密钥疑似泄露", by=world.second, context=None) == 0
    with refused(Reason.VERSION_CHANGED):
        approve(approval_id=approval.pk, version=1, sha256=approval.sha256, by=world.second, context=None)
    assert Provider.objects.get(pk=world.provider.pk).state == ProviderState.SUSPENDED
    stops = AuditEvent.objects.filter(event="provider:suspended").order_by("id")
    assert [(row.details["reason"], row.actor) for row in stops] == [("检修", world.first.pk), ("根密钥疑似泄露", world.second.pk)]


def test_a_site_taken_away_ends_the_sessions_on_it_and_no_others(world):
    trust_change(world, sites=["shanxi", "zcy"])
    here, there = ca_session(world.intermediate), ca_session(world.intermediate, site="zcy")
    trust_change(world, sites=["shanxi"])
    here.refresh_from_db()
    there.refresh_from_db()
    assert (here.ended_at is None, there.ended_at is None) == (True, False)


def test_rules_are_kept_whole_and_used(world):
    trust_change(world, rules={"algorithms": ["SM2"], "revocation": {"crl_max_age": 600}})
    policy = current_register().providers[0].policy
    assert policy.algorithms == ("SM2",)
    assert policy.revocation.crl_max_age == 600
    assert Provider.objects.get(pk=world.provider.pk).rules == policy.to_json()


@pytest.mark.parametrize(
    "rules", [[], "x", None, {"unknown": 1}, {"algorithms": ["MD5"]}, {"grace_days": -1}, {"revocation": {"mode": "maybe"}}]
)
def test_rules_nobody_understands_are_refused(world, rules):
    with refused(Reason.PROVIDER_RULES_REFUSED):
        trust_change(world, rules=rules)
    assert current_register().providers[0].policy == Policy()


def test_enabling_needs_an_anchor_at_the_proposal_and_at_the_approval(world):
    provider = create_provider(code="xin", values={"name": "新 CA", "short_name": "新"}, by=world.first, context=None)
    ask = {"sites": [], "rules": {}, "allow_expired_binding": False, "reason": "启用", "by": world.first, "context": None}
    with refused(Reason.PROVIDER_WITHOUT_ANCHOR):
        propose_trust(provider=provider, version=provider.version, state="enabled", **ask)
    suspend_provider(provider=world.provider, reason="停", by=world.first, context=None)
    fresh = Provider.objects.get(pk=world.provider.pk)
    approval = propose_trust(provider=fresh, version=fresh.version, state="enabled", **ask)
    world.anchor.state = CaState.WITHDRAWN
    world.anchor.save()
    with refused(Reason.PROVIDER_WITHOUT_ANCHOR):
        approve(approval_id=approval.pk, version=1, sha256=approval.sha256, by=world.second, context=None)


@pytest.mark.parametrize(
    "url", ["", "ldap://ca.example/", "file:///etc/passwd", "javascript:1", "http://", "http://a b/", "x" * 600]
)
def test_a_source_is_an_http_address(world, url):
    with refused(Reason.REQUEST_MALFORMED):
        add_source(record=world.anchor, kind="crl", url=url, private_network=False, by=world.first, context=None)
    assert RevocationSource.objects.count() == 1


def test_sources_come_and_go_with_an_audit_row_each(world):
    ask = {"kind": "ocsp", "url": "http://ocsp.ca.example/q", "private_network": False, "by": world.first, "context": None}
    source = add_source(record=world.anchor, **ask)
    assert source.is_intact()
    with refused(Reason.REQUEST_MALFORMED):
        add_source(record=world.anchor, **ask)
    remove_source(source=source, by=world.second, context=None)
    steps = AuditEvent.objects.filter(event="provider:revocation_source:changed").order_by("id")
    assert [(row.details["step"], row.actor) for row in steps] == [("added", world.first.pk), ("removed", world.second.pk)]


def test_an_address_changed_in_the_database_is_not_the_operators(world):
    RevocationSource.objects.update(url="http://169.254.169.254/latest", private_network=True)
    source = RevocationSource.objects.get()
    assert not source.is_intact()
    source.last_error = "x"
    source.save(update_fields=["last_error"])  # what a background job does, seals nothing
    assert not RevocationSource.objects.get().is_intact()
    assert not RevocationSource.objects.get().is_intact()


def test_every_vendor_folder_reads_and_installs(db):
    for code, vendor in read_vendors().items():
        provider = install_vendor(code)
        assert provider.name == vendor.name
        assert Policy.from_json(provider.rules) == Policy.from_json(vendor.rules)
        assert provider.state == (ProviderState.ENABLED if any(ca.anchor for ca in vendor.ca) else ProviderState.SUSPENDED)
    assert current_register().providers
