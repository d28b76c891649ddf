"""Vendor folders and the register: a provider goes into one and comes back the same, and two operators take one in."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds.register import AT_START, World

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.approvals.kinds import kind_of
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.providers.anchors import CA_SUSPEND, propose_ca, propose_ca_state
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, RevocationSource, Role
from calock.server.providers.services import edit_provider, propose_trust
from calock.server.providers.sources import propose_private_source
from calock.server.providers.trust import current_problems, current_register, forget_register
from calock.server.providers.vendors import export_vendor, install_vendor, propose_vendor, vendors_to_propose
from calock.wire.vendors import read_vendor

pytestmark = pytest.mark.django_db

CRL_KEY = pki.make_key("EC")


def agree(world: World, approval: Approval) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=world.second, context=None)


@pytest.fixture
def own(tmp_path, settings) -> Path:
    """The operator's folder of vendors, still empty."""
    (tmp_path / "vendors").mkdir()
    settings.CALOCK = replace(settings.CALOCK, vendors=tmp_path / "vendors")
    return tmp_path / "vendors"


@pytest.fixture
def rich(world, authority) -> World:
    """The world's provider with all that a provider can have."""
    asking = {"by": world.first, "context": None}
    signer = authority.issue(
        pki.name("吊销签发"), CRL_KEY.spki_der, not_before=AT_START, not_after=pki.years(AT_START, 19),
        extensions=[pki.key_usage("crl_sign"), pki.extension(x509.SubjectKeyIdentifier(CRL_KEY.key_id))],
    )  # fmt: skip
    use = {"anchor": False, "crl_signer": True, "group": "crl"}
    agree(world, propose_ca(provider=world.provider, certificate=signer, **use, reason="r", **asking))
    address = {"kind": "ocsp", "url": "http://10.0.0.7/ocsp", "reason": "r"}
    agree(world, propose_private_source(record=CaRecord.objects.get(pk=world.intermediate.pk), **address, **asking))
    values = {"name": "练习 “CA” \\ # 'n' \t".strip(), "legal_name": "㐀𠀀有限公司"}
    provider = edit_provider(provider=world.provider, version=world.provider.version, values=values, **asking)
    emergency = f"{world.anchor.spki_sha256}:{(timezone.now() + timedelta(hours=6)).isoformat()}"
    rules = {"grace_days": 3, "revocation": {"ca_crl_max_age": 7200, "emergencies": [emergency]}}
    change = {"state": provider.state, "sites": ["shanxi", "zcy"], "rules": rules, "allow_expired_binding": True, "reason": "r"}
    change["links"] = {
        "hotline": "0351-1",
        "website": "https://山西.中国/",
        "renew_url": "",
        "unlock_url": "http://ca.example/解锁",
    }
    agree(world, propose_trust(provider=provider, version=provider.version, **change, **asking))
    return world


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- out


def test_a_provider_goes_into_a_folder_and_comes_back_the_same(rich, own, tmp_path):
    call_command("register", "export", "lianxi", str(own))
    for row in (*CaRecord.objects.all(), *Provider.objects.all()):
        row.delete()
    provider = install_vendor("lianxi")
    assert (provider.state, provider.allow_expired_binding, provider.sites) == (ProviderState.ENABLED, True, ["shanxi", "zcy"])
    assert (provider.rules["grace_days"], provider.rules["revocation"]["ca_crl_max_age"]) == (3, 7200)
    assert (provider.hotline, provider.website) == ("0351-1", "https://xn--rht816h.xn--fiqs8s/")
    assert sorted(provider.ca_records.values_list("anchor", "crl_signer", "group")) == [
        (False, False, "issuing"), (False, True, "crl"), (True, False, "root")
    ]  # fmt: skip
    assert sorted(RevocationSource.objects.values_list("kind", "url", "private_network")) == [
        ("crl", "http://127.0.0.1:8/ca.crl", False), ("ocsp", "http://10.0.0.7/ocsp", True)
    ]  # fmt: skip
    assert everything(export_vendor("lianxi", tmp_path / "again")) == everything(own / "lianxi")
    assert current_problems() == ()
    (row, _) = AuditEvent.objects.filter(event="provider:exported")
    assert (row.provider, row.details["cas"]) == ("lianxi", 3)


def test_what_is_not_trusted_or_for_some_hours_only_stays_out(rich, tmp_path):
    row = CaRecord.objects.get(pk=rich.intermediate.pk)
    ask = {"record": row, "version": row.version, "kind": CA_SUSPEND, "reason": "r", "by": rich.first, "context": None}
    agree(rich, propose_ca_state(**ask))
    vendor = read_vendor(export_vendor("lianxi", tmp_path))
    assert {ca.group for ca in vendor.ca} == {"root", "crl"}
    assert "emergencies" not in vendor.rules["revocation"]


@settings(max_examples=settings().max_examples // 4, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=110), st.text(st.characters(), max_size=20))
def test_whatever_words_a_provider_has_are_read_again(world, tmp_path, name, legal):
    with transaction.atomic():
        try:
            values = {"name": name, "legal_name": legal}
            edit_provider(provider=world.provider, version=world.provider.version, values=values, by=world.first, context=None)
        except Refusal:
            return
        vendor = read_vendor(export_vendor("lianxi", tmp_path / os.urandom(8).hex()))
        assert (vendor.name, vendor.legal_name) == (name, legal)
        transaction.set_rollback(True)


def test_an_export_that_cannot_be_written_is_said_and_did_not_happen(world, tmp_path):
    (tmp_path / "lianxi").mkdir()
    (tmp_path / "lianxi" / "vendor.toml").write_text("mine")
    (tmp_path / "file").touch()
    for place, says in (("", "not empty"), ("file", "File exists"), ("file/below", "Not a directory")):
        with pytest.raises(CommandError, match=says):
            call_command("register", "export", "lianxi", str(tmp_path / place))
    assert everything(tmp_path / "lianxi") == {"vendor.toml": b"mine"}
    assert {path.name for path in tmp_path.iterdir()} == {"lianxi", "file"}
    assert not AuditEvent.objects.filter(event="provider:exported").exists()


@pytest.mark.parametrize("model", [Provider, CaRecord, RevocationSource])
def test_a_row_that_was_tampered_with_is_not_exported(world, tmp_path, model):
    field = {Provider: {"sites": ["zcy"]}, CaRecord: {"group": "x"}, RevocationSource: {"private_network": True}}[model]
    model.objects.update(**field)
    with pytest.raises(CommandError, match="REGISTER_DAMAGED"):
        call_command("register", "export", "lianxi", str(tmp_path))
    assert not [*tmp_path.iterdir()]


def test_codes_that_no_folder_has_are_not_exported(world, tmp_path):
    Provider.objects.create(code="Shanxi_CA", name="山西", short_name="山西", state="suspended")
    for code in ("Shanxi_CA", "nosuch", "../lianxi"):
        with pytest.raises(CommandError):
            call_command("register", "export", code, str(tmp_path))
    assert not [*tmp_path.iterdir()]


# --- in, by two operators


@pytest.fixture
def folder(own) -> pki.Authority:
    """A vendor that was handed over: an anchor with a public address, and a CA below it with one inside."""
    root = pki.make_root("济南根", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20))
    below = root.intermediate("济南中级", not_before=AT_START, not_after=pki.years(AT_START, 19))
    (own / "jinan").mkdir()
    (own / "jinan" / "root.pem").write_bytes(pem(root.certificate))
    (own / "jinan" / "ca.pem").write_bytes(pem(below.certificate))
    (own / "jinan" / "vendor.toml").write_text(
        'code = "jinan"\nname = "济南 CA"\nshort_name = "济南 CA"\nhotline = "0531-1"\nwebsite = "https://ca.jinan.example/"\n'
        'sites = ["shanxi"]\n[rules]\ngrace_days = 2\n'
        '[[ca]]\nfile = "root.pem"\nanchor = true\ncrl = ["http://ca.jinan.example/root.crl"]\n'
        '[[ca]]\nfile = "ca.pem"\ngroup = "below"\ncrl = ["http://10.0.0.8/ca.crl"]\ninside = ["http://10.0.0.8/ca.crl"]\n',
        "utf-8",
    )
    return root


def ask(world: World, code: str = "jinan") -> Provider:
    return propose_vendor(code=code, reason="合同 12", by=world.first, context=None)


def test_nothing_of_a_folder_is_trusted_before_a_second_operator_said_so(world, folder):
    assert vendors_to_propose()["jinan"] == "济南 CA"
    provider = ask(world)
    assert "jinan" not in vendors_to_propose()
    assert (provider.state, provider.sites, provider.rules["grace_days"]) == (ProviderState.SUSPENDED, [], 0)
    assert (provider.hotline, provider.website) == ("", "")
    assert {record.state for record in provider.ca_records.all()} == {CaState.PENDING}
    assert folder.key.spki_sha256 not in {ca.spki_sha256 for trust in current_register().providers for ca in trust.cas}
    assert sorted(Approval.objects.values_list("kind", "reason")) == [
        ("ca.recognise", "合同 12"), ("ca.recognise", "合同 12"), ("provider.trust", "合同 12")
    ]  # fmt: skip


def test_two_operators_recognise_what_a_folder_says(world, folder):
    provider = ask(world)
    facts = kind_of(trust := Approval.objects.get(kind="provider.trust")).facts(trust)
    assert {("服务热线", "无 → 0531-1"), ("认可的站点", "无 → 山西政府采购平台"), ("规则 grace_days", "0 → 2")} <= set(facts)
    for approval in Approval.objects.order_by("proposed_at"):
        agree(world, approval)
    provider.refresh_from_db()
    assert (provider.state, provider.sites, provider.rules["grace_days"]) == (ProviderState.SUSPENDED, ["shanxi"], 2)
    assert (provider.hotline, provider.website) == ("0531-1", "https://ca.jinan.example/")
    assert sorted(provider.ca_records.values_list("anchor", "group", "state")) == [
        (False, "below", "recognised"), (True, "jinan", "recognised")
    ]  # fmt: skip
    assert [*RevocationSource.objects.filter(ca_record__provider=provider).values_list("url", flat=True)] == [
        "http://ca.jinan.example/root.crl"
    ]  # the address inside is proposed once its CA is recognised
    change = {"state": "enabled", "sites": ["shanxi"], "rules": provider.rules, "allow_expired_binding": False, "reason": "r"}
    agree(world, propose_trust(provider=provider, version=provider.version, **change, by=world.first, context=None))
    forget_register()
    assert {trust.code for trust in current_register().providers} == {"jinan", "lianxi"}


def change(own: Path, old: str, new: str) -> None:
    path = own / "jinan" / "vendor.toml"
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (lambda own: (own / "jinan" / "vendor.toml").write_text("code ="), Reason.REQUEST_MALFORMED),
        (lambda own: (own / "jinan" / "ca.pem").write_bytes(b"no certificate"), Reason.CA_CERTIFICATE_REFUSED),
        (lambda own: change(own, 'hotline = "0531-1"', f'hotline = "{"1" * 65}"'), Reason.REQUEST_MALFORMED),
        (lambda own: change(own, "https://ca.jinan", "ftp://ca.jinan"), Reason.REQUEST_MALFORMED),
        (lambda own: (own / "jinan").rename(own / "moved"), Reason.REQUEST_MALFORMED),
    ],
    ids=["a broken file", "a broken certificate", "a hotline too long", "a link of another kind", "a folder under another name"],
)
def test_of_a_folder_that_cannot_be_used_nothing_is_kept(world, own, folder, how, reason):
    how(own)
    with pytest.raises(Refusal, match=f"^{reason}"):
        ask(world, "moved" if (own / "moved").exists() else "jinan")
    assert Provider.objects.get() == world.provider
    assert not Approval.objects.exists()


def test_only_operators_propose_and_only_what_is_not_there(world, folder):
    with pytest.raises(Refusal, match=f"^{Reason.NOT_FOUND}"):
        ask(world, "nosuch")
    ask(world)
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        ask(world)
    member = type(world.first).objects.create_account(username="m", name="成员", role="member")
    with pytest.raises(Refusal, match=f"^{Reason.NOT_ALLOWED}"):
        propose_vendor(code="bjca", reason="r", by=member, context=None)


def test_a_role_of_each_kind_is_installed_as_its_folder_says(rich, own, tmp_path):
    export_vendor("lianxi", own)
    for row in (*CaRecord.objects.all(), *Provider.objects.all()):
        row.delete()
    provider = ask(rich, "lianxi")
    for approval in Approval.objects.filter(state="pending").order_by("proposed_at"):
        agree(rich, approval)
    assert {record.role for record in provider.ca_records.all()} == set(Role)
