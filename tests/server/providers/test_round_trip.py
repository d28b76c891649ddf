"""What the register takes, a bundle can say: an export is always one that another server reads, and reads the same."""

from __future__ import annotations

import contextlib

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from register_help import AT_START

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.providers.anchors import propose_ca, propose_ca_state
from calock.server.providers.bundle import BundleProvider, key_id, read_bundle
from calock.server.providers.exchange import (
    export_bundle,
    own_public_key,
    propose_import,
    propose_key,
    unfit_for_export,
)
from calock.server.providers.models import CaRecord, Provider, RevocationSource
from calock.server.providers.services import create_provider, edit_provider, propose_trust
from calock.server.providers.sources import add_source, propose_private_source
from calock.server.providers.trust import current_problems
from calock.server.providers.validators import CODE_PATTERN, ascii_address

pytestmark = pytest.mark.django_db

ROOT = pki.make_root("往返根", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20))
BELOW = ROOT.intermediate("往返中级", not_before=AT_START, not_after=pki.years(AT_START, 19))
CRL_KEY = pki.make_key("EC")
CRL_SIGNER = ROOT.issue(
    BELOW.subject, CRL_KEY.spki_der, not_before=AT_START, not_after=pki.years(AT_START, 19),
    extensions=[pki.key_usage("crl_sign"), pki.extension(x509.SubjectKeyIdentifier(CRL_KEY.key_id))],
)  # fmt: skip


def taken(world, ask, **fields) -> None:
    """Do it as one operator does, or two; what is refused is not in the register, and that is all right here."""
    with contextlib.suppress(Refusal):
        asked = ask(**fields, by=world.first, context=None)
        if isinstance(asked, Approval):
            approve(approval_id=asked.pk, version=asked.version, sha256=asked.sha256, by=world.second, context=None)


def make_provider(world, code: str, values: dict) -> Provider:
    taken(world, create_provider, code=code, values=values)
    provider = Provider.objects.exclude(pk=world.provider.pk).first()
    if provider is None:
        provider = create_provider(code="xin", values={"name": "新", "short_name": "新"}, by=world.first, context=None)
    for field, value in values.items():  # one at a time, so that most of what may be is there
        taken(world, edit_provider, provider=provider, version=provider.version, values={field: value})
        provider.refresh_from_db()
    return provider


def make_ca(world, provider: Provider, certificate: bytes, use: dict, addresses_of: list, step: str | None) -> None:
    taken(world, propose_ca, provider=provider, certificate=certificate, reason="r", **use)
    record = CaRecord.objects.filter(provider=provider).order_by("-changed_at").first()
    if record is None:
        return
    for kind, url, inside in addresses_of:
        if inside:
            taken(world, propose_private_source, record=record, kind=kind, url=url, reason="r")
        else:
            taken(world, add_source, record=record, kind=kind, url=url, private_network=False)
    if step:
        taken(world, propose_ca_state, record=record, version=record.version, kind=step, reason="r")


def exported(world) -> tuple[BundleProvider, ...]:
    own = own_public_key()
    return read_bundle(export_bundle(by=world.first, context=None), {key_id(own): own})[0].providers


def move_to_an_empty_server(world) -> None:
    taken(world, propose_key, name="本平台", public_key=own_public_key().hex(), reason="核对")
    data = export_bundle(by=world.first, context=None)
    for row in (*CaRecord.objects.all(), *Provider.objects.all()):
        row.delete()
    approval = propose_import(data=data, reason="同步", by=world.first, context=None)
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=world.second, context=None)


codes = st.one_of(st.from_regex(CODE_PATTERN), st.text(max_size=60), st.sampled_from(["Shanxi_CA", "a_b", "山西", "x" * 51, "-a"]))
lines = st.one_of(
    st.text(max_size=110), st.text(st.characters(), max_size=20), st.sampled_from(["", " ", "a\nb", "\x7f", "\ud800"])
)
hosts = st.sampled_from(
    ["ca.example", "山西.中国", "CA.Example.", "10.0.0.1", "[2001:db8::1]", "localhost", "xn--", "a..b", "u@ca.example", "", "ß.de"]
)
addresses = st.one_of(
    st.builds(
        lambda scheme, host, port, rest: f"{scheme}{host}{port}/{rest}",
        st.sampled_from(["http://", "https://", "HTTPS://", "ftp://", "//", "javascript:"]),
        hosts,
        st.sampled_from(["", ":8080", ":0", ":99999", ":x"]),
        st.one_of(st.sampled_from(["", "a.crl", "吊销 列表.crl", "?q=值&x=%zz#头", "a|b^c", "%e4%b8"]), st.text(max_size=40)),
    ),
    st.text(max_size=30),
    st.just("http://ca.example/" + "x" * 500),
)
site_lists = st.lists(st.one_of(st.sampled_from(["shanxi", "zcy"]), codes), max_size=4)
sources = st.lists(st.tuples(st.sampled_from(["crl", "ocsp", "ftp"]), addresses, st.booleans()), max_size=3)
certificates = st.lists(
    st.tuples(
        st.sampled_from(
            [
                (ROOT.certificate, {"anchor": True}),
                (BELOW.certificate, {"anchor": False}),
                (CRL_SIGNER, {"anchor": False, "crl_signer": True}),
            ]
        ),
        st.one_of(st.just(""), lines),
        sources,
        st.sampled_from([None, "ca.suspend", "ca.withdraw"]),
    ),
    max_size=3,
)
numbers = st.one_of(st.integers(0, 200), st.integers(-(2**40), 2**40))
rules = st.sampled_from([{}, {"algorithms": ["SM2"]}, {"legacy": [{"what": "SHA1", "until": "2030-01-01T00:00:00+08:00"}]}])


SEARCH = (Phase.explicit, Phase.reuse, Phase.generate)  # shrinking would build registers for minutes


@settings(max_examples=settings().max_examples // 4, phases=SEARCH, suppress_health_check=list(HealthCheck))
@given(
    codes,
    st.fixed_dictionaries(
        {"name": lines, "short_name": lines},
        optional={"legal_name": lines, "hotline": lines, "website": addresses, "renew_url": addresses, "order": numbers},
    ),
    site_lists,
    rules,
    st.booleans(),
    certificates,
)
def test_whatever_the_services_take_is_the_same_on_the_other_server(world, code, values, sites, wanted_rules, expired, cas):
    with transaction.atomic():
        provider = make_provider(world, code, values)
        for (certificate, use), group, addresses_of, step in cas:
            make_ca(world, provider, certificate, {**use, "group": group}, addresses_of, step)
        for state in ("enabled", "suspended"):
            provider.refresh_from_db()
            change = {"state": state, "sites": sites, "rules": wanted_rules, "allow_expired_binding": expired, "reason": "r"}
            taken(world, propose_trust, provider=provider, version=provider.version, **change)
        assert unfit_for_export() == []
        before = exported(world)
        move_to_an_empty_server(world)
        assert exported(world) == before
        assert current_problems() == ()
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://山西.中国/", "https://xn--rht816h.xn--fiqs8s/"),
        (" HTTP://CA.Example.:8080/a ", "http://ca.example:8080/a"),
        ("http://ca.example/吊销.crl?类=1#头", "http://ca.example/%E5%90%8A%E9%94%80.crl?%E7%B1%BB=1#%E5%A4%B4"),
        ("http://[2001:db8::1]/%20a", "http://[2001:db8::1]/%20a"),
        ("http://ca.example", "http://ca.example"),
    ],
)
def test_addresses_are_kept_in_ascii(typed, kept):
    assert ascii_address(typed) == kept
    assert ascii_address(kept) == kept


@given(addresses)
def test_an_address_is_ascii_or_refused_and_stays_as_it_is(text):
    try:
        kept = ascii_address(text)
    except ValueError:
        return
    assert ascii_address(kept) == kept
    assert kept.isascii()


@pytest.mark.parametrize("code", ["Shanxi_CA", "SHANXI", "a_b", "-a", "山西", "x" * 51, "", "a\n"])
def test_codes_that_no_bundle_can_say_are_refused(world, code):
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        create_provider(code=code, values={"name": "n", "short_name": "s"}, by=world.first, context=None)


@pytest.mark.parametrize("field", ["website", "renew_url", "unlock_url"])
@pytest.mark.parametrize("url", ["ftp://x.cn/a", "javascript:alert(1)", "//x.cn", "x.cn", "http://u:p@x.cn/", "http://"])
def test_links_that_no_bundle_can_say_are_refused(world, field, url):
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        edit_provider(provider=world.provider, version=world.provider.version, values={field: url}, by=world.first, context=None)


@pytest.mark.parametrize("sites", [["X"], ["a b"], [""], ["../a"], [f"s{n}" for n in range(51)]])
def test_sites_that_no_bundle_can_say_are_refused(world, sites):
    change = {"state": "enabled", "sites": sites, "rules": {}, "allow_expired_binding": False, "reason": "r"}
    with pytest.raises(Refusal, match=f"^{Reason.REQUEST_MALFORMED}"):
        propose_trust(provider=world.provider, version=world.provider.version, **change, by=world.first, context=None)


def test_a_provider_has_as_many_cas_as_a_bundle_can_say(world, monkeypatch):
    monkeypatch.setattr("calock.server.providers.anchors.MAX_CAS", 2)
    with pytest.raises(Refusal, match="CA 证书最多 2 个"):
        propose_ca(
            provider=world.provider, certificate=ROOT.certificate, anchor=True, group="", reason="r", by=world.first, context=None
        )


# --- rows of an earlier version


def test_rows_that_no_bundle_can_say_are_named_one_by_one(world, tmp_path, capsys):
    Provider.objects.create(code="Shanxi_CA", name="山\n西", short_name="山西", state="suspended")
    Provider.objects.create(code="old", name="旧", short_name="旧", state="suspended", website="ftp://x.cn/a")
    Provider.objects.create(code="rules", name="旧", short_name="旧", state="suspended", rules={"unknown": 1})
    RevocationSource(ca_record=world.anchor, kind="crl", url="http://山西.中国/a.crl").save()
    faults = unfit_for_export()
    assert [fault.partition(":")[0] for fault in faults] == ["Shanxi_CA", "Shanxi_CA", "lianxi", "old", "rules"]
    said = [
        "code = 'Shanxi_CA'",
        r"name = '山\n西'",
        "sources[0].url = 'http://山西.中国/a.crl'",
        "website = 'ftp://x.cn/a'",
        "unknown",
    ]
    assert all(words in fault for words, fault in zip(said, faults, strict=True))
    with pytest.raises(CommandError) as refused:
        call_command("register", "export", str(tmp_path / "register.json"))
    assert all(code in str(refused.value) for code in ("Shanxi_CA", "lianxi", "old", "rules"))
    assert not (tmp_path / "register.json").exists()
    assert not AuditEvent.objects.filter(event="provider:exported").exists()


def test_a_provider_with_such_a_code_can_still_be_edited(world):
    old = Provider.objects.create(code="Shanxi_CA", name="山西", short_name="山西", state="suspended")
    edit_provider(provider=old, version=old.version, values={"hotline": "1"}, by=world.first, context=None)
    assert Provider.objects.get(code="Shanxi_CA").hotline == "1"
