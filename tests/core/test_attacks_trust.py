"""Attack rows A16 to A21: who is trusted, and what a provider's CAs may issue where."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from worlds.core_trust import AT, DATES, KINDS, OFF, answer, key, trusting, world

from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.verdict import Step
from calock.demo import der, pki

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string


def test_a16_self_signed_and_unknown_root() -> None:
    own = pki.make_root("somebody", "EC", **DATES)
    selfsigned = own.issue_lock("somebody", own.key, **DATES)
    assert world().judge(selfsigned).reason is Reason.CERTIFICATE_UNTRUSTED
    assert world().judge(own.certificate).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a16_a_recognised_ca_certificate_is_no_holders() -> None:
    """Its own path may be asked for alone; but no lock is made of it."""
    for authority in (world().root, world().ca):
        verdict = world().judge(authority.certificate)
        assert verdict.reason is Reason.CERTIFICATE_IS_CA
        assert [check.name for check in verdict.checks if check.passed is False] == ["holder, not a CA", "key usage"]


@pytest.mark.parametrize("kind", KINDS)
def test_a16_root_with_the_same_name_and_another_key(kind: str) -> None:
    twin = pki.make_root("practice root", kind, **DATES)  # type: ignore[arg-type]
    ca = twin.intermediate("practice CA", **DATES)
    assert world(kind).judge(ca.issue_lock("holder", key(kind), **DATES)).reason is Reason.CERTIFICATE_UNTRUSTED
    # the same, with the real CA's key identifier written into it
    forged = replace(ca, key=replace(ca.key, spki_der=world(kind).ca.key.spki_der))
    lock = forged.issue_lock("holder", key(kind), **DATES)
    assert world(kind).judge(lock).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a17_an_empty_register_accepts_nobody() -> None:
    verdict = world().judge(world().lock(), register=Register([]))
    assert verdict.reason is Reason.CERTIFICATE_UNTRUSTED
    without_anchor = Register([ProviderTrust("p", (CaCertificate.of(world().ca.certificate),))])
    assert world().judge(world().lock(), register=without_anchor).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a17_a_malformed_register_is_not_built() -> None:
    with pytest.raises(Refusal):
        Register([ProviderTrust("p", (CaCertificate(b"nothing", "00", anchor=True),))])
    with pytest.raises(ValueError, match="key that its record names"):
        Register([ProviderTrust("p", (CaCertificate(world().root.certificate, "00" * 32, anchor=True),))])
    ca = CaCertificate.of(world().root.certificate, anchor=True)
    with pytest.raises(ValueError, match="claimed by"):
        Register([ProviderTrust(code, (ca,), sites=frozenset({"here", code})) for code in ("one", "two")])


@pytest.mark.parametrize("empty", [b"", b"\x00", b"\x30\x00"])
def test_a18_no_certificate(empty: bytes) -> None:
    assert world().judge(empty).reason is Reason.CERTIFICATE_UNPARSABLE


@pytest.mark.parametrize("kind", KINDS)
def test_a19_a_leaf_that_acts_as_a_ca(kind: str) -> None:
    holder = pki.Authority(key(kind), pki.name("practice holder"), world(kind).lock(), ())
    below = holder.issue_lock("victim", key(kind, "other"), **DATES)
    assert world(kind).judge(below).reason is Reason.CERTIFICATE_UNTRUSTED
    # even when an operator put it into the register as an intermediate
    cas = (CaCertificate.of(world(kind).root.certificate, anchor=True), CaCertificate.of(world(kind).ca.certificate),
           CaCertificate.of(holder.certificate))  # fmt: skip
    register = Register([ProviderTrust("p", cas, OFF)])
    assert world(kind).judge(below, register=register).reason is Reason.PATH_INVALID


@pytest.mark.parametrize(
    "wrong",
    [
        [pki.extension(x509.BasicConstraints(ca=False, path_length=None), critical=True), pki.key_usage("key_cert_sign")],
        [pki.key_usage("key_cert_sign", "crl_sign")],
        [pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True), pki.key_usage("digital_signature")],
    ],
    ids=["CA:FALSE", "no basicConstraints", "no keyCertSign"],
)
def test_a19_an_intermediate_that_may_not_sign(wrong: list[pki.Extension]) -> None:
    root, made = world().root, key("EC", "odd")
    ids = [
        pki.extension(x509.SubjectKeyIdentifier(made.key_id)),
        pki.extension(x509.AuthorityKeyIdentifier(root.key.key_id, None, None)),
    ]
    certificate = root.issue(pki.name("odd CA"), made.spki_der, **DATES, extensions=[*wrong, *ids])
    odd = pki.Authority(made, pki.name("odd CA"), certificate, (certificate,))
    register = trusting(certificate)
    lock = odd.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=register).reason is Reason.PATH_INVALID


def test_a19_path_length_exceeded() -> None:
    below = world().ca.intermediate("too deep", **DATES)  # the CA above it has pathLen 0
    cas = (
        CaCertificate.of(world().root.certificate, anchor=True),
        CaCertificate.of(world().ca.certificate),
        CaCertificate.of(below.certificate),
    )
    register = Register([ProviderTrust("p", cas, OFF)])
    lock = below.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=register).reason is Reason.PATH_INVALID


@pytest.mark.parametrize("as_anchor", [True, False])
@pytest.mark.parametrize("strict", [True, False])
def test_a19_a_ca_that_openssl_cannot_read(as_anchor: bool, strict: bool) -> None:
    """Its name is a UTF8String that is not UTF-8: ``cryptography`` reads it, OpenSSL does not."""
    here, ca_key = world(), key("EC", "unreadable")
    part = der.sequence(der.oid("2.5.4.3"), der.tlv(0x0C, b"\xff\xfe"))
    subject = der.sequence(der.set_of(part))
    extensions = pki.ca_extensions(ca_key, issuer=here.root.key)
    certificate = here.root.issue(subject, ca_key.spki_der, extensions=extensions, **DATES)
    ca = pki.Authority(ca_key, subject, certificate, ())
    policy = replace(OFF, strict_extensions=strict)
    register = Register([ProviderTrust("p", (CaCertificate.of(certificate, anchor=True),), policy)])
    if not as_anchor:
        register = trusting(certificate, policy=policy)
    own = pki.extension(x509.AuthorityKeyIdentifier(ca_key.key_id, None, None))
    verdict = here.judge(here.raw_lock(own, drop=("2.5.29.35",), signer=ca), register=register)
    assert verdict.reason is Reason.PATH_INVALID
    assert "OpenSSL cannot read" in verdict.failure.detail


def test_a20_an_anchor_that_is_no_ca() -> None:
    """Vault CVE-2024-2048: another certificate with the anchor's names and key identifiers, over the attacker's key."""
    anchor = world().lock(common_name="trusted holder")
    register = Register([ProviderTrust("p", (CaCertificate.of(anchor, anchor=True),), OFF)])
    assert world().judge(anchor, register=register).accepted
    attacker = replace(world().ca, key=key("EC", "attacker"))
    minted = attacker.issue_lock("trusted holder", key("EC", "attacker"), **DATES, serial=4242)
    assert world().judge(minted, register=register).reason is Reason.CERTIFICATE_UNTRUSTED
    signing = pki.Authority(key("EC"), pki.name("trusted holder"), anchor, ())
    assert world().judge(signing.issue_lock("x", key("EC"), **DATES), register=register).reason in (
        Reason.PATH_INVALID, Reason.CERTIFICATE_UNTRUSTED,
    )  # fmt: skip


def test_a21_only_the_certificate_whose_key_signed_counts() -> None:
    """A second certificate after the first is not DER; an answer names exactly one, and its key must have signed."""
    mine, victim = world().lock(key=key("EC", "mine"), serial=5), world().lock(common_name="victim", serial=6)
    assert world().judge(mine + victim).reason is Reason.CERTIFICATE_UNPARSABLE
    assert world().verify_token(answer(victim, key("EC", "mine"))).reason is Reason.SIGNATURE_INVALID


def test_provider_suspended_not_here_and_not_chosen() -> None:
    register = world().register(sites=frozenset({"shanxi"}))
    assert world().judge(world().lock(), register=register, site="shanxi", provider="practice").accepted
    assert world().judge(world().lock(), register=register, site="zcy").reason is Reason.PROVIDER_NOT_RECOGNISED_HERE
    assert world().judge(world().lock(), register=register, provider="another").reason is Reason.PROVIDER_MISMATCH
    assert world().judge(world().lock(), register=world().register(suspended=True)).reason is Reason.PROVIDER_SUSPENDED


def test_a_path_stays_within_one_provider() -> None:
    """An intermediate of A certified by B's root alone: A's sites and rules must not stand on B's trust."""
    mine = pki.make_root("root A", "EC", key("EC", "root A"), **DATES)
    theirs = pki.make_root("root B", "EC", key("EC", "root B"), **DATES)
    issuing = theirs.intermediate("issuing A", key("EC", "issuing A"), **DATES)
    lock = issuing.issue_lock("h", key("EC"), **DATES)
    cas = (CaCertificate.of(mine.certificate, anchor=True), CaCertificate.of(issuing.certificate))
    a = ProviderTrust("a", cas, OFF, frozenset({"shanxi"}))
    b = ProviderTrust("b", (CaCertificate.of(theirs.certificate, anchor=True),), OFF, frozenset({"zcy"}))
    for other in (b, replace(b, suspended=True)):
        assert world().judge(lock, register=Register([a, other]), site="shanxi").reason is Reason.CERTIFICATE_UNTRUSTED
    together = ProviderTrust("a", (*cas, *b.cas), OFF, frozenset({"shanxi"}))
    assert world().judge(lock, register=Register([together]), site="shanxi").accepted


def test_a_ca_for_other_purposes_issues_no_locks() -> None:
    for ekus, accepted in (((SERVER_AUTH,), False), ((SERVER_AUTH, "1.3.6.1.5.5.7.3.2"), True), (("2.5.29.37.0",), True)):
        ca = world().root.intermediate("purposes", key("EC", "eku"), **DATES, extra=[pki.extended_key_usage(*ekus)])
        verdict = world().judge(ca.issue_lock("h", key("EC"), **DATES), register=trusting(ca.certificate))
        assert (verdict.accepted, verdict.reason) == (accepted, None if accepted else Reason.PATH_INVALID)
        assert accepted or (verdict.failure is not None and verdict.failure.step is Step.PROFILE)


STRICT_FORM: dict[str, tuple[list[pki.Extension], dict[str, object]]] = {
    "empty subject": ([], {"subject": der.sequence()}),
    "empty subject, SAN not critical": (
        [pki.extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]))], {"subject": der.sequence()},
    ),
    "name constraints in a leaf": ([pki.extension(x509.NameConstraints([x509.DNSName("a.example")], None), critical=True)], {}),
    "SAN that is not IA5": ([("2.5.29.17", False, der.sequence(der.tlv(0x82, "例.example".encode())))], {}),
    "SAN with two @": ([("2.5.29.17", False, der.sequence(der.tlv(0x81, b"a@b@c")))], {}),
    "SAN with a leading period": ([("2.5.29.17", False, der.sequence(der.tlv(0x82, b".example")))], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", STRICT_FORM)
def test_form_that_rfc_5280_demands(name: str) -> None:
    extra, changes = STRICT_FORM[name]
    lock = world().raw_lock(*extra, **changes)
    assert world().judge(lock).reason is Reason.CERTIFICATE_EXTENSION


def test_the_last_second_counts_to_its_end() -> None:
    lock = world().lock(not_after=AT)
    assert world().judge(lock, at=AT + timedelta(milliseconds=5)).accepted
    assert world().judge(lock, at=AT + timedelta(seconds=1)).reason is Reason.CERTIFICATE_EXPIRED
