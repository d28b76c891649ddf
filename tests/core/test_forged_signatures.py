"""A11 and A12: signatures made by somebody who does the arithmetic himself. Each trick has its right twin, which is accepted."""

from __future__ import annotations

import base64
import hashlib
import secrets
from functools import cache

import pytest
from asn1crypto.keys import PrivateKeyInfo
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from worlds.core_trust import CHALLENGE, ORIGIN, answer, key, world

from calock.core import libcrypto
from calock.core.certificates import signatures
from calock.core.refusals import Reason, Refusal
from calock.demo import der

SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
WITHOUT_NULL = bytes.fromhex("302f300b0609608648016503040201" + "0420")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
SHA512_INFO = bytes.fromhex("3051300d060960864801650304020305000440")
MESSAGE = signatures.signed_message("RS256", ORIGIN, CHALLENGE)
DIGEST = hashlib.sha256(MESSAGE).digest()
SIZE = 256


def padded(tail: bytes, *, start: bytes = b"\x00\x01", fill: int = 0xFF, fewer: int = 0, garbage: bytes = b"") -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017 clause 9.2) of ``tail``, or something near it."""
    count = SIZE - 3 - len(tail) - fewer
    return start + bytes([fill]) * count + b"\x00" + tail + (garbage or bytes(fewer))


@cache
def private() -> rsa.RSAPrivateNumbers:
    loaded = serialization.load_der_private_key(key("RSA").private_pkcs8, None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded.private_numbers()


def powered(block: bytes) -> bytes:
    """What the holder's key makes of any block."""
    return pow(int.from_bytes(block, "big"), private().d, private().public_numbers.n).to_bytes(SIZE, "big")


def reason(signature: bytes, *, kind: str = "RSA", algorithm: str | None = None) -> Reason | None:
    named = {"algorithm": algorithm} if algorithm else {}
    token = answer(world(kind).lock(), key(kind), signature=base64.b64encode(signature).decode(), **named)
    return world(kind).verify_token(token).reason


def test_a11_the_right_block_is_accepted() -> None:
    assert reason(powered(padded(SHA256_INFO + DIGEST))) is None


@pytest.mark.parametrize(
    "block",
    [
        padded(SHA256_INFO + DIGEST, fewer=32),
        padded(SHA256_INFO + DIGEST, fewer=32, garbage=secrets.token_bytes(32)),
        padded(SHA256_INFO + DIGEST, fill=0xFE),
        padded(SHA256_INFO + DIGEST, start=b"\x00\x02"),
        padded(SHA256_INFO + DIGEST, start=b"\x00\x00"),
        padded(WITHOUT_NULL + DIGEST),
        padded(DIGEST),
        padded(SHA1_INFO + hashlib.sha1(MESSAGE).digest()),
        padded(SHA1_INFO + DIGEST[:20]),
        padded(SHA512_INFO + hashlib.sha512(MESSAGE).digest()),
        padded(SHA256_INFO + hashlib.sha256(MESSAGE + b"\x00").digest()),
        padded(der.sequence(SHA256_INFO[2:17], der.octets(DIGEST), der.octets(b"more"))),
    ],
    ids=[
        "zeros after it", "garbage after it", "other filling", "type 2", "type 0", "no parameters", "no DigestInfo", "SHA-1",
        "SHA-1 of half a digest", "SHA-512", "another message", "a third element",
    ],
)  # fmt: skip
def test_a11_any_other_block_is_refused(block: bytes) -> None:
    assert len(block) == SIZE
    assert reason(powered(block)) is Reason.SIGNATURE_INVALID


def pss(salt: int, *, label: int = 0xBC) -> bytes:
    """EMSA-PSS (RFC 8017 clause 9.1.1) with SHA-256, MGF1 over it, and a salt of this many octets."""
    random = secrets.token_bytes(salt)
    inner = hashlib.sha256(bytes(8) + DIGEST + random).digest()
    block = bytes(SIZE - salt - 34) + b"\x01" + random
    mask = b"".join(hashlib.sha256(inner + count.to_bytes(4, "big")).digest() for count in range(-(-len(block) // 32)))
    masked = bytes(one ^ other for one, other in zip(block, mask, strict=False))
    return powered(bytes([masked[0] & 0x7F]) + masked[1:] + inner + bytes([label]))


def test_a11_pss_salts() -> None:
    """PS256 has a salt of 32 octets (RFC 7518 clause 3.5)."""
    assert reason(pss(32), algorithm="PS256") is None
    for trick in (pss(0), pss(20), pss(31), pss(33), pss(222), pss(32, label=0xCC)):
        assert reason(trick, algorithm="PS256") is Reason.SIGNATURE_INVALID


def root(number: int) -> int:
    """The least integer whose cube is not below ``number``."""
    low, high = 0, 1 << -(-number.bit_length() // 3) + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < number else (low, middle)
    return low


def test_a11_a_cube_root_is_no_signature() -> None:
    """Exponent 3 and a verifier that does not look behind the digest: no private key is needed (Bleichenbacher 2006)."""
    loaded = rsa.generate_private_key(3, 2048)
    spki = loaded.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    start = b"\x00\x01" + b"\xff" * 8 + b"\x00" + SHA256_INFO + DIGEST
    forged = root(int.from_bytes(start.ljust(SIZE, b"\x00"), "big"))
    opened = pow(forged, 3, loaded.public_key().public_numbers().n).to_bytes(SIZE, "big")
    assert opened.startswith(start), "a lax verifier would take it"
    with pytest.raises(Refusal, match=Reason.SIGNATURE_INVALID):
        signatures.verify(spki, "RS256", MESSAGE, forged.to_bytes(SIZE, "big"))


# --- SM2 (GB/T 32918.2 clause 6.1, by hand)

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
Point = tuple[int, int] | None


def plus(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % P == 0:
        return None
    if one == other:
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, P)
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, P)
    x = (slope * slope - one[0] - other[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(count: int, point: Point) -> Point:
    result: Point = None
    while count:
        if count & 1:
            result = plus(result, point)
        point, count = plus(point, point), count >> 1
    return result


def sm2_over(digest: bytes) -> bytes:
    """R ‖ s of the practice holder's key over this digest, whatever it is a digest of."""
    d, n = PrivateKeyInfo.load(key("SM2").private_pkcs8)["private_key"].parsed["private_key"].native, libcrypto.N
    e, k = int.from_bytes(digest, "big"), 1 + secrets.randbelow(n - 1)
    point = times(k, G)
    assert point is not None
    r = (e + point[0]) % n
    s = pow(1 + d, -1, n) * (k - r * d) % n
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a12_sm2_is_over_sm3_of_the_signers_identity_and_the_message() -> None:
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)
    right = libcrypto.sm2_digest(key("SM2").spki_der, message)
    assert reason(sm2_over(right), kind="SM2") is None


@pytest.mark.parametrize("outer", [hashlib.sha256, hashlib.sha3_256, lambda data: hashlib.blake2s(data)])  # noqa: PLW0108 - a class
def test_a12_sm2_over_another_outer_hash_is_refused(outer) -> None:
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)
    spki = key("SM2").spki_der
    identity = libcrypto.sm3(len(libcrypto.SIGNER_ID * 8).to_bytes(2, "big") + libcrypto.SIGNER_ID + libcrypto._A_B_G + spki[-64:])
    assert libcrypto.sm3(identity + message) == libcrypto.sm2_digest(spki, message)
    for hashed in (identity + message, message):
        assert reason(sm2_over(outer(hashed).digest()), kind="SM2") is Reason.SIGNATURE_INVALID


def test_a12_sm2_without_the_signers_identity_is_refused() -> None:
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)
    for digest in (libcrypto.sm3(message), message[:32], message[32:]):
        assert reason(sm2_over(digest), kind="SM2") is Reason.SIGNATURE_INVALID
