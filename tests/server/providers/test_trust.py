"""The register as verification gets it: what the rows say, and nothing that somebody changed behind the server's back."""

from __future__ import annotations

import pytest
from worlds.register import AT_START as AT
from worlds.register import install_practice

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.providers import trust
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, RegisterState, RevocationSource
from calock.server.providers.seal import RegisterDamagedError
from calock.server.providers.trust import ProblemKind, check_at_start, current_problems, current_register, forget_register

pytestmark = pytest.mark.django_db


def keys() -> set[str]:
    return {ca.spki_sha256 for provider in current_register().providers if not provider.suspended for ca in provider.cas}


def test_the_rows_become_the_register(world):
    (provider,) = current_register().providers
    assert provider.code == "lianxi"
    assert provider.sites == {"shanxi"}
    assert {(ca.spki_sha256, ca.anchor, ca.group) for ca in provider.cas} == {
        (world.anchor.spki_sha256, True, "root"),
        (world.intermediate.spki_sha256, False, "issuing"),
    }
    check_at_start()


def test_an_empty_register_trusts_nobody_and_starts(db):
    assert current_register().providers == ()
    check_at_start()


@pytest.mark.parametrize("state", [CaState.PENDING, CaState.SUSPENDED, CaState.WITHDRAWN])
def test_only_recognised_records_count(world, state):
    world.intermediate.state = state
    world.intermediate.save()
    assert keys() == {world.anchor.spki_sha256}


def test_a_suspended_provider_is_known_as_suspended(world):
    world.provider.state = ProviderState.SUSPENDED
    world.provider.save()
    (provider,) = current_register().providers
    assert provider.suspended
    check_at_start()


def test_most_calls_ask_the_database_nothing(world, django_assert_num_queries):
    current_register()
    with django_assert_num_queries(0):
        for _ in range(50):
            current_register()


def test_the_seal_is_looked_at_after_a_while_and_costs_one_query(world, monkeypatch, django_assert_num_queries):
    register = current_register()
    monkeypatch.setattr(trust, "CHECK_EVERY", 0.0)
    with django_assert_num_queries(1):
        assert current_register() is register


def test_a_change_by_another_process_is_seen_at_the_next_look(world, monkeypatch):
    current_register()
    changes = trust.changes_here()
    world.intermediate.state = CaState.WITHDRAWN
    world.intermediate.save()
    monkeypatch.setattr(trust, "changes_here", lambda: changes)  # as if another process had saved it
    assert world.intermediate.spki_sha256 in keys()
    monkeypatch.setattr(trust, "CHECK_EVERY", 0.0)
    assert world.intermediate.spki_sha256 not in keys()


def test_a_row_changed_without_the_seal_is_found_by_the_regular_reload(world, monkeypatch):
    current_register()
    CaRecord.objects.filter(pk=world.intermediate.pk).update(group="other")
    assert world.intermediate.spki_sha256 in keys()
    monkeypatch.setattr(trust, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(trust, "RELOAD_EVERY", 0.0)
    assert world.intermediate.spki_sha256 not in keys()


def test_rows_that_say_the_same_make_no_new_register(world, monkeypatch):
    """What is kept of it, such as paths and stores, goes on serving logins."""
    register = current_register()
    monkeypatch.setattr(trust, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(trust, "RELOAD_EVERY", 0.0)
    RevocationSource.objects.update(last_error="a timeout")  # what fetching wrote is nothing of the register's
    assert current_register() is register
    CaRecord.objects.filter(pk=world.intermediate.pk).update(subject="CN=somebody else")
    assert current_register() is not register


def stranger():
    return pki.make_root("练习根 CA", "SM2", not_before=pki.years(AT, -1), not_after=pki.years(AT, 9))


def swap_certificate(world):
    CaRecord.objects.filter(pk=world.anchor.pk).update(certificate=stranger().certificate)


def swap_certificate_and_key(world):
    """A99: what somebody with the database, but without the server's key, would write to be believed."""
    root = stranger()
    CaRecord.objects.filter(pk=world.anchor.pk).update(certificate=root.certificate, spki_sha256=root.key.spki_sha256)


def promote_to_anchor(world):
    CaRecord.objects.filter(pk=world.intermediate.pk).update(anchor=True)


def recognise_again(world):
    world.intermediate.state = CaState.WITHDRAWN
    world.intermediate.save()
    CaRecord.objects.filter(pk=world.intermediate.pk).update(state=CaState.RECOGNISED)


@pytest.mark.parametrize("tamper", [swap_certificate, swap_certificate_and_key, promote_to_anchor, recognise_again])
def test_a_tampered_ca_row_is_left_out_and_the_server_does_not_start(world, tamper):
    tamper(world)
    forget_register()
    assert len(keys()) < 2
    assert stranger().key.spki_sha256 not in keys()
    assert ProblemKind.CA_TAMPERED in {problem.kind for problem in current_problems()}
    with pytest.raises(trust.RegisterError, match="ca_tampered"):
        check_at_start()


@pytest.mark.parametrize(
    "change",
    [{"rules": {"revocation": {"mode": "off"}}}, {"sites": ["shanxi", "zcy"]}, {"allow_expired_binding": True}],
)
def test_a_provider_whose_rules_were_changed_in_the_database_is_not_used(world, change):
    Provider.objects.filter(pk=world.provider.pk).update(**change)
    forget_register()
    assert keys() == set()
    with pytest.raises(trust.RegisterError, match="provider_tampered"):
        check_at_start()


def test_putting_an_older_row_back_is_seen(world):
    old = CaRecord.objects.filter(pk=world.intermediate.pk).values().get()
    world.intermediate.state = CaState.WITHDRAWN
    world.intermediate.save()
    CaRecord.objects.filter(pk=world.intermediate.pk).update(state=old["state"], version=old["version"], mac=old["mac"])
    forget_register()
    with pytest.raises(Refusal) as refused:
        current_register()
    assert refused.value.reason == Reason.REGISTER_DAMAGED
    with pytest.raises(trust.RegisterError, match="register_damaged"):
        check_at_start()


def test_deleting_a_row_or_the_seal_is_seen(world):
    CaRecord.objects.filter(pk=world.intermediate.pk).delete()
    forget_register()
    with pytest.raises(Refusal, match="REGISTER_DAMAGED"):
        current_register()
    RegisterState.objects.all().delete()
    with pytest.raises(Refusal, match="REGISTER_DAMAGED"):
        current_register()


def test_a_change_is_refused_while_the_register_is_damaged_rather_than_sealed_over(world):
    CaRecord.objects.filter(pk=world.intermediate.pk).delete()
    with pytest.raises(RegisterDamagedError):
        world.provider.save()


def test_an_enabled_provider_without_an_anchor_stops_the_start(world):
    world.anchor.state = CaState.WITHDRAWN
    world.anchor.save()
    with pytest.raises(trust.RegisterError, match="lianxi: no_anchor"):
        check_at_start()
    assert keys() == set()


def test_another_servers_key_opens_nothing(world, settings):
    settings.SECRET_KEY = "another secret key of sufficient length, really"
    forget_register()
    with pytest.raises(Refusal, match="REGISTER_DAMAGED"):
        current_register()


def test_a_non_ca_certificate_cannot_be_installed(world, authority):
    leaf = authority.issue_lock("不是 CA", pki.make_key("SM2"), not_before=AT, not_after=pki.years(AT, 9))
    with pytest.raises(Refusal, match="CA_CERTIFICATE_REFUSED"):
        install_provider(
            code="leaf", values={"name": "n", "short_name": "s"}, rules={}, sites=[], cas=[CaToInstall(leaf, anchor=True)]
        )
    assert not Provider.objects.filter(code="leaf").exists()


def test_the_same_key_stands_under_one_provider_only(world):
    with pytest.raises(Refusal, match="CA_KEY_KNOWN"):
        install_practice(code="second")
    assert not Provider.objects.filter(code="second").exists()
    assert keys() == {world.anchor.spki_sha256, world.intermediate.spki_sha256}
