"""Lock certificates at rest: they hold their holder's 身份证号 in clear, so the database keeps them encrypted.

AES-256-GCM with a key derived from the server's secret; the certificate's SHA-256 is authenticated along, so that a sealed
certificate put into another row does not open. A copy of the database without the secret
holds no 身份证号.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from calock.core.refusals import Reason, Refusal
from calock.server.tools.keys import key_for

_FORM = b"\x01"
"""First octet of what is sealed; DER begins with 0x30. Another way to seal gets another octet."""
_NONCE = 12


def seal(der: bytes, cert_sha256: str) -> bytes:
    """``der`` as the database keeps it: form, nonce, ciphertext with tag."""
    nonce = secrets.token_bytes(_NONCE)
    return _FORM + nonce + AESGCM(key_for("certificates")).encrypt(nonce, der, cert_sha256.encode())


def unseal(sealed: bytes, cert_sha256: str) -> bytes:
    """The certificate's DER again.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE when it was changed, belongs to another row, or was sealed under another secret.
    """
    if not sealed.startswith(_FORM):
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, "the stored certificate is not sealed")
    nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
    try:
        return AESGCM(key_for("certificates")).decrypt(nonce, text, cert_sha256.encode())
    except (InvalidTag, ValueError) as error:  # ValueError: shorter than a nonce
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, "the stored certificate does not open: changed, or another secret") from error
