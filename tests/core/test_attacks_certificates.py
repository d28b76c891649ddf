"""Attack rows A13 to A31 (certificates). A32 and A33 are about CSRs: calock takes none, which is tested against its source tree."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from worlds.core_trust import AT, END, KINDS, START, USCC, answer, key, world

import calock
from calock.core.certificates.certificate import Certificate
from calock.core.paths import ca_path, path
from calock.core.paths.chain import ChainFault
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.verdict import Step
from calock.demo import der, pki

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
OFF = Policy(revocation=RevocationRules(mode="off"))
DATES = {"not_before": START, "not_after": END}


def trusting(*cas: bytes, policy: Policy = OFF) -> Register:
    """A register of one provider: the practice root as anchor, and these CA certificates below it."""
    anchor = CaCertificate.of(world().root.certificate, anchor=True)
    return Register([ProviderTrust("p", (anchor, *map(CaCertificate.of, cas)), policy)])


def rsa_spki(modulus: int, exponent: int) -> bytes:
    body = der.sequence(der.integer(modulus), der.integer(exponent))
    return der.sequence(der.sequence(der.oid("1.2.840.113549.1.1.1"), der.tlv(0x05)), der.bits(body))


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_certificate_is_accepted(kind: str) -> None:
    verdict = world(kind).judge(world(kind).lock())
    assert (verdict.reason, verdict.accepted) == (None, True)
    assert verdict.provider is not None
    assert verdict.provider.code == "practice"
    assert verdict.issuer is not None
    assert verdict.issuer.spki_sha256 == world(kind).ca.key.spki_sha256
    assert verdict.path == (world(kind).lock(), world(kind).ca.certificate, world(kind).root.certificate) or len(verdict.path) == 3
    assert verdict.identity is not None
    assert (verdict.identity.holder_kind, verdict.identity.holder_id) == ("uscc", USCC)


# --- A13, A14: keys


def test_a13_rsa_1024() -> None:
    weak = pki.make_key("RSA", rsa_bits=1024)
    assert world().judge(world().lock(key=weak)).reason is Reason.KEY_WEAK
    until = Policy(legacy=(("RSA1024", AT + timedelta(days=1)),))
    assert world().judge(world().lock(key=weak), until).accepted
    over = Policy(legacy=(("RSA1024", AT),))
    assert world().judge(world().lock(key=weak), over).reason is Reason.KEY_WEAK


@pytest.mark.parametrize("exponent", [1, 2, 4, 65536])
def test_a13_rsa_exponents(exponent: int) -> None:
    modulus = Certificate.parse(world("RSA").lock()).public_key.public_numbers().n  # type: ignore[union-attr]
    verdict = world().judge(world().lock(key=rsa_spki(modulus, exponent)))
    assert verdict.reason is Reason.KEY_WEAK


def test_a13_roca_modulus() -> None:
    """A modulus that is 65537^k modulo every small prime, as Infineon's library made them (Nemec et al. 2017)."""
    product = 1
    for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
                  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167):  # fmt: skip
        product *= prime
    modulus = (1 << 2047) // product * product + pow(65537, 12345, product) + product
    assert modulus.bit_length() == 2048
    assert modulus % 2 == 1
    assert world().judge(world().lock(key=rsa_spki(modulus, 65537))).reason is Reason.KEY_WEAK


def test_a13_close_primes() -> None:
    root = (1 << 1023) + 987_654_321 * (1 << 500)
    modulus = (root - 12) * (root + 12)  # Fermat's method looks at the numbers, not at whether they are prime
    verdict = world().judge(world().lock(key=rsa_spki(modulus | 0, 65537)))
    assert verdict.reason is Reason.KEY_WEAK


@pytest.mark.parametrize("kind", KINDS)
def test_a14_ordinary_keys_are_not_called_weak(kind: str) -> None:
    for number in range(3):
        fresh = pki.make_key(kind)  # type: ignore[arg-type]
        checks = {check.name: check for check in world().judge(world().lock(key=fresh, serial=7 + number)).checks}
        assert checks["key"].passed


@pytest.mark.parametrize("kind", ["EC", "SM2"])
def test_a14_point_outside_the_curve(kind: str) -> None:
    spki = key(kind).spki_der
    broken = spki[:-1] + bytes([spki[-1] ^ 1])
    assert world().judge(world().lock(key=broken)).reason is Reason.KEY_WEAK
    infinity = spki[:-65] + bytes(65)
    assert world().judge(world().lock(key=infinity)).reason in (Reason.KEY_WEAK, Reason.CERTIFICATE_UNPARSABLE)


def test_a14_explicit_curve_parameters() -> None:
    """CVE-2020-0601: a curve of the attacker's own making, with the real key's point as its generator."""
    p256 = der.sequence(
        der.integer(1),
        der.sequence(der.oid("1.2.840.10045.1.1"), der.integer(2**256 - 2**224 + 2**192 + 2**96 - 1)),
        der.sequence(der.octets(bytes(32)), der.octets(bytes(32))),
        der.octets(key("EC").spki_der[-65:]),
        der.integer(2**255),
    )
    explicit = der.sequence(der.sequence(der.oid("1.2.840.10045.2.1"), p256), der.bits(key("EC").spki_der[-65:]))
    assert world().judge(world().lock(key=explicit)).reason in (Reason.KEY_NOT_ALLOWED, Reason.CERTIFICATE_UNPARSABLE)


@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256K1(), ec.BrainpoolP256R1()])
def test_a14_curves_outside_the_list(curve: ec.EllipticCurve) -> None:
    assert world().judge(world().lock(key=pki.make_key("EC", curve=curve))).reason is Reason.KEY_NOT_ALLOWED


def test_a14_key_kind_outside_the_providers_list() -> None:
    assert world().judge(world().lock(), Policy(algorithms=("SM2",))).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM
    assert world().judge(world().lock(key=key("RSA")), Policy(algorithms=("SM2", "EC"))).reason is Reason.KEY_NOT_ALLOWED


# --- A15: dates


@pytest.mark.parametrize(
    ("not_before", "not_after", "reason"),
    [
        (START, AT - timedelta(seconds=1), Reason.CERTIFICATE_EXPIRED),
        (AT + timedelta(seconds=1), END, Reason.CERTIFICATE_NOT_YET_VALID),
        (AT + timedelta(days=2), AT - timedelta(days=2), Reason.CERTIFICATE_VALIDITY_ORDER),
    ],
)
def test_a15_dates(not_before: object, not_after: object, reason: Reason) -> None:
    lock = world().lock(not_before=not_before, not_after=not_after)
    assert world().judge(lock).reason is reason
    assert world().verify_token(answer(lock, key("EC"))).reason is reason


def test_a15_grace_days_are_the_providers() -> None:
    lock = world().lock(not_after=AT - timedelta(days=2))
    assert world().judge(lock, Policy(grace_days=3)).accepted
    assert world().judge(lock, Policy(grace_days=1)).reason is Reason.CERTIFICATE_EXPIRED


def test_a15_ca_outside_its_dates() -> None:
    assert world().judge(world().lock(not_after=END + timedelta(days=9)), at=END + timedelta(days=1)).reason is Reason.PATH_EXPIRED


# --- A16 to A21: trust


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


# --- A22 to A25: profile and policy


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


# --- A26 to A28: who it is


def _name(*attributes: tuple[str, bytes], together: bool = False) -> bytes:
    pairs = [der.sequence(der.oid(oid), value) for oid, value in attributes]
    return der.sequence(der.set_of(*pairs)) if together else der.sequence(*(der.set_of(pair) for pair in pairs))


CN = "2.5.4.3"


@pytest.mark.parametrize(
    "subject",
    [
        _name((CN, der.utf8("victim")), (CN, der.utf8("x"))),
        _name((CN, der.utf8("victim")), (CN, der.utf8("x")), together=True),
        _name((CN, der.utf8("x/CN=victim"))),
        _name((CN, der.utf8("x, CN=victim"))),
        _name((CN, der.utf8("victim\x00x"))),
        _name((CN, der.utf8("victim\nCN=x"))),
        _name((CN, der.tlv(0x14, b"victim"))),
        _name((CN, der.tlv(0x1E, "victim".encode("utf-16-be")))),
        _name((CN, der.utf8("VICTIM"))),
        _name((CN, der.utf8("victim  "))),
        _name((CN, der.utf8("\N{RIGHT-TO-LEFT OVERRIDE}mitciv"))),
    ],
)
def test_a26_names_never_decide_identity(subject: bytes) -> None:
    """Nothing in a name makes one certificate pass for another: what identifies are the CA's key, the serial and the key."""
    victim = world().raw_lock(subject=_name((CN, der.utf8("victim"))), serial=11)
    verdict = world().judge(world().raw_lock(subject=subject, spki=key("EC", "attacker").spki_der, serial=12))
    certificate = verdict.certificate
    assert certificate is not None
    genuine = world().judge(victim)
    assert genuine.certificate is not None
    assert genuine.identity is not None
    assert (certificate.serial, certificate.spki_sha256) != (genuine.certificate.serial, genuine.certificate.spki_sha256)
    if verdict.identity is not None:
        assert verdict.identity.holder_id == ""
        assert verdict.identity.lock_id == certificate.spki_sha256[:20].upper() != genuine.identity.lock_id
    for shown in (certificate.subject_cn, certificate.subject_text):
        assert shown.isprintable()
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown


def test_a26_a_rule_on_a_name_takes_one_value_or_none() -> None:
    """Where a provider's rule does read an attribute, a second one beside it, of any encoding, makes it read nothing."""
    rules = Policy.from_json({"identity": {"lock": [{"source": "dn", "oid": CN}]}})

    def lock_id(*values: bytes) -> tuple[str, str]:
        verdict = world().judge(world().raw_lock(subject=_name(*((CN, value) for value in values))), rules)
        assert verdict.identity is not None
        return verdict.identity.lock_source, verdict.identity.lock_id

    assert lock_id(der.utf8("LOCK-1")) == ("dn", "LOCK-1")
    for other in (der.utf8("LOCK-2"), der.tlv(0x1E, "LOCK-2".encode("utf-16-be")), der.printable("lock-1")):
        assert lock_id(der.utf8("LOCK-1"), other)[0] == "key"
    assert lock_id(der.utf8("LOCK-1\n"))[1] != "LOCK-1\n"


def test_a26_separators_inside_a_name_are_escaped() -> None:
    certificate = Certificate.parse(world().raw_lock(subject=_name((CN, der.utf8("x, CN=victim+O=y")))))
    assert certificate.subject_text == "CN=x\\, CN\\=victim\\+O\\=y"


def test_a26_two_values_of_one_attribute_name_nobody() -> None:
    rules = Policy.from_json(
        {"identity": {"holder": [{"source": "dn", "oid": "2.5.4.97", "kind": "uscc"}], "holder_required": True}}
    )
    two = _name(("2.5.4.97", der.utf8(USCC)), ("2.5.4.97", der.utf8("91110000600037341L")))
    verdict = world().judge(world().raw_lock(subject=two), rules)
    assert (verdict.reason, verdict.identity) == (Reason.HOLDER_ID_INVALID, None)
    one = world().judge(world().raw_lock(subject=_name(("2.5.4.97", der.utf8(USCC)))), rules)
    assert one.identity is not None
    assert one.identity.holder_id == USCC


def test_a27_same_subject_serial_and_holder_under_two_cas() -> None:
    root = pki.make_root("practice root", "EC", key("EC", "second root"), **DATES)
    other = root.intermediate("practice CA", key("EC", "second ca"), **DATES)
    cas = (CaCertificate.of(root.certificate, anchor=True), CaCertificate.of(other.certificate))
    first = world().register(OFF).providers[0]
    register = Register([first, ProviderTrust("second", cas, OFF)])
    mine = world().judge(world().lock(), register=register)
    theirs = other.issue_lock("practice holder", key("EC"), **DATES, uscc=USCC, serial=4242)
    verdict = world().judge(theirs, register=register)
    assert mine.accepted
    assert verdict.accepted
    assert mine.provider is not None
    assert verdict.provider is not None
    assert (mine.provider.code, verdict.provider.code) == ("practice", "second")
    assert mine.issuer is not None
    assert verdict.issuer is not None
    assert mine.issuer.spki_sha256 != verdict.issuer.spki_sha256
    assert world().judge(theirs, register=register, provider="practice").reason is Reason.PROVIDER_MISMATCH


def test_a28_one_key_certified_twice_is_visible_as_one_key() -> None:
    """By two CAs, in two encodings of the name: whoever compares keys sees one (what binding makes of it: tests/server/locks)."""
    other = world().root.intermediate("second CA", key("EC", "second"), **DATES)
    register = trusting(world().ca.certificate, other.certificate)
    old, new = (
        world().judge(issuer.issue_lock("holder", key("EC"), **DATES, serial=10), register=register)
        for issuer in (world().ca, other)
    )
    assert old.accepted
    assert new.accepted
    assert old.certificate is not None
    assert new.certificate is not None
    assert old.certificate.spki_sha256 == new.certificate.spki_sha256 == hashlib.sha256(key("EC").spki_der).hexdigest()
    assert old.issuer is not None
    assert new.issuer is not None
    assert old.issuer.spki_sha256 != new.issuer.spki_sha256


# --- A29 to A31: size, depth, hashes


def test_a29_chain_of_a_hundred() -> None:
    above, cas = world().root, []
    for level in range(100):
        above = above.intermediate(f"level {level}", key("EC", "one for all"), **DATES, path_length=None)
        cas.append(above.certificate)
    lock = above.issue_lock("holder", key("EC"), **DATES)
    verdict = world().judge(lock, register=trusting(*cas))
    assert verdict.reason is Reason.PATH_TOO_LONG


def test_a29_eight_deep_is_the_limit() -> None:
    above, cas = world().root, []
    for level in range(7):
        lock = above.issue_lock("holder", key("EC"), **DATES)
        verdict = world().judge(lock, register=trusting(*cas))
        assert verdict.accepted, level
        above = above.intermediate(f"level {level}", key("EC", f"level {level}"), **DATES, path_length=None)
        cas.append(above.certificate)
    lock = above.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=trusting(*cas)).reason is Reason.PATH_TOO_LONG


@pytest.mark.parametrize("most", range(1, 9))
def test_a29_the_providers_limit_counts_leaf_and_anchor(most: int) -> None:
    above, cas, accepted = world().root, [], []
    for level in range(most + 1):
        lock = above.issue_lock("holder", key("EC"), **DATES)
        verdict = world().judge(lock, register=trusting(*cas, policy=replace(OFF, max_depth=most)))
        accepted.append(verdict.accepted)
        assert verdict.reason in (None, Reason.PATH_TOO_LONG)
        above = above.intermediate(f"level {level}", key("EC", f"level {level}"), **DATES, path_length=None)
        cas.append(above.certificate)
    assert accepted == [level + 2 <= most for level in range(most + 1)]


def test_a29_more_namesakes_than_are_tried_is_said() -> None:
    right, spare = world().ca, key("EC", "namesake")
    others = [
        world().root.issue(right.subject, spare.spki_der, extensions=pki.ca_extensions(spare, issuer=world().root.key), **DATES)
        for _ in range(40)
    ]
    policy = replace(OFF, strict_extensions=False)
    lock = world().raw_lock(drop=("2.5.29.35",))
    for cas, accepted in ((others[:5], True), (others, False)):
        verdict = world().judge(lock, register=trusting(*cas, right.certificate, policy=policy))
        assert verdict.accepted is accepted
        assert accepted or "not all CA certificates of its issuer's name were tried" in verdict.failure.detail


def test_a29_cross_signed_loop() -> None:
    one, two = key("EC", "loop one"), key("EC", "loop two")
    name_one, name_two = pki.name("loop one"), pki.name("loop two")
    first = pki.Authority(two, name_two, b"", ()).issue(
        name_one, one.spki_der, **DATES, extensions=pki.ca_extensions(one, issuer=two)
    )
    second = pki.Authority(one, name_one, b"", ()).issue(
        name_two, two.spki_der, **DATES, extensions=pki.ca_extensions(two, issuer=one)
    )
    lock = pki.Authority(one, name_one, first, ()).issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=trusting(first, second)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a29_very_many_intermediates_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same-name intermediates that certify one another: a search would not end (BetterTLS); ours looks at a bounded number."""
    subject, cas = pki.name("same name"), []
    twins = [pki.Authority(key("EC", f"twin {number}"), subject, b"", ()) for number in range(40)]
    for number in range(400):
        issuer, twin = twins[number % 40], twins[(number * 7 + 1) % 40]
        extensions = [
            pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
            pki.key_usage("key_cert_sign"),
        ]
        made = issuer.issue(subject, twin.key.spki_der, **DATES, extensions=extensions)
        cas.append(made)
    register = trusting(*cas, policy=replace(OFF, strict_extensions=False))
    lock = twins[0].issue(pki.name("holder"), key("EC").spki_der, **DATES, extensions=[pki.key_usage("digital_signature")])
    judged: list[object] = []
    looked_up: list[object] = []
    candidates = register.candidates
    monkeypatch.setattr(register, "candidates", lambda *asked: looked_up.append(asked) or candidates(*asked))
    monkeypatch.setattr(path, "chain_fault", lambda *asked, **_: judged.append(asked) or ChainFault(20, 0, "no"))
    assert world().judge(lock, register=register).reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(judged) <= ca_path.MAX_CANDIDATES
    assert len(looked_up) <= ca_path.MAX_VISITS + 2
    looked_up.clear()
    assert world().judge(lock, register=register).reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(looked_up) <= 2  # what was written down is kept


def test_a30_oversized_and_odd_certificates() -> None:
    many = x509.SubjectAlternativeName([x509.DNSName(f"n{number}.example") for number in range(10_000)])
    assert world().judge(world().raw_lock(pki.extension(many))).reason is Reason.CERTIFICATE_TOO_LARGE
    assert world().judge(b"\x30\x84\x00\x10\x00\x00" + bytes(1 << 20)).reason is Reason.CERTIFICATE_TOO_LARGE
    deep = b""
    for _ in range(10_000):
        deep = der.tlv(0x30, deep) if len(deep) < 30_000 else deep
    assert world().judge(deep).reason is Reason.CERTIFICATE_UNPARSABLE
    good = world().lock()
    indefinite = b"\x30\x80" + good[4:] + b"\x00\x00"
    assert world().judge(indefinite).reason is Reason.CERTIFICATE_UNPARSABLE
    assert world().judge(world().raw_lock(("1.2.156.99999.9", False, deep[:30_000]))).accepted


@pytest.mark.parametrize("serial", [0, -1, -(1 << 100), 1 << 159, 1 << 168])
def test_a30_serial_numbers(serial: int) -> None:
    assert world().judge(world().raw_lock(serial=serial)).reason in (Reason.CERTIFICATE_SERIAL, Reason.CERTIFICATE_UNPARSABLE)


def test_a30_version_one() -> None:
    tbs_without = world().ca.issue(pki.name("old"), key("EC").spki_der, **DATES, version=0)
    assert world().judge(tbs_without).reason is Reason.CERTIFICATE_VERSION


@pytest.mark.parametrize("algorithm", [pki.ECDSA_WITH_SHA1, pki.RSA_WITH_SHA1])
def test_a31_leaf_signed_over_sha1(algorithm: bytes) -> None:
    kind = "EC" if algorithm == pki.ECDSA_WITH_SHA1 else "RSA"
    lock = world(kind).raw_lock(algorithm=algorithm, digest=hashes.SHA1())
    assert world(kind).judge(lock).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM
    assert world(kind).judge(lock, replace(OFF, legacy=(("SHA1", AT + timedelta(days=1)),))).accepted
    assert world(kind).judge(lock, replace(OFF, legacy=(("SHA1", AT),))).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM


def test_a31_md5_and_unknown_algorithms() -> None:
    md5 = der.sequence(der.oid("1.2.840.113549.1.1.4"), der.tlv(0x05))
    assert world("RSA").judge(world("RSA").raw_lock(algorithm=md5)).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM
    unknown = der.sequence(der.oid("1.2.3.4"))
    assert world().judge(world().raw_lock(algorithm=unknown)).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM


def test_a31_intermediate_signed_over_sha1() -> None:
    root, made = world().root, key("EC", "sha1 ca")
    certificate = root.issue(pki.name("old CA"), made.spki_der, **DATES, algorithm=pki.ECDSA_WITH_SHA1,
                             digest=hashes.SHA1(), extensions=pki.ca_extensions(made, issuer=root.key))  # fmt: skip
    register = trusting(certificate)
    lock = pki.Authority(made, pki.name("old CA"), certificate, ()).issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=register).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM


def test_a31_algorithm_inside_differs_from_the_one_outside() -> None:
    lock = world().lock()
    at = lock.rindex(pki.ECDSA_WITH_SHA256)
    mixed = lock[:at] + pki.ECDSA_WITH_SHA384 + lock[at + len(pki.ECDSA_WITH_SHA384) :]
    assert world().judge(mixed).reason in (Reason.CERTIFICATE_SIGNATURE_ALGORITHM, Reason.CERTIFICATE_UNPARSABLE)


def test_a32_a33_no_certificate_request_is_taken_anywhere() -> None:
    source = Path(calock.__file__).parent
    readers = ("load_pem_x509_csr", "load_der_x509_csr", "CertificateSigningRequest", "CertificationRequest", "pkcs10")
    found = [str(file) for file in source.rglob("*.py") for word in readers if word in file.read_text("utf-8")]
    assert found == []


# --- provider and site


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
