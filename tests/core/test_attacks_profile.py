"""Attack rows A22 to A25: what a certificate says that it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from worlds.core_trust import DATES, OFF, key, trusting, world

from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.core.register import Register
from calock.core.verdict import Step
from calock.demo import der, pki

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string


@pytest.mark.parametrize(
    ("usages", "ekus", "reason"),
    [
        (("digital_signature",), (SERVER_AUTH,), Reason.EXTENDED_KEY_USAGE),
        (("digital_signature",), ("2.5.29.37.0",), Reason.EXTENDED_KEY_USAGE),
        (("key_encipherment", "data_encipherment"), (), Reason.KEY_USAGE_NOT_SIGNING),
        (("key_agreement",), (), Reason.KEY_USAGE_NOT_SIGNING),
        (("content_commitment",), (), Reason.KEY_USAGE_NOT_SIGNING),
        (("digital_signature", "key_cert_sign"), (), Reason.PATH_INVALID),  # to sign certificates, and no CA's
    ],
)
def test_a22_purpose(usages: tuple[str, ...], ekus: tuple[str, ...], reason: Reason) -> None:
    assert world().judge(world().lock(usages=usages, ekus=ekus)).reason is reason


def test_a22_purpose_not_stated() -> None:
    assert world().judge(world().lock(ekus=())).accepted
    assert world().judge(world().lock(ekus=()), Policy(eku_required=True)).reason is Reason.EXTENDED_KEY_USAGE
    assert world().judge(world().raw_lock(drop=("2.5.29.15",))).reason is Reason.KEY_USAGE_MISSING
    assert world().judge(world().raw_lock(drop=("2.5.29.15",)), Policy(key_usage_required=False)).accepted


UTF8 = der.utf8("?")


@pytest.mark.parametrize(
    ("extra", "drop"),
    [
        ([("1.2.156.99999.9", True, UTF8)], ()),
        ([("1.2.156.99999.9", False, UTF8), ("1.2.156.99999.9", False, UTF8)], ()),
        ([pki.key_usage("digital_signature")], ()),
        ([("2.5.29.17", False, b"\x30\x03\x82\x05ab")], ()),
        ([("2.5.29.17", False, b"")], ()),
        ([("2.5.29.15", True, b"\x03\x02\x00")], ("2.5.29.15",)),
        ([("2.5.29.37", False, b"\x30\x00")], ()),
        ([("2.5.29.19", True, b"\x30\x03\x01\x01\x01")], ("2.5.29.19",)),
        ([("2.5.29.35", True, der.sequence(der.tlv(0x80, b"x")))], ("2.5.29.35",)),
        ([], ("2.5.29.35",)),
    ],
    ids=["unknown critical", "twice", "twice a known one", "malformed SAN", "empty value", "malformed KU", "empty EKU", "BOOLEAN 1",
         "critical AKI", "no AKI"],
)  # fmt: skip
def test_a23_extensions(extra: list[pki.Extension], drop: tuple[str, ...]) -> None:
    verdict = world().judge(world().raw_lock(*extra, drop=drop))
    assert verdict.reason is Reason.CERTIFICATE_EXTENSION
    assert verdict.failure is not None
    assert verdict.failure.step is Step.GATE


def test_a23_unknown_extension_that_is_not_critical() -> None:
    assert world().judge(world().raw_lock(("1.2.156.99999.9", False, UTF8))).accepted


def test_a23_what_docs_conformance_names_as_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against RFC 5280, under the strict rules: readable in one way only, and CAs in the field write it."""
    ca_key = key("EC", "loose")
    loose = [
        pki.extension(x509.BasicConstraints(ca=True, path_length=None)),
        *pki.ca_extensions(ca_key, issuer=world().root.key)[1:],
    ]
    ca = world().root.issue(pki.name("loose"), ca_key.spki_der, extensions=loose, **DATES)
    lock = pki.Authority(ca_key, pki.name("loose"), ca, ()).issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=trusting(ca)).accepted
    for oid, value in (("2.5.29.14", b"\x04\x00"), ("1.3.6.1.5.5.7.1.1", b"\x30\x00"), ("2.5.29.31", b"\x30\x00")):
        assert world().judge(world().raw_lock((oid, False, value))).accepted, oid
    monkeypatch.setattr(der, "time", der.generalized_time)
    assert world().judge(world().raw_lock()).accepted


def _constrained(**trees: list[x509.GeneralName]) -> tuple[pki.Authority, Register]:
    value = x509.NameConstraints(trees.get("permitted"), trees.get("excluded"))
    ca = world().root.intermediate("constrained CA", key("EC", "nc"), **DATES, extra=[pki.extension(value, critical=True)])
    return ca, trusting(ca.certificate)


@pytest.mark.parametrize("name", ["evil.example", "*.example", "good.example.evil.example", "xgood.example", "*"])
def test_a24_name_constraints(name: str) -> None:
    ca, register = _constrained(permitted=[x509.DNSName("good.example")])
    san = [pki.extension(x509.SubjectAlternativeName([x509.DNSName(name)]))]
    lock = ca.issue_lock("holder", key("EC"), **DATES, extra=san)
    assert world().judge(lock, register=register).reason is Reason.PATH_INVALID
    inside = [pki.extension(x509.SubjectAlternativeName([x509.DNSName("a.good.example")]))]
    lock = ca.issue_lock("holder", key("EC"), **DATES, extra=inside)
    assert world().judge(lock, register=register).accepted


def _raw_names(*names: tuple[int, bytes]) -> pki.Extension:
    return "2.5.29.17", False, der.sequence(*(der.tlv(tag, text) for tag, text in names))


UNCLEAR = [
    (0x82, b"a.good.example\0"), (0x82, b"a.good.example."), (0x82, b"a.good.example "), (0x82, b"evil.com\0.good.example"),
    (0x82, b"a b.good.example"), (0x82, b"a..good.example"), (0x82, b"a/good.example"), (0x81, b"a@good.example."),
    (0x81, b"a@good.example\0"), (0x82, b"*.good.example"), (0x82, b"*"), (0x82, b"x.*.good.example"),
]  # fmt: skip


@pytest.mark.parametrize("name", UNCLEAR)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("tree", ["permitted", "excluded"])
def test_a24_a_name_that_need_not_mean_what_is_compared(name: tuple[int, bytes], strict: bool, tree: str) -> None:
    """A name that only the comparison takes for another one escapes an excluded subtree, or steals into a permitted one."""
    base = x509.DNSName("good.example") if name[0] == 0x82 else x509.RFC822Name("good.example")
    ca, register = _constrained(**{tree: [base]})
    register = Register([replace(register.providers[0], policy=replace(OFF, strict_extensions=strict))])
    clear = (0x82, b"x_y-1.good.example") if name[0] == 0x82 else (0x81, b"a+b@good.example")
    own = pki.extension(x509.AuthorityKeyIdentifier(ca.key.key_id, None, None))

    def reason(*names: tuple[int, bytes]) -> Reason | None:
        lock = world().raw_lock(own, _raw_names(*names), drop=("2.5.29.35",), signer=ca)
        return world().judge(lock, register=register).reason

    assert reason(clear) is (None if tree == "permitted" else Reason.PATH_INVALID)
    assert reason(name) is Reason.PATH_INVALID
    assert reason(*([clear] if tree == "permitted" else []), name) is Reason.PATH_INVALID


def test_a24_an_unclear_name_matters_only_below_a_constraint() -> None:
    assert world().judge(world().raw_lock(_raw_names((0x82, b"a.good.example.")))).accepted
    constraints = pki.extension(x509.NameConstraints(None, [x509.DNSName("good.example")]), critical=True)
    first = world().root.intermediate("first", key("EC", "nc1"), **DATES, path_length=None)
    second = first.intermediate("second", key("EC", "nc2"), **DATES, extra=[constraints, _raw_names((0x82, b"x."))])
    lock = second.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=trusting(first.certificate, second.certificate)).accepted
    third = world().root.intermediate("third", key("EC", "nc3"), **DATES, path_length=None, extra=[constraints])
    fourth = third.intermediate("fourth", key("EC", "nc4"), **DATES, extra=[_raw_names((0x82, b"x."))])
    verdict = world().judge(
        fourth.issue_lock("holder", key("EC"), **DATES), register=trusting(third.certificate, fourth.certificate)
    )
    assert verdict.failure is not None
    assert (verdict.reason, verdict.failure.detail.split(":")[0]) == (Reason.PATH_INVALID, "certificate 1 of the path")


def test_a24_name_constraints_on_the_subject() -> None:
    ca, register = _constrained(excluded=[x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CN")]))])
    lock = ca.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=register).reason is Reason.PATH_INVALID


def _policy_extension(*oids: str) -> pki.Extension:
    return "2.5.29.32", False, der.sequence(*(der.sequence(der.oid(oid)) for oid in oids))


def test_a25_required_policy_missing() -> None:
    wanted = replace(OFF, required_policies=("1.2.156.99999.1",))
    assert world().judge(world().lock(), wanted).reason is Reason.POLICY_NOT_ALLOWED
    assert world().judge(world().raw_lock(_policy_extension("1.2.156.99999.1")), wanted).reason is Reason.POLICY_NOT_ALLOWED


def test_a25_certificates_of_a_path_are_counted_from_the_leaf() -> None:
    """By OpenSSL and by the policy graph alike, the leaf being 0."""
    demand = pki.extension(x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), critical=True)
    first = world().root.intermediate(
        "first", key("EC", "p1"), **DATES, path_length=None, extra=[demand, _policy_extension("1.2.3")]
    )
    second = first.intermediate("second", key("EC", "p2"), **DATES, path_length=None)
    lock = second.issue_lock("holder", key("EC"), **DATES)
    verdict = world().judge(lock, register=trusting(first.certificate, second.certificate))
    assert verdict.failure is not None
    assert verdict.failure.detail == "no policy is valid for certificate 1 of the path, and one is required"


def test_a25_disallowed_policy() -> None:
    assert world().judge(world().raw_lock(_policy_extension("1.3.6.1.4.1.10015.1.3"))).reason is Reason.POLICY_NOT_ALLOWED


def test_a25_policy_mapping_bomb() -> None:
    """CVE-2023-0464: every level maps each of its policies to each of the next: a tree would have 40^6 nodes."""
    policies = [f"1.2.156.99999.{number}" for number in range(40)]
    pairs = der.sequence(*(der.sequence(der.oid(one), der.oid(other)) for one in policies[:11] for other in policies[:11]))
    extra = [_policy_extension(*policies), ("2.5.29.33", True, pairs)]
    above, cas = world().root, []
    for level in range(6):
        above = above.intermediate(f"bomb {level}", key("EC", f"b{level}"), **DATES, path_length=None, extra=extra)
        cas.append(above.certificate)
    register = trusting(*cas, policy=replace(OFF, required_policies=("1.2.156.99999.39",)))
    lock = above.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=register).reason is Reason.POLICY_NOT_ALLOWED
    wide = der.sequence(*(der.sequence(der.oid(f"1.2.156.{number}"), der.oid("1.2.3")) for number in range(200)))
    ca = world().root.intermediate("wide", key("EC", "wide"), **DATES, extra=[("2.5.29.33", True, wide)])
    register = trusting(ca.certificate)
    assert world().judge(ca.issue_lock("h", key("EC"), **DATES), register=register).reason is Reason.PATH_INVALID
