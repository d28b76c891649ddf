"""Certificates in files as CAs hand them out."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st
from worlds.core_trust import AT, world
from worlds.responses import ocsp_answer

from calock.core.certificates.certificate import Certificate, lowest
from calock.core.der.containers import ContainerError, certificates_in, values_in
from calock.core.refusals import Refusal
from calock.core.revocation.crl import read_crl
from calock.demo import der, pki

LEAF, CA, ROOT = world("EC").lock(), world("EC").ca.certificate, world("EC").root.certificate
SM2_CHAIN = [world("SM2").lock(), world("SM2").ca.certificate, world("SM2").root.certificate]
GM_SIGNED_DATA, PKCS7_SIGNED_DATA = "1.2.156.10197.6.1.4.2.2", "1.2.840.113549.1.7.2"


def signed_data(*certificates: bytes, kind: str = PKCS7_SIGNED_DATA) -> bytes:
    """A certificates-only SignedData (RFC 2315 clause 9.1) in DER."""
    data = "1.2.840.113549.1.7.1" if kind == PKCS7_SIGNED_DATA else "1.2.156.10197.6.1.4.2.1"
    body = der.sequence(
        der.integer(1), der.set_of(), der.sequence(der.oid(data)), der.tlv(0xA0, *certificates), der.set_of()
    )  # fmt: skip
    return der.sequence(der.oid(kind), der.tlv(0xA0, body))


def indefinite(element: bytes) -> bytes:
    """The same SignedData with indefinite lengths outside of the certificates, as Java and BouncyCastle write it."""
    certificates = b"".join([LEAF, CA, ROOT])
    start = element.index(certificates)
    middle = b"\xa0\x80" + certificates + b"\0\0"
    inner = der.integer(1) + der.set_of() + b"\x30\x80" + der.oid("1.2.840.113549.1.7.1") + b"\0\0" + middle + der.set_of()
    assert start
    return b"\x30\x80" + der.oid(PKCS7_SIGNED_DATA) + b"\xa0\x80\x30\x80" + inner + b"\0\0" * 3


def pem(data: bytes, label: str = "CERTIFICATE") -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(data) + f"-----END {label}-----\n".encode()


def parsed(data: bytes) -> set[bytes]:
    return {item.der for item in certificates_in(data)}


CHAIN = signed_data(LEAF, CA, ROOT)
ONE_FILE: dict[str, Callable[[bytes], bytes]] = {
    "DER": bytes,
    "DER with CR LF behind": lambda data: data + b"\r\n",
    "DER with blanks and line ends behind": lambda data: data + b" \t\n\n",
    "PEM": pem,
    "PEM with CR LF": lambda data: pem(data).replace(b"\n", b"\r\n"),
    "PEM in one line": lambda data: b"-----BEGIN CERTIFICATE-----" + base64.b64encode(data) + b"-----END CERTIFICATE-----",
    "PEM with text around it": lambda data: b"subject=CN = x\n\n" + pem(data) + b"thank you\n",
    "PEM behind a byte order mark": lambda data: b"\xef\xbb\xbf" + pem(data),
    "PEM in UTF-16": lambda data: pem(data).decode().encode("utf-16"),
    "X509 PEM": lambda data: pem(data, "X509 CERTIFICATE"),
    "bare base64": base64.b64encode,
    "bare base64 in lines": base64.encodebytes,
    "bare base64 in lines of CR LF": lambda data: base64.encodebytes(data).replace(b"\n", b"\r\n"),
    "bare base64 behind an empty line": lambda data: b"\r\n" + base64.encodebytes(data),
    "bare base64 without padding": lambda data: base64.b64encode(data).rstrip(b"="),
    "bare base64 as a program printed it": lambda data: b'"' + base64.encodebytes(data).replace(b"\n", b"\\r\\n") + b'"',
    "bare base64 in UTF-16 without a mark": lambda data: base64.encodebytes(data).decode().encode("utf-16-le"),
    "PEM in UTF-16 without a mark": lambda data: pem(data).decode().encode("utf-16-le"),
    "PEM without padding": lambda data: pem(data).replace(b"=", b""),
    "PEM as JSON has it": lambda data: pem(data).replace(b"\n", b"\\n"),
    "PEM in big-endian UTF-16 without a mark": lambda data: pem(data).decode().encode("utf-16-be"),
    "PEM as a page shows it": lambda data: pem(data).replace(b"\n", b"\xc2\xa0\n"),
    "bare base64 as it is copied out of a page": lambda data: (
        b"\xe2\x80\x8b" + base64.encodebytes(data).replace(b"\n", b"\xe3\x80\x80")
    ),
    "PEM as JSON of PHP has it": lambda data: pem(data).replace(b"/", b"\\/").replace(b"\n", b"\\n"),
    "bare base64 as JSON of .NET and Gson has it": lambda data: (
        base64.b64encode(data).replace(b"+", b"\\u002B").replace(b"=", b"\\u003d")
    ),
    "bare base64 as XML of Java has it": lambda data: base64.encodebytes(data).replace(b"\n", b"&#13;\n"),
    "hexadecimal": lambda data: data.hex().upper().encode() + b"\r\n",
    "hexadecimal in pairs": lambda data: data.hex(":").encode(),
    "DER behind an empty line": lambda data: b"\r\n" + data,
    "PKCS#7": signed_data,
    "PKCS#7 with a line end behind": lambda data: signed_data(data) + b"\n",
    "PKCS#7 of GM/T 0010": lambda data: signed_data(data, kind=GM_SIGNED_DATA),
    "PKCS#7 in PEM": lambda data: pem(signed_data(data), "PKCS7"),
    "CMS in PEM": lambda data: pem(signed_data(data), "CMS"),
    "PKCS#7 under the wrong label": lambda data: pem(signed_data(data)),
    "PKCS#7 as a chain in PEM": lambda data: pem(signed_data(data), "CERTIFICATE CHAIN"),
    "PKCS#7 in bare base64": lambda data: base64.encodebytes(signed_data(data)),
}


@pytest.mark.parametrize("form", ONE_FILE)
@pytest.mark.parametrize("certificate", [LEAF, SM2_CHAIN[0]], ids=["P-256", "SM2"])
def test_l15_a_certificate_is_read_from_a_file_as_people_have_it(form: str, certificate: bytes) -> None:
    assert [item.der for item in certificates_in(ONE_FILE[form](certificate))] == [certificate]


@pytest.mark.parametrize("between", [b"", b"\r\n\r\n"])
@pytest.mark.parametrize("form", [base64.encodebytes, base64.b64encode])
def test_l15_certificates_in_base64_one_after_the_other_are_read(form: Callable[[bytes], bytes], between: bytes) -> None:
    assert [item.der for item in certificates_in(between.join(map(form, SM2_CHAIN)))] == SM2_CHAIN


def test_l15_a_chain_of_another_program_is_read() -> None:
    made = [x509.load_der_x509_certificate(item) for item in (LEAF, CA, ROOT)]
    for encoding in (Encoding.DER, Encoding.PEM):
        assert parsed(pkcs7.serialize_certificates(made, encoding)) == {LEAF, CA, ROOT}


def test_l15_a_chain_with_indefinite_lengths_is_read() -> None:
    assert parsed(indefinite(CHAIN)) == {LEAF, CA, ROOT}


def test_l15_the_end_of_a_chain_is_found_whatever_its_order() -> None:
    for chain in (SM2_CHAIN, SM2_CHAIN[::-1]):
        found = [Certificate.parse(item.der) for item in certificates_in(signed_data(*chain))]
        assert [item.der for item in lowest(found)] == [SM2_CHAIN[0]]


@pytest.mark.parametrize("behind", [b"\0", b"x", b"\n\0", LEAF, b"-----BEGIN CERTIFICATE-----"])
def test_l15_other_octets_behind_a_certificate_stay_a_fault(behind: bytes) -> None:
    (found,) = certificates_in(LEAF + behind)
    assert found.der == LEAF + behind  # and Certificate.parse refuses it


WITHOUT = {
    "is empty": b" \r\n",
    "holds no certificate": b"a letter",
    "is a page of HTML": b"<!DOCTYPE html><title>404</title>",
    "is compressed": gzip.compress(LEAF),
    "is a PKCS#7 container without certificates": signed_data(),
    "is a PKCS#7 container that cannot be read": CHAIN[:40],
    "is a PKCS#12 container": bytes.fromhex("308209a1020103308209"),
    "is a private key": bytes.fromhex("30770201010420"),
    "holds PRIVATE KEY": pem(b"\x30\x00", "PRIVATE KEY"),
    "holds ATTRIBUTE CERTIFICATE": pem(LEAF, "ATTRIBUTE CERTIFICATE"),
    "is a public key": Certificate.parse(LEAF).spki_der,
    "is an OCSP response": ocsp_answer(world("SM2").ca, 1, this_update=AT),
    "holds a certificate without its end": pem(LEAF)[:-30],
}


@pytest.mark.parametrize("words", WITHOUT)
def test_l15_a_file_without_a_certificate_says_what_it_is(words: str) -> None:
    with pytest.raises(ContainerError, match=f"^{words.replace('#', '.')}"):
        certificates_in(WITHOUT[words])


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x30\x80" * 5000,
        b"\x30\x80" + der.oid(PKCS7_SIGNED_DATA) + b"\xa0\x80" * 5000,
        signed_data(*[der.sequence()] * 300),
        b"\x30\x88" + b"\xff" * 8 + der.oid(PKCS7_SIGNED_DATA),
        der.sequence(der.oid(PKCS7_SIGNED_DATA), der.tlv(0xA0)),
        der.sequence(der.oid(PKCS7_SIGNED_DATA), der.tlv(0xA0, b"\x02")),
    ],
)
def test_l15_a_hostile_container_is_refused(hostile: bytes) -> None:
    try:
        assert all(isinstance(item.der, bytes) for item in certificates_in(hostile))
    except ContainerError as error:
        assert str(error)


@given(st.binary(max_size=200), st.integers(0, len(CHAIN) - 1), st.integers(1, 255))
def test_l15_any_octets_are_certificates_or_a_container_error(data: bytes, place: int, change: int) -> None:
    mutant = bytearray(CHAIN)
    mutant[place] ^= change
    for item in (data, bytes(mutant), b"\x30\x80" + data, base64.b64encode(data)):
        try:
            assert certificates_in(item)
        except ContainerError as error:
            assert str(error)


def test_l15_crls_and_ocsp_answers_are_read_from_the_same_forms() -> None:
    crl = world("SM2").crls()[1]
    for form in (bytes, lambda data: data + b"\r\n", lambda data: pem(data, "X509 CRL"), base64.b64encode, base64.encodebytes):
        assert values_in(form(crl), b"X509 CRL") == [crl]
    assert values_in(pem(crl, "X509 CRL") * 2, b"X509 CRL") == [crl, crl]
    assert values_in(crl + b"\0", b"X509 CRL") == [crl + b"\0"]
    assert values_in(pem(crl, "CRL"), b"X509 CRL") == [crl]


def test_l15_crls_are_read_from_pkcs7() -> None:
    crls = [*world("SM2").crls()]
    body = der.sequence(
        der.integer(1), der.set_of(), der.sequence(der.oid("1.2.840.113549.1.7.1")), der.tlv(0xA1, *crls), der.set_of()
    )  # fmt: skip
    container = der.sequence(der.oid(PKCS7_SIGNED_DATA), der.tlv(0xA0, body))
    for form in (container, pem(container, "PKCS7"), base64.encodebytes(container)):
        assert values_in(form, b"X509 CRL") == crls
    assert values_in(CHAIN, b"X509 CRL") == [CHAIN]


REQUEST = der.sequence(der.integer(0), pki.name("x"), Certificate.parse(LEAF).spki_der, der.tlv(0xA0))
OTHERS = {
    "a certificate revocation list": world("SM2").crls()[1],
    "a certificate request": der.sequence(REQUEST, pki.ECDSA_WITH_SHA256, der.bits(b"")),
}


@pytest.mark.parametrize("words", OTHERS)
def test_another_signed_value_in_place_of_a_certificate_is_told(words: str) -> None:
    (found,) = certificates_in(OTHERS[words])
    with pytest.raises(Refusal, match=f"it is {words}, not a certificate"):
        Certificate.parse(found.der)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><title>404</title>", "it is a page of HTML"),
        (gzip.compress(LEAF), "it is compressed"),
        (pem(LEAF), "it is a PEM block CERTIFICATE"),
        (pem(world("SM2").crls()[1], "X509 CRL")[:-40], "it is a PEM block X509 CRL, of another kind or cut off"),
        (pem(LEAF, "X509 CRL").replace(b"M", b"!", 1), "it holds no DER value"),
        (LEAF, "not those of a TBSCertList"),
    ],
)
def test_l15_a_file_without_a_crl_says_what_it_is(file: bytes, words: str) -> None:
    (value,) = values_in(file, b"X509 CRL")
    with pytest.raises(Refusal, match=words):
        read_crl(value)
