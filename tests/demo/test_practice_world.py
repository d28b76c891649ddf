"""The practice world: real CAs, locks and people, judged by the product's own checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calock.agent.backends.soft import SoftBackend
from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.demo.authorities import FAMILIES, PROVIDERS
from calock.demo.keyring import LOCKS, is_plugged, lock, move
from calock.demo.people import ACCOUNTS, ORGANISATIONS, PASSWORD, organisation_code, uscc
from calock.demo.place import Place
from calock.demo.practice import WorldError, make_practice, open_practice
from calock.demo.world import RULES, build, fill_database
from calock.server.accounts.models import Account
from calock.server.providers.models import CaRecord, Provider, RevocationSource

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    return make_practice(tmp_path_factory.mktemp("world") / "data", now=NOW)


def setting(practice, at=NOW) -> VerificationInputs:
    """What the server knows of the practice CAs, as values."""
    providers, anchors, others = [], [], []
    for spec in PROVIDERS:
        cas = []
        for family in practice.families.values():
            if spec.code in family.spec.providers:
                for _, authority in family.authorities():
                    certificate = Certificate.parse(authority.certificate)
                    anchor = authority is family.root
                    cas.append(CaCertificate(certificate.der, certificate.spki_sha256, family.spec.code, anchor=anchor))
                    (anchors if anchor else others).append(certificate)
        providers.append(ProviderTrust(spec.code, tuple(cas), RULES, frozenset(spec.sites)))
    crls = [path.read_bytes() for path in practice.place.crls.glob("*.crl")]
    return VerificationInputs(Register(providers), at, InMemoryEvidence(crls, anchors=anchors, others=others, at=at))


EXPECTED = {"expired": Reason.CERTIFICATE_EXPIRED, "revoked": Reason.CERTIFICATE_REVOKED, "outside": Reason.CERTIFICATE_UNTRUSTED}


@pytest.mark.parametrize("spec", LOCKS, ids=lambda spec: spec.name)
def test_every_lock_is_as_good_or_bad_as_it_says(practice, spec):
    verdict = verify_certificate(practice.locks[spec.name].certificate, setting(practice))
    assert verdict.reason == EXPECTED.get(spec.trouble), [check for check in verdict.checks if check.passed is False]
    if verdict.accepted:
        assert verdict.identity is not None
        assert verdict.identity.lock_id == spec.serial


def test_all_three_algorithms_on_both_sites():
    sites = {spec.code: spec.sites for spec in PROVIDERS}
    providers = {spec.code: spec.providers for spec in FAMILIES}
    for site in ("shanxi", "zcy"):
        good = [spec for spec in LOCKS if not spec.trouble and spec.plugged]
        families = {spec.family for spec in good if any(site in sites[code] for code in providers[spec.family])}
        assert {name.split("-")[1] for name in families} == {"sm2", "rsa", "p256"}


def test_one_ca_stands_under_the_providers_of_both_platforms(practice):
    certificate, given = practice.locks["p256"].certificate, setting(practice)
    found = {site: verify_certificate(certificate, replace(given, site=site)).provider.code for site in ("shanxi", "zcy")}
    assert found == {"shanxi": "shanxi-huren", "zcy": "zcy-huren"}


def test_the_driver_sees_the_locks_that_are_plugged_in(practice):
    listing = SoftBackend(practice.place.locks).list_locks()
    assert {lock.serial for lock in listing.locks} == {spec.serial for spec in LOCKS if spec.plugged}
    locked = {lock.serial for lock in listing.locks if lock.pin.locked}
    assert locked == {lock("pin-locked").serial}


def test_plugging_and_unplugging(practice):
    spec = lock("expert")
    assert move(practice.place.locks, spec, plugged=True)
    assert is_plugged(practice.place.locks, spec)
    assert not move(practice.place.locks, spec, plugged=True)
    assert move(practice.place.locks, spec, plugged=False)
    assert not is_plugged(practice.place.locks, spec)


def test_codes_of_organisations_have_their_check_characters():
    """GB 32100-2015: the example of its annex, and the samples."""
    assert uscc("91350100M000100Y4") == "91350100M000100Y43"
    for sample in ORGANISATIONS:
        assert uscc(sample.uscc[:17]) == sample.uscc
        assert organisation_code(sample.uscc[8:16]) == sample.uscc[8:17]


def test_crls_are_signed_anew_with_a_later_number(practice):
    before = {path.name: path.read_bytes() for path in practice.place.crls.glob("*.crl")}
    practice.write_crls(NOW + timedelta(hours=1))
    after = {path.name: path.read_bytes() for path in practice.place.crls.glob("*.crl")}
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)
    later = setting(practice, at=NOW + timedelta(hours=1))
    assert verify_certificate(practice.locks["revoked"].certificate, later).reason is Reason.CERTIFICATE_REVOKED
    practice.write_crls(NOW)


def test_the_database_gets_people_and_the_register(practice, db):
    fill_database(practice, crl_base="http://127.0.0.1:8/")
    assert Account.objects.count() == len(ACCOUNTS)
    manual = Account.objects.get(username="cssbjgys02")
    assert (manual.name, manual.role) == ("测试供应商管理员", "organisation_admin")
    assert manual.check_password(PASSWORD)
    assert Account.objects.get(username="pszj01").organisation is None
    assert Account.objects.filter(role="operator").count() == 2
    assert [provider.code for provider in Provider.objects.all()] == [spec.code for spec in PROVIDERS]
    assert all(Policy.from_json(provider.rules) == RULES for provider in Provider.objects.all())
    recorded = {record.spki_sha256 for record in CaRecord.objects.all()}
    outside = practice.families["outside-sm2"]
    assert len(recorded) == 10
    assert outside.root.key.spki_sha256 not in recorded
    assert RevocationSource.objects.filter(private_network=True, url__startswith="http://127.0.0.1:8/").count() == 12


def test_a_directory_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "calock.sqlite3").write_bytes(b"a real server's database")
    with pytest.raises(WorldError, match="nothing there was touched"):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["calock.sqlite3"]


def test_another_versions_world_is_not_opened(tmp_path):
    place = Place(tmp_path / "data")
    place.create()
    place.write_notes({"version": 0, "made": NOW.isoformat()})
    with pytest.raises(WorldError, match="--reset"):
        open_practice(place.root)
