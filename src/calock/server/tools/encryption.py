"""Octets that a table keeps encrypted: AES-256-GCM with a key derived from the server's secret, which is named before the nonce.

``about`` is authenticated along, so that what was taken out of one row does not open in another.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from calock.server.tools.keys import ID_LENGTH, Purpose, ring

_FORM = b"\x02"
"""First octet of what is encrypted; DER begins with 0x30. Another way to encrypt gets another octet."""
_FORMER_FORM = b"\x01"
"""It names no key: any of the ring may have made it."""
_NONCE = 12


class NotOpenedError(ValueError):
    """Changed, of another row, or encrypted under a secret that is not in the ring."""


def encrypt(octets: bytes, purpose: Purpose, about: str) -> bytes:
    """Form, id of the key, nonce, ciphertext with tag."""
    nonce = secrets.token_bytes(_NONCE)
    return newest_prefix(purpose) + nonce + AESGCM(ring(purpose)[0].octets).encrypt(nonce, octets, about.encode())


def newest_prefix(purpose: Purpose) -> bytes:
    """How everything begins that the newest key encrypted."""
    return _FORM + ring(purpose)[0].id.encode()


def decrypt(encrypted: bytes, purpose: Purpose, about: str) -> bytes:
    """The octets again.

    Raises:
        NotOpenedError: it does not open.
    """
    form, rest = encrypted[:1], encrypted[1:]
    if form not in (_FORM, _FORMER_FORM):
        raise NotOpenedError("not encrypted")
    keys = ring(purpose)
    if form == _FORM:
        named, rest = rest[:ID_LENGTH], rest[ID_LENGTH:]
        keys = tuple(key for key in keys if key.id.encode() == named)
    nonce, text = rest[:_NONCE], rest[_NONCE:]
    for key in keys:
        try:
            return AESGCM(key.octets).decrypt(nonce, text, about.encode())
        except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
            continue
    raise NotOpenedError("changed, or encrypted under another secret")
