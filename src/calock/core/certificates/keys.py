"""Strength of public keys. Nothing here is secret, so nothing needs constant time."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from math import isqrt

from cryptography.hazmat.primitives.asymmetric import rsa

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.key_types import is_ec, is_rsa
from calock.core.der.layout import OID_EC_PUBLIC_KEY, OID_RSA_PSS, OID_SM2_CURVE
from calock.core.libcrypto import sm2_public_key_valid
from calock.core.policy import Policy, by_rule
from calock.core.refusals import Reason

FERMAT_ROUNDS = 100
"""The published scans found all weak keys within so many rounds (Böck 2022, CVE-2022-26320)."""

_ROCA_PRIMES = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
    127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


def _powers(prime: int) -> frozenset[int]:
    """The subgroup that 65537 generates modulo ``prime``."""
    found, value = set(), 1
    while value not in found:
        found.add(value)
        value = value * 65537 % prime
    return frozenset(found)


_ROCA = tuple((prime, powers) for prime in _ROCA_PRIMES if len(powers := _powers(prime)) < prime - 1)
_MODULI = (64, 63, 65, 11, 17, 19, 23, 29)
_PERIOD = 64 * 63 * 65 * 11 * 17 * 19 * 23 * 29
_ALL_ROUNDS = (1 << FERMAT_ROUNDS) - 1

Fault = tuple[Reason, str]


def roca_fingerprint(modulus: int) -> bool:
    """Whether a modulus has the shape of CVE-2017-15361 (Infineon RSALib): it and its primes are 65537^k modulo small primes."""
    return all(modulus % prime in powers for prime, powers in _ROCA)


def primes_too_close(modulus: int) -> bool:
    """Whether Fermat's method factors it within :data:`FERMAT_ROUNDS` rounds.

    Round k asks whether (⌈√n⌉ + k)² - n is a square. Residues answer for all rounds at once: hardly any is left to be tried.
    """
    root = isqrt(modulus)
    if root * root == modulus:
        return True
    root += 1
    small_root, small_modulus = root % _PERIOD, modulus % _PERIOD
    rounds = _ALL_ROUNDS
    for m in _MODULI:
        rounds &= _square_rounds(m, small_modulus % m) >> small_root % m
    while rounds:
        number = (rounds & -rounds).bit_length() - 1
        candidate = (root + number) ** 2 - modulus
        if isqrt(candidate) ** 2 == candidate:
            return True
        rounds &= rounds - 1
    return False


@lru_cache(maxsize=sum(_MODULI))
def _square_rounds(m: int, residue: int) -> int:
    """Bit t is set when t² - residue is a square modulo ``m``; for t from 0 up to the last one a round can need."""
    squares = {value * value % m for value in range(m)}
    return sum(1 << t for t in range(m + FERMAT_ROUNDS) if (t * t - residue) % m in squares)


def key_fault(certificate: Certificate, policy: Policy, at: datetime) -> Fault | None:
    """What is wrong with a certificate's key under this policy; None = nothing."""
    algorithm = certificate.algorithm
    if algorithm not in policy.algorithms:
        return Reason.KEY_NOT_ALLOWED, _kind_refused(algorithm)
    if algorithm in ("SM2", "EC") and certificate.point_form:
        return Reason.KEY_WEAK, _point_refused(algorithm, certificate.point_form)
    if algorithm == "SM2":
        return None if sm2_public_key_valid(certificate.spki_der) else (Reason.KEY_WEAK, "not a point of the SM2 curve")
    key = certificate.public_key
    if is_rsa(key):
        return _rsa_fault(key, policy, at)
    if is_ec(key):
        refused = Reason.KEY_NOT_ALLOWED, by_rule(f"curve {key.curve.name} is not allowed", "curves")
        return None if key.curve.name in policy.curves else refused
    return _unreadable(certificate)


def _kind_refused(algorithm: str) -> str:
    """Why a kind of key is not allowed. GM/T 0015 and RFC 5480 write an EC key as id-ecPublicKey, with the curve as parameter."""
    if algorithm == OID_SM2_CURVE:
        return (
            f"the key's algorithm is {algorithm}, the SM2 curve; GM/T 0015 wants {OID_EC_PUBLIC_KEY} with that curve as parameter"
        )
    if algorithm == OID_RSA_PSS:
        return "keys for RSASSA-PSS alone (RFC 4055 clause 1.2) are not allowed"
    return by_rule(f"keys of kind {algorithm} are not allowed", "algorithms")


def _point_refused(algorithm: str, form: str) -> str:
    """One key in two forms would have two hashes, and so two identities."""
    why = "; GM/T 0009 clause 7.1 wants it uncompressed" if algorithm == "SM2" else ": one key would have two hashes"
    return f"the key's point is {form}{why}"


def _small_rsa_rule(bits: int) -> str:
    return "legacy" if 1024 <= bits < 2048 else "rsa_min_bits"


def _unreadable(certificate: Certificate) -> Fault:
    curve = certificate.key_oids[1]
    if certificate.algorithm == "EC" and (curve == "explicit" or not curve):
        return Reason.KEY_NOT_ALLOWED, "explicit curve parameters" if curve else "the key names no curve"
    if certificate.algorithm == "EC":
        return Reason.KEY_WEAK, "no key of an allowed curve: unknown curve or a point outside the curve"
    return Reason.KEY_WEAK, "the key cannot be read"


def _rsa_fault(key: rsa.RSAPublicKey, policy: Policy, at: datetime) -> Fault | None:
    minimum = 1024 if policy.allows_legacy("RSA1024", at) else policy.rsa_min_bits
    if key.key_size < minimum:
        return Reason.KEY_WEAK, by_rule(f"RSA key of {key.key_size} bits; at least {minimum}", _small_rsa_rule(key.key_size))
    if key.key_size > policy.rsa_max_bits:
        return Reason.KEY_NOT_ALLOWED, by_rule(f"RSA key of {key.key_size} bits; at most {policy.rsa_max_bits}", "rsa_max_bits")
    numbers = key.public_numbers()
    if numbers.e < 3 or numbers.e % 2 == 0 or numbers.e.bit_length() > 256:
        return Reason.KEY_WEAK, "RSA public exponent below 3, even, or oversized"
    if numbers.n % 2 == 0 or roca_fingerprint(numbers.n):
        return Reason.KEY_WEAK, "RSA modulus even, or with the ROCA fingerprint (CVE-2017-15361)"
    if primes_too_close(numbers.n):
        return Reason.KEY_WEAK, "RSA primes too close to each other"
    return None
