"""One signature with the key that belongs to a certificate.

PKCS#11 has no SM2 before 3.2; vendors use mechanisms of their own (``sm2_mechanisms``). What a library signs is verified against
the certificate at once, because asking an SM2 key for CKM_ECDSA silently gives ECDSA, and because a token that does not show the
public value of its keys leaves several to try.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pkcs11 import Attribute, KeyType, Mechanism, _pkcs11
from pkcs11 import exceptions as errors

from calock.agent import signing
from calock.agent.backends.pkcs11 import sm2_mechanisms
from calock.agent.backends.pkcs11.objects import StoredKey
from calock.agent.backends.pkcs11.reader import ReaderCalls
from calock.agent.backends.pkcs11.reasons import REASONS
from calock.agent.signing import SigningInput
from calock.core.certificates.certificate import Certificate
from calock.core.libcrypto import der_to_raw
from calock.core.refusals import Reason, Refusal

_FIELD = {"SM2": 32, "ES256": 32, "ES384": 48, "ES512": 66}
"""Octets of r and of s in a signature (PKCS#11 2.40 clause 2.3.1)."""
MAX_KEYS = 8
"""Keys that are tried for one certificate."""
_OF_THE_TOKEN: tuple[type[Exception], ...] = tuple(REASONS)
"""Errors that are not of one key: the token is gone, its PIN is wrong or was not typed, another program logged out. The next key
would fail alike, and may cost a try."""
_native: Any = _pkcs11
_SigningKey: Any = type("_SigningKey", (_native.PrivateKey, _native.SignMixin, _native.Object), {})
"""A private key that may be asked to sign: python-pkcs11 asks only those that tell CKA_SIGN TRUE, and some tokens tell nothing."""


@dataclass(frozen=True, slots=True)
class Signer:
    """What is signed, with which mechanism, and how a key is logged in to that wants that for each signature."""

    signing_input: SigningInput
    mechanism: Any
    pin: bytearray
    reader: ReaderCalls | None

    def sign_with(self, keys: Sequence[StoredKey], holder: Certificate) -> bytes:
        """Sign with the first of ``keys`` whose signature fits the certificate.

        Raises:
            Refusal: LOCK_WITHOUT_KEY, there is no key that could belong to it; LOCK_SIGNATURE_WRONG, none of them does.
            PKCS11Error: of the surest key, when no other one signed; at once where it is the token's.
        """
        failure: Exception = Refusal(Reason.LOCK_WITHOUT_KEY, "no private key in the token belongs to this certificate")
        for place, key in enumerate(keys[:MAX_KEYS]):
            try:
                signature = self._signature(key)
                signing.require_good_signature(holder, self.signing_input, signature)
            except _OF_THE_TOKEN:
                raise
            except (errors.PKCS11Error, Refusal) as error:
                failure = error if place == 0 else failure
            else:
                return signature
        raise failure

    def _signature(self, key: StoredKey) -> bytes:
        private = key.handle if hasattr(key.handle, "sign") else _silent_key(key.handle)
        if key.is_rsa is None:
            private.__dict__.setdefault("key_type", KeyType.EC)  # python-pkcs11 asks for it and knows no vendor's own types
        try:
            signature = self._sign(private, logging_in=_wants_login(private))
        except errors.UserNotLoggedIn:  # it wants a login of its own and did not say so
            signature = self._sign(private, logging_in=True)
        size = _FIELD.get(self.signing_input.algorithm, 0)
        if size and len(signature) != 2 * size and signature[:1] == b"\x30":
            with contextlib.suppress(ValueError, OverflowError):
                return der_to_raw(signature, size)
        return signature

    def _sign(self, private: Any, *, logging_in: bool) -> bytes:
        """Sign; ``logging_in`` once more for this signature (PKCS#11 2.40 clause 4.9, CKA_ALWAYS_AUTHENTICATE)."""
        data = self.signing_input.e
        if not logging_in:
            return bytes(private.sign(data, mechanism=self.mechanism))
        if self.reader is not None:
            return self.reader.sign(private, int(self.mechanism), data)
        return bytes(private.sign(data, mechanism=self.mechanism, pin=self.pin.decode()))


def _silent_key(private: Any) -> Any:
    """A key that does not tell that it signs, as one that may be asked to.

    Raises:
        Refusal: KEY_USAGE_NOT_SIGNING, it tells that it does not.
    """
    with contextlib.suppress(errors.PKCS11Error):
        if not private[Attribute.SIGN]:
            raise Refusal(Reason.KEY_USAGE_NOT_SIGNING, "the token says of this certificate's key that it does not sign")
    return _SigningKey(private.wrapper)


def mechanism_for(signing_input: SigningInput, manufacturer: str) -> Any:
    """Return the mechanism that signs ``signing_input.e`` as it is."""
    if signing_input.algorithm == "RS256":
        return Mechanism.RSA_PKCS
    return sm2_mechanisms.mechanism_for(manufacturer) if signing_input.algorithm == "SM2" else Mechanism.ECDSA


def _wants_login(private: Any) -> bool:
    with contextlib.suppress(errors.PKCS11Error, NotImplementedError):
        return bool(private[Attribute.ALWAYS_AUTHENTICATE])
    return False
