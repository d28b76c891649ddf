"""Lock certificates at rest: they hold their holder's 身份证号 in clear, so the database keeps them encrypted.

AES-256-GCM with a key derived from the server's secret, which is named before the nonce; the certificate's SHA-256 is authenticated
along, so that a sealed certificate put into another row does not open. A copy of the database without the secret holds no 身份证号.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from calock.core.refusals import Reason, Refusal
from calock.server.tools.keys import ID_LENGTH, ring

_FORM = b"\x02"
"""First octet of what is sealed; DER begins with 0x30. Another way to seal gets another octet."""
_FORMER_FORM = b"\x01"
"""It names no key: any of the ring may have sealed it."""
_NONCE = 12


def seal(der: bytes, cert_sha256: str) -> bytes:
    """``der`` as the database keeps it: form, id of the key, nonce, ciphertext with tag."""
    nonce = secrets.token_bytes(_NONCE)
    return newest_prefix() + nonce + AESGCM(ring("certificates")[0].octets).encrypt(nonce, der, cert_sha256.encode())


def newest_prefix() -> bytes:
    """How everything begins that the newest key sealed."""
    return _FORM + ring("certificates")[0].id.encode()


def unseal(sealed: bytes, cert_sha256: str) -> bytes:
    """The certificate's DER again.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE when it was changed, belongs to another row, or was sealed under another secret.
    """
    form, rest = sealed[:1], sealed[1:]
    if form not in (_FORM, _FORMER_FORM):
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, "the stored certificate is not sealed")
    keys = ring("certificates")
    if form == _FORM:
        named, rest = rest[:ID_LENGTH], rest[ID_LENGTH:]
        keys = tuple(key for key in keys if key.id.encode() == named)
    nonce, text = rest[:_NONCE], rest[_NONCE:]
    for key in keys:
        try:
            return AESGCM(key.octets).decrypt(nonce, text, cert_sha256.encode())
        except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
            continue
    raise Refusal(Reason.CERTIFICATE_UNPARSABLE, "the stored certificate does not open: changed, or another secret")
