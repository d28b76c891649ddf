"""What stands beside the name of a signature algorithm: one rule for locks, CA certificates and CRLs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from worlds.core_trust import AT, DATES, world
from worlds.field_certificates import DAY, HOUR, judged

from calock.core.der import reader
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.verdict import Verdict
from calock.demo import der, pki

OIDS = {"SM2": "1.2.156.10197.1.501", "EC": "1.2.840.10045.4.3.2", "RSA": "1.2.840.113549.1.1.11"}
NULL = der.tlv(0x05)
ODD = {
    "the curve": der.oid("1.2.156.10197.1.301"),
    "a SEQUENCE": der.sequence(),
    "a NULL that holds something": der.tlv(0x05, b"x"),
    "an OID without an arc": der.tlv(0x06),
    "an OID that does not end": der.tlv(0x06, b"\x81"),
}
PLACES = ("lock", "ca", "crl")
Sign = Callable[[pki.Key, bytes], bytes]


def signed(tbs: bytes, algorithm: bytes, by: pki.Key, sign: Sign) -> bytes:
    return der.sequence(tbs, algorithm, der.bits(sign(by, tbs)))


def resigned(certificate: bytes, algorithm: bytes, by: pki.Key, sign: Sign) -> bytes:
    outer = certificate[slice(*reader.whole(certificate))]
    return signed(outer[: reader.element(outer, 0, len(outer))[2]], algorithm, by, sign)


def verdict(kind: str, place: str, algorithm: bytes, sign: Sign = pki.Key.sign) -> Verdict:
    """The verdict on a lock where ``place`` alone carries this AlgorithmIdentifier."""
    here = world(kind)
    ca, lock, crls = here.ca, here.lock(), here.crls()
    if place == "lock":
        lock = resigned(here.raw_lock(algorithm=algorithm, serial=4242), algorithm, ca.key, sign)
    elif place == "ca":
        extensions = pki.ca_extensions(ca.key, issuer=here.root.key, path_length=0)
        other = here.root.issue(ca.subject, ca.key.spki_der, **DATES, extensions=extensions, algorithm=algorithm)
        ca = replace(ca, certificate=resigned(other, algorithm, here.root.key, sign))
    else:
        tbs = der.sequence(der.integer(1), algorithm, ca.subject, der.time(AT - HOUR), der.time(AT + DAY))
        crls = [crls[0], signed(tbs, algorithm, ca.key, sign)]
    return judged(lock, ca, here.root, crls=crls, policy=Policy())


def accepted(kind: str, place: str, algorithm: bytes, sign: Sign = pki.Key.sign) -> bool:
    try:
        return verdict(kind, place, algorithm, sign).reason is None
    except Refusal:  # a CA certificate that cannot be read is not recorded
        return False


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", OIDS)
def test_no_parameters_and_null_are_one_and_every_other_is_refused(kind: str, place: str) -> None:
    for parameters in (b"", NULL):
        assert accepted(kind, place, der.sequence(der.oid(OIDS[kind]), parameters))
    for name, parameters in ODD.items():
        assert not accepted(kind, place, der.sequence(der.oid(OIDS[kind]), parameters)), name


def test_a_lock_whose_sm2_signature_has_parameters_is_refused_in_words() -> None:
    failure = verdict("SM2", "lock", der.sequence(der.oid(OIDS["SM2"]), ODD["the curve"])).failure
    assert failure is not None
    assert (failure.reason, failure.detail) == ("CERTIFICATE_SIGNATURE_ALGORITHM", "SM2 signature with parameters")


SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), NULL)
SHA384 = der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), NULL)
SHA1 = der.sequence(der.oid("1.3.14.3.2.26"), NULL)


def mgf(digest: bytes) -> bytes:
    return der.sequence(der.oid("1.2.840.113549.1.1.8"), digest)


def pss(*fields: bytes, digest: bytes = SHA256, generator: bytes = mgf(SHA256)) -> bytes:
    """The AlgorithmIdentifier, with ``fields`` behind the hash and the mask generator."""
    parameters = der.sequence(der.tlv(0xA0, digest), der.tlv(0xA1, generator), *fields)
    return der.sequence(der.oid("1.2.840.113549.1.1.10"), parameters)


def salted(octets: int) -> Sign:
    def sign(by: pki.Key, tbs: bytes) -> bytes:
        private = serialization.load_der_private_key(by.private_pkcs8, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(private, rsa.RSAPrivateKey)
        return private.sign(tbs, padding.PSS(padding.MGF1(hashes.SHA256()), octets), hashes.SHA256())

    return sign


SALT = der.tlv(0xA2, der.integer(32))
TRAILER = der.tlv(0xA3, der.integer(1))


@pytest.mark.parametrize("place", PLACES)
def test_a_pss_trailer_field_of_1_counts_written_or_left_out(place: str) -> None:
    """RFC 4055 clause 3.1: who verifies must recognise both."""
    assert accepted("RSA", place, pss(SALT), salted(32))
    assert accepted("RSA", place, pss(SALT, TRAILER), salted(32))
    assert accepted("RSA", place, pss(TRAILER), salted(20))
    assert not accepted("RSA", place, pss(SALT, TRAILER), salted(31))


@pytest.mark.parametrize("place", PLACES)
def test_any_other_pss_parameters_are_refused(place: str) -> None:
    """A salt of 20 is left out in DER (X.690 clause 11.5), and RFC 4055 asks nobody to recognise it written out."""
    hostile = {
        "another trailer": (pss(SALT, der.tlv(0xA3, der.integer(2))), 32),
        "two trailers": (pss(SALT, TRAILER, TRAILER), 32),
        "a trailer in two octets": (pss(SALT, der.tlv(0xA3, der.tlv(0x02, b"\x00\x01"))), 32),
        "fields in another order": (pss(TRAILER, SALT), 32),
        "a salt of 20 written out": (pss(der.tlv(0xA2, der.integer(20))), 20),
        "another salt than was taken": (pss(der.tlv(0xA2, der.integer(21))), 32),
        "a negative salt": (pss(der.tlv(0xA2, der.integer(-1))), 32),
        "a salt beyond every key": (pss(der.tlv(0xA2, der.integer(2**62))), 32),
        "a mask of another hash": (pss(SALT, generator=mgf(SHA384)), 32),
        "another hash than was taken": (pss(SALT, digest=SHA384, generator=mgf(SHA384)), 32),
        "SHA-1 written out": (pss(SALT, digest=SHA1, generator=mgf(SHA1)), 32),
        "SHA-1 by leaving everything out": (der.sequence(der.oid("1.2.840.113549.1.1.10"), der.sequence()), 20),
        "no parameters": (der.sequence(der.oid("1.2.840.113549.1.1.10")), 32),
        "NULL": (der.sequence(der.oid("1.2.840.113549.1.1.10"), NULL), 32),
    }
    for name, (algorithm, octets) in hostile.items():
        assert not accepted("RSA", place, algorithm, salted(octets)), name
