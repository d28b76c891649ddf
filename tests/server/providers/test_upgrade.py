"""A register of an earlier version is sealed as it is when the database is brought up; what was damaged stays damaged."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from worlds.rows import operator
from worlds.schemas import kept_copy

from calock.server.approvals.models import Approval
from calock.server.providers.trust import current_problems, current_register, forget_register
from calock.server.tools.keys import key_for

FIRST = [("providers", "0001_initial")]


def mac(kind: str, *fields: object) -> str:
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


@pytest.fixture(scope="module")
def copies():
    """Of the database: today's and of the first version, made by the first test that goes back there."""
    return {}


@pytest.fixture
def old(transactional_db, copies):
    """The models of the first version, on their own schema; afterwards the database is today's again."""
    if copies:
        copies["first"]()
    else:
        copies["today"] = kept_copy()
        executor = MigrationExecutor(connection)
        executor.migrate(FIRST)
        copies["models"] = executor.loader.project_state(FIRST).apps.get_model
        copies["first"] = kept_copy()
    yield copies["models"]
    copies["today"]()


def upgrade() -> None:
    call_command("migrate", "providers", verbosity=0)
    forget_register()


def fill(get, authority, *, key_id: str = "") -> None:
    """One provider with an anchor and an address, sealed as the first version sealed them; with a bundle key if named."""
    rules = {"grace_days": 3, "revocation": {"mode": "require", "emergency_until": "2026-01-01T00:00:00Z"}}
    provider = get("providers", "Provider")(code="lianxi", name="n", short_name="s", state="enabled", sites=["shanxi"], rules=rules)
    fields = [str(provider.pk), provider.code, provider.state, provider.sites, provider.rules, False, 1]
    provider.mac = mac("provider", *fields)
    provider.save()
    record = get("providers", "CaRecord")(
        provider=provider, group="g", anchor=True, spki_sha256=authority.key.spki_sha256, certificate=authority.certificate,
        subject="s", state="recognised", not_before=datetime(2024, 1, 1, tzinfo=UTC), not_after=datetime(2046, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    digest = hashlib.sha256(authority.certificate).hexdigest()
    record.mac = mac("ca", str(record.pk), str(provider.pk), "g", True, record.spki_sha256, digest, "recognised", 1)
    record.save()
    source = get("providers", "RevocationSource")(ca_record=record, kind="crl", url="http://ca.example/a.crl")
    source.mac = mac("source", str(record.pk), "crl", source.url, False)
    source.save()
    macs = [provider.mac, record.mac]
    if key_id:
        key = get("providers", "BundleKey")(name="省平台", key_id=key_id, public_key="a" * 64)
        key.mac = mac("bundle_key", str(key.pk), key.key_id, key.public_key, False, "", 1)
        key.save()
        macs.append(key.mac)
    seal = mac("register", 7, sorted(macs))
    get("providers", "RegisterState").objects.create(pk=1, revision=7, mac=seal)


def test_a_good_register_is_good_after_the_upgrade(old, authority):
    fill(old, authority)
    upgrade()
    assert current_problems() == ()
    (provider,) = current_register().providers
    assert [ca.spki_sha256 for ca in provider.cas] == [authority.key.spki_sha256]
    assert (provider.policy.grace_days, provider.policy.revocation.emergencies) == (3, ())


def test_a_tampered_row_is_not_sealed_by_the_upgrade(old, authority):
    fill(old, authority)
    old("providers", "CaRecord").objects.update(group="x")
    upgrade()
    assert "ca_tampered" in {problem.kind for problem in current_problems()}


def test_rules_that_were_tampered_with_are_not_sealed_by_the_upgrade(old, authority):
    fill(old, authority)
    old("providers", "Provider").objects.update(rules={"revocation": {"mode": "off", "emergency_until": ""}})
    upgrade()
    assert [problem.kind for problem in current_problems()] == ["provider_tampered"]


def test_a_register_with_a_row_too_few_is_not_sealed_by_the_upgrade(old, authority):
    fill(old, authority)
    old("providers", "RevocationSource").objects.all().delete()
    old("providers", "CaRecord").objects.all().delete()
    upgrade()
    assert [problem.kind for problem in current_problems()] == ["register_damaged"]


def test_keys_that_signed_bundles_leave_a_register_that_stays_good(old, authority):
    fill(old, authority, key_id="b" * 64)
    upgrade()
    assert current_problems() == ()
    assert len(current_register().providers) == 1


@pytest.mark.parametrize("damage", [lambda rows: rows.all().delete(), lambda rows: rows.update(mac="0" * 64)])
def test_a_register_whose_keys_were_tampered_with_is_not_sealed_by_the_upgrade(old, authority, damage):
    fill(old, authority, key_id="b" * 64)
    damage(old("providers", "BundleKey").objects)
    upgrade()
    assert [problem.kind for problem in current_problems()] == ["register_damaged"]


def test_an_empty_register_stays_empty(old):
    upgrade()
    assert current_problems() == ()


# --- proposals that waited


@pytest.fixture
def waiting(transactional_db):
    """Two operators' accounts and the proposals' table of the first version."""
    first = [("approvals", "0001_initial")]
    executor = MigrationExecutor(connection)
    executor.migrate(first)
    get = executor.loader.project_state([*first, ("accounts", "0001_initial")]).apps.get_model
    yield get("approvals", "Approval"), operator("jia")
    call_command("migrate", verbosity=0)


def test_a_proposal_about_a_bundle_ends_with_the_upgrade_and_one_that_was_decided_stays_as_it_is(transactional_db, capfd):
    by, before = operator("jia"), [("providers", "0004_emergencies_have_an_end")]
    MigrationExecutor(connection).migrate(before)
    fields = {"summary": "导入互认包：省平台，1 家服务商", "payload": {"sha256": "c" * 64}, "reason": "r", "proposed_by": by}
    rows = [
        Approval(kind=kind, target=kind, state=state, proposed_at=timezone.now(), **fields)
        for kind, state in (("bundle.import", "pending"), ("bundle.pin", "rejected"), ("provider.trust", "pending"))
    ]
    for row in rows:
        row.seal()
        row.save()
    call_command("migrate", "providers", verbosity=0)
    for row in rows:
        row.refresh_from_db()
        assert row.is_intact()
    assert [row.state for row in rows] == ["cancelled", "rejected", "pending"]
    assert [row.note for row in rows] == ["本版本不再导入互认包，升级时撤销", "", ""]
    assert "1 proposals about bundles" in capfd.readouterr().err


def test_a_proposal_of_an_earlier_version_is_sealed_as_it_is_and_a_damaged_one_stays_damaged(waiting):
    model, by = waiting
    kept, edited = (
        model(
            kind="bundle.pin",
            target=target,
            summary="s",
            payload={"名": 1},
            reason="r",
            proposed_by_id=by.pk,
            proposed_at=timezone.now(),
        )
        for target in "ab"
    )
    for row in (kept, edited):
        content = [str(row.pk), row.kind, row.target, 0, row.payload, row.reason, str(by.pk)]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        row.mac = hmac.new(key_for("approval"), text.encode(), "sha256").hexdigest()
        row.save()
    model.objects.filter(pk=edited.pk).update(reason="x")
    assert not Approval.objects.get(pk=kept.pk).is_intact()
    call_command("migrate", "approvals", verbosity=0)
    assert Approval.objects.get(pk=kept.pk).is_intact()
    assert not Approval.objects.get(pk=edited.pk).is_intact()
