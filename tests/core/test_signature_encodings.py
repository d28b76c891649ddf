"""Signatures that are not DER, in locks, CA certificates, CRLs and OCSP answers: refused in words, or taken by a rule."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from worlds.core_trust import AT, answer, key, world
from worlds.field_certificates import DAY, HOUR, TOLERANT, judged
from worlds.responses import ocsp_answer, ocsp_responder
from worlds.signatures import fixed, padded, raw, resigned

from calock.core.certificates.signature_encoding import read_dss_signature
from calock.core.der import reader
from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.demo import der, pki

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
