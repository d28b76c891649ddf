"""What OpenSSL or the profile refuses: the refusal says in words what is wrong with the certificate."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from worlds.core_trust import AT, END, START, key, world
from worlds.field_certificates import CN, HOUR, LAX, ORGANISATION, UTF8, judged, lock_extensions, name

from calock.core.certificates import signatures
from calock.core.der import reader
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason, Refusal
from calock.demo import der, pki

# --- what OpenSSL refuses, in words that say why


BAD_NAMES = [
    ((CN, UTF8, "练习".encode("gb18030")), "CN in its subject is a UTF8String that holds other octets"),
    ((ORGANISATION, 0x1B, b"x"), "O in its subject is of a type that names do not have (tag 0x1b)"),
    ((CN, 0x1E, "𠮷".encode("utf-16-be")), "a BMPString with a character that takes more than two octets"),
    (("2.5.4.5", 0x02, b"\x01"), "serialNumber in its subject is of a type"),
]


@pytest.mark.parametrize(("attribute", "words"), BAD_NAMES)
def test_what_openssl_cannot_read_in_a_name_is_told(attribute: tuple[str, int, bytes], words: str) -> None:
    refused = world().judge(world().raw_lock(subject=name(attribute))).failure
    assert refused is not None
    assert (refused.reason, words in refused.detail) == (Reason.PATH_INVALID, True)


def test_a_name_in_another_character_set_is_shown() -> None:
    verdict = world().judge(world().raw_lock(subject=name((CN, UTF8, "练习持有人".encode("gb18030")))))
    assert verdict.certificate is not None
    assert "CN=练习持有人" in verdict.certificate.subject_text


def authority_key(*parts: bytes) -> pki.Extension:
    return "2.5.29.35", False, der.sequence(der.tlv(0x80, world().ca.key.key_id), *parts)


OTHER_ISSUERS = [
    (authority_key(der.tlv(0xA1, der.tlv(0xA4, world().root.subject)), der.tlv(0x82, b"\x63")), "names serial number 63"),
    (authority_key(der.tlv(0xA1, der.tlv(0xA4, world().ca.subject)), der.tlv(0x82, b"\x63")), "authorityKeyIdentifier"),
    (("2.5.29.35", False, der.sequence(der.tlv(0x80, b"\x01\x02"))), "not with its authority key identifier 0102"),
]


@pytest.mark.parametrize(("extension", "words"), OTHER_ISSUERS)
def test_an_authority_key_identifier_of_another_certificate_is_told(extension: pki.Extension, words: str) -> None:
    refused = world().judge(world().raw_lock(extension, drop=("2.5.29.35",))).failure
    assert refused is not None
    assert (refused.reason, words in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)


@pytest.mark.parametrize(
    ("part", "words"), [(der.tlv(0x80), "names the key by nothing"), (der.octets(b"\x01\x02"), "cannot read its")]
)
def test_an_authority_key_identifier_that_names_no_key_is_told_where_the_rules_allow_it(part: bytes, words: str) -> None:
    lock = world().raw_lock(("2.5.29.35", False, der.sequence(part)), drop=("2.5.29.35",))
    refused = world().judge(lock, LAX).failure
    assert refused is not None
    assert (refused.reason, words in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)


def test_a_signature_algorithm_of_another_kind_than_the_cas_key_is_told() -> None:
    refused = world("SM2").judge(world("SM2").raw_lock(algorithm=pki.ECDSA_WITH_SHA256)).failure
    assert refused is not None
    assert (refused.reason, "the CA's key is SM2" in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)


def test_sm2_signatures_with_the_empty_signer_id_are_told() -> None:
    here = world("SM2")
    lock = here.ca.issue(
        pki.name("x"), key("SM2").spki_der, not_before=START, not_after=END, signer_id=b"", extensions=lock_extensions(here.ca)
    )
    refused = judged(lock, here.ca, here.root, policy=Policy()).failure
    assert refused is not None
    assert (refused.reason, "empty SM2 signer ID" in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)
    crl = here.ca.crl(this_update=AT - HOUR, next_update=AT + HOUR)
    tbs = crl[slice(*reader.whole(crl))]
    crls = [here.crls()[0], pki.signed(tbs[: reader.element(tbs, 0, len(tbs))[2]], here.ca.key, signer_id=b"")]
    refused = judged(here.lock(), here.ca, here.root, crls=crls, policy=Policy()).failure
    assert refused is not None
    assert (refused.reason, "empty SM2 signer ID" in refused.detail) == (Reason.REVOCATION_UNTRUSTED, True)


CERTIFICATE_SIGN = pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)


NOT_CAS = [
    ([pki.key_usage("key_cert_sign")], "it has no basicConstraints"),
    ([pki.extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)], "cA FALSE"),
    ([CERTIFICATE_SIGN, pki.key_usage("crl_sign")], "keyUsage is without keyCertSign"),
]


@pytest.mark.parametrize(("extensions", "words"), NOT_CAS)
def test_why_an_issuer_may_not_issue_is_told(extensions: list[pki.Extension], words: str) -> None:
    here = world()
    key_ids = [item for item in pki.ca_extensions(here.ca.key, issuer=here.root.key) if item[0] in ("2.5.29.14", "2.5.29.35")]
    spki = here.ca.key.spki_der
    made = here.root.issue(here.ca.subject, spki, not_before=START, not_after=END, extensions=[*extensions, *key_ids])
    ca = pki.Authority(here.ca.key, here.ca.subject, made, ())
    refused = judged(here.lock(), ca, here.root, policy=LAX).failure
    assert refused is not None
    assert (refused.reason, words in refused.detail) == (Reason.PATH_INVALID, True)


def test_a_ca_without_an_anchor_above_it_is_told_apart_from_an_unknown_key() -> None:
    here = world()
    strange = pki.make_root("strange root", "EC", key("EC", "strange"), not_before=START, not_after=END)
    refused = judged(here.lock(), here.ca, strange, policy=Policy()).failure
    assert refused is not None
    assert (refused.reason, "no trust anchor stands above" in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)


# --- refusals by a rule of the provider name the rule


BY_RULES = [
    (Policy(algorithms=("RSA",)), "algorithms"),
    (Policy(max_depth=2), "max_depth"),
    (Policy(require_explicit_policy=True), "require_explicit_policy"),
    (Policy(required_policies=("1.2.3",)), "required_policies"),
    (Policy(curves=("secp384r1",)), "curves"),
    (Policy(ekus=("1.3.6.1.5.5.7.3.1",)), "ekus"),
    (replace(Policy(), identity=replace(Policy().identity, holder=(), holder_required=True)), "holder_required"),
]


@pytest.mark.parametrize(("policy", "rule"), BY_RULES)
def test_a_refusal_by_a_rule_names_the_rule(policy: Policy, rule: str) -> None:
    refused = world().judge(world().lock(), replace(policy, revocation=RevocationRules(mode="off"))).failure
    assert refused is not None
    assert refused.detail.endswith(f"(by the rule {rule})")


# --- forms of keys and serial numbers that stay refused, in words


@pytest.mark.parametrize(
    ("serial", "words"),
    [(-5, "not positive"), (0, "not positive"), (1 << 159, "more than 20 octets"), (1 << 167, "more than 20 octets")],
)
def test_l18_serial_numbers_that_are_not_unsigned_numbers_of_20_octets(serial: int, words: str) -> None:
    refused = world().judge(world().lock(serial=serial)).failure
    assert refused is not None
    assert (refused.reason, words in refused.detail) == (Reason.CERTIFICATE_SERIAL, True)


@pytest.mark.parametrize("kind", ["SM2", "EC"])
@pytest.mark.parametrize("form", ["compressed", "hybrid"])
def test_l18_a_point_in_another_form_is_refused_as_one(kind: str, form: str) -> None:
    """Or one key would have two hashes, by which locks and CAs are known."""
    spki = key(kind).spki_der
    point = spki[-65:]
    algorithm = reader.children(spki, *reader.whole(spki))[0]
    odd = point[-1] & 1
    written = bytes([2 + odd]) + point[1:33] if form == "compressed" else bytes([6 + odd]) + point[1:]
    other = der.sequence(spki[algorithm[1] : algorithm[3]], der.bits(written))
    refused = world(kind).judge(world(kind).lock(key=other)).failure
    assert refused is not None
    assert (refused.reason, form in refused.detail) == (Reason.KEY_WEAK, True)


def test_l18_an_sm2_key_that_names_the_curve_as_its_algorithm_is_told_what_is_wanted() -> None:
    spki = der.sequence(der.sequence(der.oid("1.2.156.10197.1.301")), der.bits(key("SM2").spki_der[-65:]))
    refused = world("SM2").judge(world("SM2").lock(key=spki)).failure
    assert refused is not None
    assert refused.reason is Reason.KEY_NOT_ALLOWED
    assert "1.2.840.10045.2.1" in refused.detail


def test_a_key_without_a_curve_is_no_key_with_explicit_parameters() -> None:
    spki = der.sequence(der.sequence(der.oid("1.2.840.10045.2.1"), der.tlv(0x05)), der.bits(key("SM2").spki_der[-65:]))
    refused = world("SM2").judge(world("SM2").lock(key=spki)).failure
    assert refused is not None
    assert (refused.reason, refused.detail) == (Reason.KEY_NOT_ALLOWED, "the key names no curve")


def test_an_authority_key_identifier_by_issuer_and_serial_alone_is_told_as_one() -> None:
    parts = der.tlv(0xA1, der.tlv(0xA4, world().root.subject)), der.tlv(0x82, b"\x63")
    refused = world().judge(world().raw_lock(("2.5.29.35", False, der.sequence(*parts)), drop=("2.5.29.35",))).failure
    assert refused is not None
    assert (refused.reason, "that names the key" in refused.detail) == (Reason.CERTIFICATE_EXTENSION, True)


def test_l22_an_rsa_key_for_pss_alone_is_refused() -> None:
    spki = key("RSA").spki_der
    bits = reader.children(spki, *reader.whole(spki))[1]
    other = der.sequence(der.sequence(der.oid("1.2.840.113549.1.1.10")), spki[bits[1] : bits[3]])
    refused = world().judge(world().lock(key=other)).failure
    assert refused is not None
    assert (refused.reason, "RSASSA-PSS" in refused.detail) == (Reason.KEY_NOT_ALLOWED, True)
    for algorithm in ("RS256", "PS256"):
        with pytest.raises(Refusal):  # also without the gate
            signatures.verify(other, algorithm, b"m", key("RSA").sign(b"m"))
