"""Certificates, CRLs and OCSP answers as CAs in the field write them: what is read, what a rule allows, what stays refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from worlds.core_trust import AT, END, START, answer, key, world
from worlds.responses import ocsp_answer, ocsp_responder
from worlds.signatures import fixed, padded, raw, resigned

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.certificates.signature_encoding import read_dss_signature
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.der import names, reader
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.core.verdict import Verdict
from calock.demo import der, pki

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOLERANT = Policy(signature_encoding="tolerant")
LAX = Policy(strict_extensions=False)
CN, ORGANISATION = "2.5.4.3", "2.5.4.10"
PRINTABLE, T61, UTF8, IA5, NUMERIC = 0x13, 0x14, 0x0C, 0x16, 0x12


def name(*attributes: tuple[str, int, bytes]) -> bytes:
    """A Name of attributes (OID, tag of the string type, octets)."""
    return der.sequence(*(der.set_of(der.sequence(der.oid(oid), der.tlv(tag, octets))) for oid, tag, octets in attributes))


def with_tbs(certificate: bytes, old: bytes, new: bytes, signer: pki.Key) -> bytes:
    """A certificate or CRL in which one element is written otherwise, signed anew by ``signer``."""
    outer = certificate[slice(*reader.whole(certificate))]
    tbs = outer[: reader.element(outer, 0, len(outer))[2]]
    assert tbs.count(old) == 1
    return pki.signed(rewritten(tbs, old, new), signer)


def rewritten(element: bytes, old: bytes, new: bytes) -> bytes:
    """DER in which one inner element is replaced, with the lengths around it corrected."""
    if element == old:
        return new
    if not element[0] & 0x20 and element[0] != 0x04:
        return element
    contents = element[slice(*reader.whole(element, element[0]))]
    if old not in contents:
        return element
    parts = [contents[begin:end] for _, begin, _, end in reader.children(contents, 0, len(contents))]
    return der.tlv(element[0], *(rewritten(part, old, new) for part in parts))


def lock_extensions(ca: pki.Authority) -> list[pki.Extension]:
    key_id = pki.extension(x509.AuthorityKeyIdentifier(ca.key.key_id, None, None))
    return [pki.key_usage("digital_signature"), key_id]


def named_authority(kind: str, subject: bytes) -> pki.Authority:
    """A CA below the practice root, with any name."""
    here = world(kind)
    own = key(kind, "named ca")
    extensions = pki.ca_extensions(own, issuer=here.root.key, path_length=0)
    certificate = here.root.issue(subject, own.spki_der, not_before=START, not_after=END, extensions=extensions)
    return pki.Authority(own, subject, certificate, (certificate, *here.root.chain))


def judged(
    lock: bytes, ca: pki.Authority, root: pki.Authority, *, crls: Sequence[bytes] = (), ocsp: Sequence[bytes] = (), policy: Policy
) -> Verdict:
    """The verdict on a lock; without evidence revocation is not asked about."""
    rules = policy if crls or ocsp else replace(policy, revocation=RevocationRules(mode="off"))
    cas = (CaCertificate.of(root.certificate, anchor=True), CaCertificate.of(ca.certificate))
    parsed = [Certificate.parse(item.certificate) for item in (root, ca)]
    evidence = InMemoryEvidence(crls, ocsp, anchors=parsed[:1], others=parsed[1:], policy=rules, at=AT)
    register = Register([ProviderTrust("p", cas, rules)])
    return verify_certificate(lock, VerificationInputs(register, AT, evidence))


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


@pytest.mark.parametrize("value", [b"\x01", b"\x7f", b"", b"\xff\xff"])
def test_l07_a_boolean_that_is_neither_true_nor_false_stays_refused(value: bytes) -> None:
    lock = world().lock()
    plain, _ = extension_parts(lock, "2.5.29.35")
    body = plain[slice(*reader.whole(plain))]
    cut = reader.element(body, 0, len(body))[2]
    other = der.sequence(body[:cut], der.tlv(0x01, value), body[cut:])
    assert world().judge(with_tbs(lock, plain, other, world().ca.key)).reason is Reason.CERTIFICATE_UNPARSABLE


# --- signatures that are not DER


FORMS = {"leading zero": padded, "fixed octets": fixed, "raw": raw}


def damaged(item: bytes) -> bytes:
    return item[:-1] + bytes([item[-1] ^ 1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["SM2", "EC"])
def test_l05_a_lock_whose_signature_is_not_der_is_refused_in_words_and_taken_by_rule(kind: str, form: str) -> None:
    here = world(kind)
    lock = resigned(here.lock(), FORMS[form], until_written_otherwise=here.ca.key)
    refused = here.judge(lock).failure
    assert refused is not None
    assert refused.reason is Reason.CERTIFICATE_UNTRUSTED
    assert "is not DER" in refused.detail
    assert "signature_encoding" in refused.detail
    taken = here.judge(lock, TOLERANT)
    assert taken.reason is None
    assert taken.certificate is not None
    assert taken.certificate.der == lock
    assert here.verify_token(answer(lock, key(kind)), TOLERANT).reason is None
    wrong = here.judge(damaged(lock), TOLERANT).failure
    assert wrong is not None
    assert wrong.reason is Reason.CERTIFICATE_UNTRUSTED
    assert "DER" not in wrong.detail


@pytest.mark.parametrize(("kind", "form", "what"), list(product(["SM2", "EC"], FORMS, ["ca", "crl", "ocsp", "ocsp signer"])))
def test_l05_the_rule_holds_for_ca_certificates_crls_ocsp_answers_and_their_signers(kind: str, form: str, what: str) -> None:
    here = world(kind)
    write, times = FORMS[form], {"this_update": AT - HOUR / 12, "next_update": AT + HOUR}
    ca, lock, crls, ocsp = here.ca, here.lock(), here.crls(), []
    if what == "ca":
        ca = replace(ca, certificate=resigned(ca.certificate, write, until_written_otherwise=here.root.key))
    elif what == "crl":
        crls = [crls[0], resigned(crls[1], write, until_written_otherwise=ca.key)]
    else:
        crls = crls[:1]
        signer = ocsp_responder(ca, not_before=AT - DAY, not_after=AT + DAY)
        if what == "ocsp signer":
            signer = replace(signer, certificate=resigned(signer.certificate, write, until_written_otherwise=ca.key))
        ocsp = [ocsp_answer(ca, 4242, **times, responder=signer)]
        if what == "ocsp":
            ocsp = [ocsp_resigned(ocsp[0], write, signer.key)]
    strict = judged(lock, ca, here.root, crls=crls, ocsp=ocsp, policy=Policy())
    assert strict.failure is not None
    assert strict.reason is (Reason.CERTIFICATE_UNTRUSTED if what == "ca" else Reason.REVOCATION_UNTRUSTED)
    assert "is not DER" in strict.failure.detail
    assert judged(lock, ca, here.root, crls=crls, ocsp=ocsp, policy=TOLERANT).reason is None


def ocsp_resigned(response: bytes, write: object, signer: pki.Key) -> bytes:
    """An OCSP response whose BasicOCSPResponse has its signature in another encoding."""
    start, stop = reader.whole(response)
    tagged = reader.children(response, start, stop)[1]
    inner = reader.children(response, *reader.only(response, tagged[2], tagged[3], reader.SEQUENCE))[1]
    basic = response[inner[2] : inner[3]]
    first, last = reader.whole(basic)
    parts = [basic[begin:end] for _, begin, _, end in reader.children(basic, first, last)]
    while True:
        signature = signer.sign(parts[0])
        other = write(signature)  # type: ignore[operator]
        if other != signature:
            break
    again = der.sequence(parts[0], parts[1], der.bits(other), *parts[3:])
    return der.sequence(der.enumerated(0), der.tlv(0xA0, der.sequence(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(again))))


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_l05_every_form_is_read_as_the_numbers_that_were_signed(r: int, s: int) -> None:
    der_form = encode_dss_signature(r, s)
    for written in (der_form, fixed(der_form), fixed(der_form, stray=True), padded(der_form), raw(der_form)):
        read = read_dss_signature(written)
        assert read is not None
        assert read.der == der_form
        assert bool(read.fault) is (written != der_form)


R = bytes([0x7F, *range(31)])
OTHER_FORMS = {
    "empty": b"",
    "a stray octet though nothing is missing": der.sequence(der.tlv(2, R), der.tlv(2, R)) + b"\x00",
    "two stray octets": der.sequence(der.tlv(2, b"\x80" + R[1:]), der.tlv(2, R)) + b"\x00\x00",
    "three numbers": der.sequence(*[der.tlv(2, R)] * 3),
    "one number": der.sequence(der.tlv(2, R)),
    "an empty number": der.sequence(der.tlv(2), der.tlv(2, R)),
    "a SET": der.tlv(0x31, der.tlv(2, R), der.tlv(2, R)),
    "OCTET STRINGs": der.sequence(der.octets(R), der.octets(R)),
    "a length in BER": b"\x30\x81\x44" + der.tlv(2, R) * 2,
    "indefinite length": b"\x30\x80" + der.tlv(2, R) * 2 + b"\x00\x00",
    "r and s in 33 octets": R + R + b"\x00\x00",
    "an uncompressed point's tag before r and s": b"\x04" + R + R,
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_l05_other_encodings_of_a_signature_are_not_read_under_any_rule(form: str) -> None:
    read = read_dss_signature(OTHER_FORMS[form])
    assert read is None or not read.fault


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


def test_a_signature_algorithm_of_another_kind_than_the_cas_key_is_told() -> None:
    refused = world("SM2").judge(world("SM2").raw_lock(algorithm=pki.ECDSA_WITH_SHA256)).failure
    assert refused is not None
    assert (refused.reason, "the CA's key is SM2" in refused.detail) == (Reason.CERTIFICATE_UNTRUSTED, True)


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
