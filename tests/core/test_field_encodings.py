"""Certificates, CRLs and OCSP answers as CAs in the field write them: what is read, what a rule allows, what stays refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from worlds.core_trust import AT, END, START, answer, key, world
from worlds.field_certificates import (
    CN,
    DAY,
    HOUR,
    IA5,
    LAX,
    NUMERIC,
    ORGANISATION,
    PRINTABLE,
    T61,
    UTF8,
    judged,
    lock_extensions,
    name,
    named_authority,
    with_tbs,
)
from worlds.responses import ocsp_answer, ocsp_responder

from calock.core.certificates.certificate import Certificate
from calock.core.der import names, reader
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason
from calock.demo import der, pki

# --- character strings

SLOPPY = [
    b"051@91140100@zhang_san*1", b"Test & Sons Co., Ltd", b'a#b$c;d!e"f%g<h>i[j]k^l{m}n~o|p`q\\r', "练习持有人".encode(),
    "练习持有人".encode("gb18030"), b"", b"_",
]  # fmt: skip


@pytest.mark.parametrize("kind", ["SM2", "EC"])
@pytest.mark.parametrize("octets", SLOPPY)
@pytest.mark.parametrize("tag", [PRINTABLE, IA5, NUMERIC])
def test_l06_a_string_with_characters_that_its_type_does_not_have_is_read(kind: str, octets: bytes, tag: int) -> None:
    subject = name(("2.5.4.6", PRINTABLE, b"CN"), (ORGANISATION, tag, octets), (CN, tag, octets))
    lock = world(kind).raw_lock(subject=subject)
    assert world(kind).judge(lock).reason is None
    assert world(kind).verify_token(answer(lock, key(kind))).reason is None
    read = Certificate.parse(lock)
    codec = "gb18030" if octets == SLOPPY[4] else "utf-8"
    assert (read.subject_cn, read.subject_o) == (octets.decode(codec),) * 2
    assert read.der == lock


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l06_a_ca_with_such_a_name_is_read_everywhere_that_it_stands(kind: str) -> None:
    """In its own certificate, as issuer of locks, of CRLs and of OCSP signers, and in OCSP answers."""
    root, ca = (
        world(kind).root,
        named_authority(kind, name((ORGANISATION, PRINTABLE, b"CA_1 & 2 @ *"), (CN, PRINTABLE, "练习".encode("gb18030")))),
    )
    lock = ca.issue_lock("x", key(kind), not_before=START, not_after=END, serial=77)
    times = {"this_update": AT - HOUR / 12, "next_update": AT + HOUR}
    crls = [root.crl(**times), ca.crl(**times)]
    answered = [ocsp_answer(ca, 77, **times, responder=ocsp_responder(ca, not_before=START, not_after=START + 600 * DAY))]
    revoked = [root.crl(**times), ca.crl([(77, AT, None)], **times)]
    assert judged(lock, ca, root, crls=crls, policy=Policy()).reason is None
    assert (
        judged(lock, ca, root, crls=crls[:1], ocsp=answered, policy=Policy(revocation=RevocationRules(nocheck_max_days=900))).reason
        is None
    )
    assert judged(lock, ca, root, crls=revoked, policy=Policy()).reason is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_attributes_of_one_rdn_are_read_in_any_order(kind: str) -> None:
    """A SET OF is sorted in DER; its order means nothing, so a CA that writes it otherwise is read, also as a CA's own name."""

    def written(organisation: str) -> bytes:
        pair = der.sequence(der.oid(ORGANISATION), der.utf8(organisation)), der.sequence(der.oid(CN), der.utf8("甲"))
        assert pair[0] > pair[1]
        return der.sequence(der.tlv(0x31, *pair))

    root, ca = world(kind).root, named_authority(kind, written("练习"))
    lock = ca.issue(written("乙"), key(kind).spki_der, not_before=START, not_after=END, serial=77, extensions=lock_extensions(ca))
    times = {"this_update": AT - HOUR / 12, "next_update": AT + HOUR}
    assert judged(lock, ca, root, crls=[root.crl(**times), ca.crl(**times)], policy=Policy()).reason is None
    assert judged(lock, ca, root, crls=[root.crl(**times)], ocsp=[ocsp_answer(ca, 77, **times)], policy=Policy()).reason is None
    assert (Certificate.parse(lock).subject_cn, Certificate.parse(lock).subject_o) == ("甲", "乙")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("太原练习有限公司".encode("gb18030"), "太原练习有限公司"),
        ("太原练习有限公司".encode(), "太原练习有限公司"),
        ("太原".encode("gb2312"), "太原"),  # also well-formed UTF-8, of letters of two alphabets
        ("𠮷㛃".encode("gb18030"), "𠮷㛃"),
        (b"Practice Trading Ltd", "Practice Trading Ltd"),
        ("Müller".encode(), "Müller"),
        ("Café".encode("latin-1"), "Café"),
        (b"\xff\xfe", "ÿþ"),
        (b"", ""),
    ],
)
def test_l10_t61_strings_are_read_as_utf_8_then_gb_18030_then_latin_1(octets: bytes, text: str) -> None:
    lock = world().raw_lock(subject=name((ORGANISATION, T61, octets), (CN, T61, octets)))
    read = Certificate.parse(lock)
    assert (read.subject_cn, read.subject_o) == (text, text)
    assert world().judge(lock).reason is None


def test_l10_a_common_name_stored_as_latin_1_is_still_that_certificates() -> None:
    octets = "太原练习有限公司".encode("gb18030")
    read = Certificate.parse(world().raw_lock(subject=name((CN, T61, octets))))
    assert read.subject_cn_readings == {"太原练习有限公司", names.printable(octets.decode("latin-1"))}
    in_utf8 = Certificate.parse(world().raw_lock(subject=name((CN, UTF8, "太原练习".encode()))))
    assert in_utf8.subject_cn_readings == {"太原练习"}


# --- default values written out

CRITICAL_FALSE = der.boolean(False)


def extension_parts(certificate: bytes, oid: str) -> tuple[bytes, bytes]:
    """(the Extension, the same with ``critical FALSE`` written out)."""
    found = Certificate.parse(certificate).by_oid[oid]
    plain = der.sequence(der.oid(oid), der.octets(found.value))
    return plain, der.sequence(der.oid(oid), CRITICAL_FALSE, der.octets(found.value))


@pytest.mark.parametrize("kind", ["SM2", "EC", "RSA"])
def test_l07_critical_false_written_out_is_read_in_locks_and_ca_certificates(kind: str) -> None:
    here = world(kind)
    lock = here.lock()
    for oid in ("2.5.29.35", "2.5.29.37", "2.5.29.14", pki.USCC_OID):
        lock = with_tbs(lock, *extension_parts(lock, oid), here.ca.key)
    ca = replace(
        here.ca, certificate=with_tbs(here.ca.certificate, *extension_parts(here.ca.certificate, "2.5.29.35"), here.root.key)
    )
    root = replace(
        here.root, certificate=with_tbs(here.root.certificate, *extension_parts(here.root.certificate, "2.5.29.14"), here.root.key)
    )
    verdict = judged(lock, ca, root, crls=here.crls(), policy=Policy())
    assert verdict.reason is None
    assert verdict.identity is not None
    assert verdict.identity.holder_kind == "uscc"
    assert verdict.certificate is not None
    assert verdict.certificate.der == lock


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l07_critical_false_written_out_is_read_in_crls_and_ocsp_answers(kind: str) -> None:
    here = world(kind)
    lock = here.lock()
    times = {"this_update": AT - HOUR / 12, "next_update": AT + HOUR}
    reason = der.sequence(der.oid("2.5.29.21"), der.octets(der.enumerated(1)))
    crl = here.ca.crl([(4242, AT, "keyCompromise")], **times)
    number = der.sequence(der.oid("2.5.29.20"), der.octets(der.integer(1)))
    for plain, value in ((reason, der.enumerated(1)), (number, der.integer(1))):
        oid = der.oid("2.5.29.21" if plain is reason else "2.5.29.20")
        crl = with_tbs(crl, plain, der.sequence(oid, CRITICAL_FALSE, der.octets(value)), here.ca.key)
    verdict = judged(lock, here.ca, here.root, crls=[here.root.crl(**times), crl], policy=Policy())
    assert verdict.reason is Reason.CERTIFICATE_REVOKED
    assert "keyCompromise" in next(check.detail for check in verdict.checks if check.reason)


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l07_an_issuing_distribution_point_may_say_false_in_so_many_words(kind: str) -> None:
    """``onlyContainsCACerts FALSE`` and its siblings (RFC 5280 clause 5.2.5) are defaults, too."""
    here = world(kind)
    flags = der.sequence(*(der.tlv(tag, b"\x00") for tag in (0x81, 0x82, 0x84, 0x85)))
    times = {"this_update": AT - HOUR, "next_update": AT + HOUR}
    crl = here.ca.crl(**times, extra=[("2.5.29.28", True, flags)])
    assert judged(here.lock(), here.ca, here.root, crls=[here.root.crl(**times), crl], policy=Policy()).reason is None
    only_cas = here.ca.crl(**times, extra=[("2.5.29.28", True, der.sequence(der.tlv(0x81, b"\x00"), der.tlv(0x82, b"\xff")))])
    refused = judged(here.lock(), here.ca, here.root, crls=[here.root.crl(**times), only_cas], policy=Policy())
    assert refused.reason in (Reason.REVOCATION_UNTRUSTED, Reason.REVOCATION_UNAVAILABLE)


@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l07_version_1_written_out_is_told_as_that_version(kind: str) -> None:
    """X.509 leaves v1 out; a certificate that says so is readable, and refused for its version."""
    lock = with_tbs(world(kind).lock(), der.tlv(0xA0, der.integer(2)), der.tlv(0xA0, der.integer(0)), world(kind).ca.key)
    assert world(kind).judge(lock).reason is Reason.CERTIFICATE_VERSION
    for version in (2, 4):
        lock = with_tbs(
            world(kind).lock(), der.tlv(0xA0, der.integer(2)), der.tlv(0xA0, der.integer(version - 1)), world(kind).ca.key
        )
        refused = world(kind).judge(lock).failure
        assert refused is not None
        assert refused.detail == f"version {version}; 3 is wanted"


@pytest.mark.parametrize("value", [b"\x01", b"\x7f", b"", b"\xff\xff"])
def test_l07_a_boolean_that_is_neither_true_nor_false_stays_refused(value: bytes) -> None:
    lock = world().lock()
    plain, _ = extension_parts(lock, "2.5.29.35")
    body = plain[slice(*reader.whole(plain))]
    cut = reader.element(body, 0, len(body))[2]
    other = der.sequence(body[:cut], der.tlv(0x01, value), body[cut:])
    assert world().judge(with_tbs(lock, plain, other, world().ca.key)).reason is Reason.CERTIFICATE_UNPARSABLE


@pytest.mark.parametrize(("tag", "contents"), [(UTF8, "练习持有人\0\0".encode()), (0x1E, "\ufeff练习持有人".encode("utf-16-be"))])
def test_what_a_program_leaves_around_a_name_is_not_shown(tag: int, contents: bytes) -> None:
    lock = world().raw_lock(subject=name((CN, tag, contents)))
    assert Certificate.parse(lock).subject_cn == "练习持有人"


@pytest.mark.parametrize(
    "crl_issuer",
    [der.tlv(0xA4, name(*[(CN, UTF8, b"x")] * 65)), der.tlv(0xA4, der.sequence(der.set_of())), der.tlv(0x86, b"http://x/") * 65],
)
def test_a_crl_issuer_that_is_not_read_is_passed_over_as_another_one(crl_issuer: bytes) -> None:
    """OpenSSL reads such a certificate. It is not the certificate's own issuer, whose complete CRL still speaks for it."""
    point = der.sequence(der.tlv(0xA2, crl_issuer))
    lock = world().raw_lock(("2.5.29.31", False, der.sequence(point)))
    assert world().judge(lock).reason is None
    assert world().judge(lock, evidence=world().evidence(world().crls(4243))).reason is Reason.CERTIFICATE_REVOKED


# --- signers of OCSP answers


def test_l14_an_ocsp_signer_without_key_usage_may_sign() -> None:
    """RFC 5280 clause 4.2.1.3: absent restricts nothing. Other usages alone, or no id-kp-OCSPSigning, stay refused."""
    here = world("SM2")
    signing, ocsp_signing = pki.key_usage("digital_signature"), pki.extended_key_usage("1.3.6.1.5.5.7.3.9")
    nocheck = ("1.3.6.1.5.5.7.48.1.5", False, der.tlv(0x05))
    authority_key = pki.extension(x509.AuthorityKeyIdentifier(here.ca.key.key_id, None, None))

    def reason(*extensions: pki.Extension) -> Reason | None:
        own = key("SM2", "ocsp signer")
        dates = {"not_before": AT - DAY, "not_after": AT + DAY}
        made = here.ca.issue(pki.name("r"), own.spki_der, extensions=[authority_key, nocheck, *extensions], **dates)
        signer = pki.Authority(own, pki.name("r"), made, (made, *here.ca.chain))
        answered = ocsp_answer(here.ca, 4242, this_update=AT - HOUR / 12, next_update=AT + HOUR, responder=signer)
        return judged(here.lock(), here.ca, here.root, crls=here.crls()[:1], ocsp=[answered], policy=Policy()).reason

    assert reason(ocsp_signing) is None
    assert reason(signing, ocsp_signing) is None
    assert reason(pki.key_usage("content_commitment"), ocsp_signing) is Reason.REVOCATION_UNTRUSTED
    assert reason(pki.key_usage("key_encipherment"), ocsp_signing) is Reason.REVOCATION_UNTRUSTED
    assert reason(signing) is Reason.REVOCATION_UNTRUSTED
    assert reason() is Reason.REVOCATION_UNTRUSTED


# --- extensions


def test_bits_of_a_key_usage_that_it_counts_as_unused_say_nothing() -> None:
    """X.690 clause 8.6.2, and as OpenSSL reads them: a lock is no CA's for them."""
    everything = ("2.5.29.15", True, der.tlv(0x03, b"\x07\xff"))
    assert world().judge(world().raw_lock(everything, drop=("2.5.29.15",))).reason is None
    nothing = ("2.5.29.15", True, der.tlv(0x03, b"\x06\x3f"))
    refused = world().judge(world().raw_lock(nothing, drop=("2.5.29.15",))).failure
    assert refused is not None
    assert refused.reason is Reason.CERTIFICATE_EXTENSION


@pytest.mark.parametrize(("bits", "reason"), [(b"\x02\x06", Reason.REVOCATION_UNTRUSTED), (b"\x01\x06", None)])
def test_a_ca_may_not_sign_crls_by_a_bit_of_its_key_usage_that_is_unused(bits: bytes, reason: Reason | None) -> None:
    """Both keyCertSign and cRLSign, which is among the unused bits of the first."""
    own = key("EC", "signs by unused bits")
    usage = ("2.5.29.15", True, der.tlv(0x03, bits))
    extensions = [item for item in pki.ca_extensions(own, issuer=world().root.key) if item[0] != "2.5.29.15"]
    made = world().root.issue(pki.name("u"), own.spki_der, not_before=START, not_after=END, extensions=[*extensions, usage])
    ca = pki.Authority(own, pki.name("u"), made, (made, *world().root.chain))
    lock = ca.issue_lock("x", key("EC"), not_before=START, not_after=END)
    times = {"this_update": AT - HOUR, "next_update": AT + HOUR}
    crls = [world().root.crl(**times), ca.crl(**times)]
    assert judged(lock, ca, world().root, crls=crls, policy=Policy()).reason is reason


UNUSUAL_CRITICAL = {
    "authorityKeyIdentifier": "2.5.29.35", "subjectKeyIdentifier": "2.5.29.14", "issuerAltName": "2.5.29.18",
    "authorityInfoAccess": "1.3.6.1.5.5.7.1.1", "freshestCRL": "2.5.29.46",
}  # fmt: skip


def critical_value(oid: str) -> bytes:
    uri = x509.UniformResourceIdentifier("http://ca.example/x")
    point = x509.DistributionPoint([uri], None, None, None)
    values: dict[str, x509.ExtensionType] = {
        "2.5.29.35": x509.AuthorityKeyIdentifier(world().ca.key.key_id, None, None),
        "2.5.29.14": x509.SubjectKeyIdentifier(key("EC").key_id),
        "2.5.29.18": x509.IssuerAlternativeName([uri]),
        "1.3.6.1.5.5.7.1.1": x509.AuthorityInformationAccess(
            [x509.AccessDescription(x509.AuthorityInformationAccessOID.CA_ISSUERS, uri)]
        ),
        "2.5.29.46": x509.FreshestCRL([point]),
    }
    return values[oid].public_bytes()


@pytest.mark.parametrize("oid", UNUSUAL_CRITICAL.values(), ids=UNUSUAL_CRITICAL)
def test_l11_strict_extensions_false_takes_what_it_promises_through_all_steps(oid: str) -> None:
    lock = world().raw_lock((oid, True, critical_value(oid)), drop=(oid,))
    refused = world().judge(lock).failure
    assert refused is not None
    assert refused.reason is Reason.CERTIFICATE_EXTENSION
    assert "strict_extensions" in refused.detail
    assert world().judge(lock, LAX).reason is None
    assert world().verify_token(answer(lock, key("EC")), LAX).reason is None


def test_l11_strict_extensions_false_takes_no_critical_extension_that_nobody_knows() -> None:
    lock = world().raw_lock(("1.2.3.4", True, der.utf8("x")), ("2.5.29.18", True, critical_value("2.5.29.18")))
    refused = world().judge(lock, LAX).failure
    assert refused is not None
    assert (refused.reason, "1.2.3.4" in refused.detail) == (Reason.CERTIFICATE_EXTENSION, True)


def test_l16_a_path_length_beside_ca_false_is_refused_by_a_rule_that_can_be_lifted() -> None:
    constraints = ("2.5.29.19", True, der.sequence(der.integer(0)))
    lock = world().raw_lock(constraints, drop=("2.5.29.19",))
    refused = world().judge(lock).failure
    assert refused is not None
    assert refused.reason is Reason.CERTIFICATE_EXTENSION
    assert "pathLenConstraint" in refused.detail
    assert "strict_extensions" in refused.detail
    assert world().judge(lock, LAX).reason is None


@pytest.mark.parametrize("oid", ["1.3.6.1.4.1.11129.2.4.2", "1.3.6.1.5.5.7.1.3", "2.5.29.9", "2.5.29.16", "2.16.840.1.113730.1.13"])
def test_l16_what_no_step_uses_may_hold_anything(oid: str) -> None:
    """A list of SCTs over SM3, qualified statements, private key usage periods: RFC 5280 clause 4.2."""
    lock = world("SM2").raw_lock((oid, False, b"\xde\xad"))
    assert world("SM2").judge(lock).reason is None


@pytest.mark.parametrize("oid", ["2.16.840.1.113730.1.1", "1.3.6.1.5.5.7.1.7", "1.3.6.1.5.5.7.1.8", "1.3.6.1.5.5.7.1.14"])
def test_l16_an_unreadable_extension_that_openssl_reads_itself_is_named_in_the_refusal(oid: str) -> None:
    refused = world().judge(world().raw_lock((oid, False, b"\xde\xad"))).failure
    assert refused is not None
    assert (refused.reason, oid in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)
