"""Whether a key object of ``cryptography`` is an RSA or an EC key.

The key classes are abstract, and ``isinstance`` with an abstract class is slow (eleven calls in one login). There are few concrete
types, so the answer for each is kept.
"""

from __future__ import annotations

from typing import TypeGuard

from cryptography.hazmat.primitives.asymmetric import ec, rsa

_kinds: dict[type, str] = {}


def _kind_of(key: object) -> str:
    kind = _kinds.get(type(key))
    if kind is None:
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC" if isinstance(key, ec.EllipticCurvePublicKey) else ""
        _kinds[type(key)] = kind
    return kind


def is_rsa(key: object) -> TypeGuard[rsa.RSAPublicKey]:
    return _kind_of(key) == "RSA"


def is_ec(key: object) -> TypeGuard[ec.EllipticCurvePublicKey]:
    return _kind_of(key) == "EC"
