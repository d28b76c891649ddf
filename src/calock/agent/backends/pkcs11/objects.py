"""Certificates and keys in a token, and which belong together: by the public key, because CKA_ID is only a custom.

A certificate's CKA_ID may differ from its key's or be missing: tpm2-software/tpm2-pkcs11#340,
openssl-projects/pkcs11-provider#685.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11 import exceptions as errors

from calock.agent.backends.base import strip_padding
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal

MAX_LISTED = 16
"""Certificates of one token that are offered."""
MAX_OBJECTS = 512
MAX_OCTETS = 1024 * 1024
MAX_CERTIFICATE = 64 * 1024
"""Bounds of what is read of one token."""
_GONE = (errors.DeviceRemoved, errors.TokenNotPresent, errors.SessionHandleInvalid)
_SIGNING = frozenset({"digital_signature", "content_commitment"})


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """One X.509 certificate object."""

    key_id: bytes
    """CKA_ID, empty when it has none."""
    der: bytes
    parsed: Certificate | None
    """None: it cannot be read. It is listed all the same, so that its owner is told."""

    @property
    def spki(self) -> bytes:
        return self.parsed.spki_der if self.parsed else b""

    @property
    def is_ca(self) -> bool:
        return self.parsed is not None and self.parsed.is_ca


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One key object: what it shows of itself. ``public`` is CKA_MODULUS or CKA_EC_POINT, empty when neither is shown."""

    handle: Any
    key_id: bytes
    public: bytes
    is_rsa: bool | None
    """None: its type is the vendor's own or not shown."""

    def belongs_to(self, certificate: StoredCertificate) -> bool | None:
        """Whether this is the certificate's key; None: it may be, the token does not show it."""
        if self.public:
            return is_key_of(self.public, certificate.spki)
        if self.is_rsa is not None and self.is_rsa != is_rsa_key(certificate.spki):
            return False
        return None


@dataclass(frozen=True, slots=True)
class TokenObjects:
    """What one session sees. ``cut``: there was more than the bounds allow."""

    certificates: tuple[StoredCertificate, ...]
    public_keys: tuple[StoredKey, ...]
    private_keys: tuple[StoredKey, ...]
    cut: bool = False

    def find(self, der: bytes) -> StoredCertificate | None:
        """The certificate of these octets, wherever it stands in the token."""
        return next((stored for stored in self.certificates if stored.der == der), None)

    def has_key(self, certificate: StoredCertificate) -> bool | None:
        """Whether the token has the private key; None: it does not show its keys before a login."""
        if _match((*self.public_keys, *self.private_keys), certificate):
            return True
        if self.private_keys:
            return None if any(key.belongs_to(certificate) is None for key in self.private_keys) else False
        # no private key is seen, but other certificates find their public one: this token would show this one's too
        return False if any(_match(self.public_keys, other) for other in self.certificates) else None

    def signing_keys(self, certificate: StoredCertificate) -> list[StoredKey]:
        """Return the private keys that may belong to a certificate, the surest first: by public key, by CKA_ID, then any."""
        known = [key for key in self.private_keys if key.belongs_to(certificate)]
        if known:
            return known
        twins = {key.key_id for key in self.public_keys if key.key_id and key.belongs_to(certificate)}
        possible = [key for key in self.private_keys if key.belongs_to(certificate) is None]
        return sorted(possible, key=lambda key: (key.key_id not in twins, key.key_id != certificate.key_id))

    def best_first(self) -> list[StoredCertificate]:
        """Order the certificates that may have a key: for signing, with a key that is seen, unexpired, newest. CAs are left out."""
        now = datetime.now(UTC)
        ranked = []
        for stored in self.certificates:
            has_key = self.has_key(stored)
            if has_key is not False and not stored.is_ca:
                ranked.append((_rank(stored, now, seen=bool(has_key)), stored))
        return [stored for _, stored in sorted(ranked, key=lambda pair: pair[0])]

    def without_handles(self) -> TokenObjects:
        """The same to keep after the session: its objects are gone with it."""
        public, private = ([replace(key, handle=None) for key in keys] for keys in (self.public_keys, self.private_keys))
        return replace(self, public_keys=tuple(public), private_keys=tuple(private))


def _rank(stored: StoredCertificate, now: datetime, *, seen: bool) -> tuple[bool, bool, bool, float]:
    certificate = stored.parsed
    if certificate is None:
        return False, not seen, False, 0.0
    signs = certificate.key_usage is None or bool(certificate.key_usage & _SIGNING)
    return not signs, not seen, certificate.not_after < now, -certificate.not_before.timestamp()


def _match(keys: Iterable[StoredKey], certificate: StoredCertificate) -> bool:
    """Whether one of the keys is the certificate's: by public key, or by CKA_ID where the key shows no other."""
    for key in keys:
        belongs = key.belongs_to(certificate)
        if belongs or (belongs is None and key.key_id and key.key_id == certificate.key_id):
            return True
    return False


def read_objects(session: Any) -> TokenObjects:
    """Read all certificates and keys that a session sees, within the bounds."""
    certificates, cut = _certificates(session)
    return TokenObjects(
        certificates=certificates,
        public_keys=tuple(_keys(session, ObjectClass.PUBLIC_KEY)),
        private_keys=tuple(_keys(session, ObjectClass.PRIVATE_KEY)),
        cut=cut,
    )


_RSA = bytes.fromhex("2a864886f70d0101")
"""1.2.840.113549.1.1 in DER, the arc of RSA's key types (RFC 8017 appendix A.1)."""
_POINTS = (64, 96, 132)
"""Octets of x‖y on P-256 and SM2, P-384, P-521."""


def is_rsa_key(spki: bytes) -> bool:
    return _RSA in spki[:32]


def is_key_of(public: bytes, spki: bytes) -> bool:
    """Whether CKA_MODULUS or CKA_EC_POINT is that of a SubjectPublicKeyInfo.

    The point may stand there bare or in an OCTET STRING (PKCS#11 2.40 clause 2.3.3), or as a BIT STRING, compressed or not.
    """
    if is_rsa_key(spki):
        return len(public) >= 64 and public.lstrip(b"\0") in spki
    for size in _POINTS:
        if spki[-size - 2 : -size] == b"\0\x04":  # no unused bits, then an uncompressed point, to the end
            x, y = spki[-size : -size // 2], spki[-size // 2 :]
            return public.endswith((x + y, bytes([2 + (y[-1] & 1)]) + x))
    return False


def _certificates(session: Any) -> tuple[tuple[StoredCertificate, ...], bool]:
    found: dict[bytes, StoredCertificate] = {}
    octets = 0
    items = _objects(session, ObjectClass.CERTIFICATE)
    cut = len(items) > MAX_OBJECTS
    for item in items[:MAX_OBJECTS]:
        der = strip_padding(_octets(item, Attribute.VALUE))
        octets += len(der)
        if octets > MAX_OCTETS:
            return tuple(found.values()), True
        if len(der) > MAX_CERTIFICATE:
            cut = True
        elif der and der not in found:
            found[der] = StoredCertificate(_shown(item, Attribute.ID), der, _parsed(der))
    return tuple(found.values()), cut


def _parsed(der: bytes) -> Certificate | None:
    try:
        certificate = Certificate.parse(der)
        _ = (certificate.spki_der, certificate.is_ca, certificate.key_usage, certificate.not_before, certificate.not_after)
    except Refusal:
        return None
    return certificate


def _keys(session: Any, kind: ObjectClass) -> Iterator[StoredKey]:
    for item in _objects(session, kind)[:MAX_OBJECTS]:
        public = _shown(item, Attribute.MODULUS) or _shown(item, Attribute.EC_POINT)
        yield StoredKey(item, _shown(item, Attribute.ID), public, _is_rsa(item))


def _objects(session: Any, kind: ObjectClass) -> list[Any]:
    """Find all objects of a class. The search is ended before anything else is asked: a session has one search at a time."""
    found = []
    for item in session.get_objects({Attribute.CLASS: kind}):
        found.append(item)
        if len(found) > MAX_OBJECTS:
            break
    return found


def _octets(item: Any, attribute: Attribute) -> bytes:
    with contextlib.suppress(errors.AttributeTypeInvalid, errors.AttributeSensitive, errors.FunctionFailed, NotImplementedError):
        return bytes(item[attribute])
    return b""


def _shown(item: Any, attribute: Attribute) -> bytes:
    """An attribute that an object may lack; empty then. Libraries have many codes for that, CKR_GENERAL_ERROR among them."""
    try:
        return _octets(item, attribute)
    except errors.PKCS11Error as error:
        if isinstance(error, _GONE):
            raise
        return b""


def _is_rsa(item: Any) -> bool | None:
    with contextlib.suppress(errors.PKCS11Error, ValueError, NotImplementedError):
        kind = item[Attribute.KEY_TYPE]
        if kind in (KeyType.RSA, KeyType.EC):
            return bool(kind == KeyType.RSA)
    return None
