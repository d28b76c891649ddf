"""Attack rows A13 to A15: a lock's key and its dates. The first test is the control."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from worlds.core_trust import AT, END, KINDS, START, USCC, answer, key, world

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.demo import der, pki


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
