"""RSA with a SKF lock: vendors differ in what ``SKF_RSASignData`` takes, so each answer is checked before it is used.

The standard's function pads what it is given (PKCS#1 v1.5), so it is given a DigestInfo. Some vendors take the bare digest and
put the DigestInfo around it themselves. The certificate's key tells which one this lock did.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_der_x509_certificate

from calock.agent.backends.base import ToSign
from calock.agent.backends.skf.errors import SkfError
from calock.agent.backends.skf.library import Container, SkfLibrary
from calock.core.refusals import Reason, Refusal

_DIGEST = 32


def sign(library: SkfLibrary, container: Container, certificate: bytes, to_sign: ToSign) -> bytes:
    """Sign with RS256 while the PIN state is open.

    Raises:
        Refusal: LOCK_SIGNATURE_WRONG, nothing the lock made fits its certificate.
        SkfError: the lock refused every form.
    """
    key = _public_key(certificate)
    last: SkfError | None = None
    for data in (to_sign.e, to_sign.e[-_DIGEST:]):
        try:
            signature = library.sign_rsa(container, data)
        except SkfError as error:
            if error.reason is not Reason.MODULE_FAILED:
                raise
            last = error
            continue
        last = None
        if _fits(key, signature, to_sign.message):
            return signature
    if last is not None:
        raise last
    raise Refusal(Reason.LOCK_SIGNATURE_WRONG, "the lock's RSA signature does not fit its certificate")


def _public_key(certificate: bytes) -> RSAPublicKey:
    try:
        key = load_der_x509_certificate(certificate).public_key()
    except ValueError as error:
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, "certificate in the lock") from error
    if not isinstance(key, RSAPublicKey):
        raise Refusal(Reason.ALGORITHM_KEY_MISMATCH, "RS256 asked of a key that is not RSA")
    return key


def _fits(key: RSAPublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
