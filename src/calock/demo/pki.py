"""A practice PKI: CAs, lock certificates, CRLs and OCSP responses for SM2, RSA and EC keys.

For the demonstration and for tests only. It writes what it is told to, wrong things included: that is its use. Certificate
layout after RFC 5280 and GB/T 20518; SM2 signatures over SM3 with the standard signer ID unless told otherwise.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from calock.core import libcrypto
from calock.demo import der

Algorithm = Literal["SM2", "RSA", "EC"]

SM2_WITH_SM3 = der.sequence(der.oid("1.2.156.10197.1.501"))
RSA_WITH_SHA256 = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.tlv(0x05))
RSA_WITH_SHA1 = der.sequence(der.oid("1.2.840.113549.1.1.5"), der.tlv(0x05))
ECDSA_WITH_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
ECDSA_WITH_SHA384 = der.sequence(der.oid("1.2.840.10045.4.3.3"))
ECDSA_WITH_SHA1 = der.sequence(der.oid("1.2.840.10045.4.1"))

USCC_OID = "1.2.156.10260.4.1.4"
PERSON_ID_OID = "1.2.156.10260.4.1.1"
LOCK_ID_OID = "2.999.7.1"
"""Where practice CAs write the number of the device: below the arc for examples, {joint-iso-itu-t example(999)} of ITU-T X.660."""

CRL_REASONS = {"unspecified": 0, "keyCompromise": 1, "cACompromise": 2, "affiliationChanged": 3, "superseded": 4,
               "cessationOfOperation": 5, "certificateHold": 6, "removeFromCRL": 8, "privilegeWithdrawn": 9}  # fmt: skip


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


Extension = tuple[str, bool, bytes]
"""(dotted OID, critical, DER of the value)."""


@dataclass(frozen=True)
class Key:
    """A private key in PKCS#8 with its SubjectPublicKeyInfo."""

    algorithm: Algorithm
    private_pkcs8: bytes = field(repr=False)
    spki_der: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-1 over the SPKI, as a KeyIdentifier (any unique 20 octets will do, RFC 5280 clause 4.2.1.2)."""
        return _sha1(self.spki_der)

    @property
    def spki_sha256(self) -> str:
        return hashlib.sha256(self.spki_der).hexdigest()

    @property
    def signature_algorithm(self) -> bytes:
        return {"SM2": SM2_WITH_SM3, "RSA": RSA_WITH_SHA256, "EC": ECDSA_WITH_SHA256}[self.algorithm]

    def sign(self, message: bytes, *, digest: hashes.HashAlgorithm | None = None, signer_id: bytes = libcrypto.SIGNER_ID) -> bytes:
        """Sign as certificates are signed: RSA PKCS#1 v1.5, ECDSA and SM2 as DER. ``digest`` defaults to SHA-256."""
        if self.algorithm == "SM2":
            return libcrypto.sm2_sign(self.private_pkcs8, message, signer_id)
        # our own key: checking its primes again for every signature would cost far more than signing
        private = serialization.load_der_private_key(self.private_pkcs8, None, unsafe_skip_rsa_key_validation=True)
        chosen = digest or hashes.SHA256()
        if isinstance(private, rsa.RSAPrivateKey):
            return private.sign(message, padding.PKCS1v15(), chosen)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return private.sign(message, ec.ECDSA(chosen))


def make_key(algorithm: Algorithm, *, rsa_bits: int = 2048, curve: ec.EllipticCurve | None = None) -> Key:
    """Generate a key pair."""
    if algorithm == "SM2":
        return Key("SM2", *libcrypto.sm2_generate())
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "RSA":
        private = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    else:
        private = ec.generate_private_key(curve or ec.SECP256R1())
    pkcs8 = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    spki = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Key(algorithm, pkcs8, spki)


def name(common_name: str, *, organisation: str = "", unit: str = "", country: str = "CN") -> bytes:
    """DER of a Name: C, O, OU, CN in that order, empty parts left out."""
    parts = [(NameOID.COUNTRY_NAME, country), (NameOID.ORGANIZATION_NAME, organisation),
             (NameOID.ORGANIZATIONAL_UNIT_NAME, unit), (NameOID.COMMON_NAME, common_name)]  # fmt: skip
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts if value]).public_bytes()


def extension(value: x509.ExtensionType, *, critical: bool = False) -> Extension:
    """An extension from one of cryptography's types."""
    return value.oid.dotted_string, critical, value.public_bytes()


def key_usage(*names: str, critical: bool = True) -> Extension:
    """KeyUsage with these of cryptography's attribute names set, e.g. ``digital_signature``, ``key_cert_sign``."""
    known = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
    return extension(x509.KeyUsage(**{usage: usage in names for usage in known}), critical=critical)


def extended_key_usage(*oids: str) -> Extension:
    return extension(x509.ExtendedKeyUsage([ObjectIdentifier(value) for value in oids]))


def text_extension(dotted: str, value: str) -> Extension:
    """A private extension holding a UTF8String: how CAs note organisation codes and lock ids."""
    return dotted, False, der.utf8(value)


def _extensions(extensions: Iterable[Extension]) -> bytes:
    return der.sequence(
        *(
            der.sequence(der.oid(kind), *([der.boolean(True)] if critical else []), der.octets(value))
            for kind, critical, value in extensions
        )
    )


def signed(
    tbs: bytes,
    key: Key,
    algorithm: bytes | None = None,
    *,
    digest: hashes.HashAlgorithm | None = None,
    signer_id: bytes = libcrypto.SIGNER_ID,
) -> bytes:
    """SIGNED{tbs}: tbs, algorithm, signature."""
    return der.sequence(tbs, algorithm or key.signature_algorithm, der.bits(key.sign(tbs, digest=digest, signer_id=signer_id)))


@dataclass(frozen=True)
class Authority:
    """A practice CA: its key, its certificate and its chain up to the root (itself first)."""

    key: Key
    subject: bytes
    certificate: bytes
    chain: tuple[bytes, ...]

    def issue(
        self,
        subject: bytes,
        spki_der: bytes,
        *,
        not_before: datetime,
        not_after: datetime,
        extensions: Sequence[Extension] = (),
        serial: int | None = None,
        version: int = 2,
        algorithm: bytes | None = None,
        digest: hashes.HashAlgorithm | None = None,
        signer_id: bytes = libcrypto.SIGNER_ID,
    ) -> bytes:
        """Sign a certificate (DER) with exactly these fields."""
        algorithm = algorithm or self.key.signature_algorithm
        tbs = der.sequence(
            *([der.tlv(0xA0, der.integer(version))] if version else []),
            der.integer(random_serial() if serial is None else serial),
            algorithm,
            self.subject,
            der.sequence(der.time(not_before), der.time(not_after)),
            subject,
            spki_der,
            *([der.tlv(0xA3, _extensions(extensions))] if extensions else []),
        )
        return signed(tbs, self.key, algorithm, digest=digest, signer_id=signer_id)

    def issue_lock(
        self,
        common_name: str,
        key: Key | bytes,
        *,
        not_before: datetime,
        not_after: datetime,
        organisation: str = "",
        uscc: str = "",
        person_id: str = "",
        lock_id: str = "",
        usages: Sequence[str] = ("digital_signature", "content_commitment"),
        ekus: Sequence[str] = (ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,),
        serial: int | None = None,
        crl_url: str = "",
        extra: Sequence[Extension] = (),
    ) -> bytes:
        """Sign a lock's certificate as Chinese CAs shape them (GB/T 20518): the holder's ids in private extensions."""
        spki = key.spki_der if isinstance(key, Key) else key
        extensions: list[Extension] = [
            extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
            key_usage(*usages),
            extension(x509.AuthorityKeyIdentifier(self.key.key_id, None, None)),
            extension(x509.SubjectKeyIdentifier(_sha1(spki))),
        ]
        if ekus:
            extensions.append(extended_key_usage(*ekus))
        if crl_url:
            point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
            extensions.append(extension(x509.CRLDistributionPoints([point])))
        for dotted, value in ((USCC_OID, uscc), (PERSON_ID_OID, person_id), (LOCK_ID_OID, lock_id)):
            if value:
                extensions.append(text_extension(dotted, value))
        return self.issue(
            name(common_name, organisation=organisation), spki, not_before=not_before, not_after=not_after,
            extensions=[*extensions, *extra], serial=serial,
        )  # fmt: skip

    def intermediate(
        self,
        common_name: str,
        key: Key | None = None,
        *,
        not_before: datetime,
        not_after: datetime,
        path_length: int | None = 0,
        serial: int | None = None,
        extra: Sequence[Extension] = (),
    ) -> Authority:
        """A subordinate CA with its own key of the same algorithm unless one is given."""
        key = key or make_key(self.key.algorithm)
        subject = name(common_name, organisation="calock practice")
        certificate = self.issue(
            subject, key.spki_der, not_before=not_before, not_after=not_after, serial=serial,
            extensions=[*ca_extensions(key, issuer=self.key, path_length=path_length), *extra],
        )  # fmt: skip
        return Authority(key, subject, certificate, (certificate, *self.chain))

    def crl(
        self,
        revoked: Iterable[tuple[int, datetime, str | None]] = (),
        *,
        this_update: datetime,
        next_update: datetime | None,
        number: int | None = 1,
        extra: Sequence[Extension] = (),
        entry_extra: Sequence[Extension] = (),
        key: Key | None = None,
        issuer: bytes | None = None,
    ) -> bytes:
        """Sign a CRL (DER). ``revoked``: (serial, date, reason name of ``CRL_REASONS`` or None). ``key``: a wrong signer."""
        entries = []
        for serial, moment, reason in revoked:
            own = [("2.5.29.21", False, der.enumerated(CRL_REASONS[reason]))] if reason else []
            tail = [_extensions([*own, *entry_extra])] if own or entry_extra else []
            entries.append(der.sequence(der.integer(serial), der.time(moment), *tail))
        extensions: list[Extension] = [extension(x509.AuthorityKeyIdentifier(self.key.key_id, None, None))]
        if number is not None:
            extensions.append(("2.5.29.20", False, der.integer(number)))
        signer = key or self.key
        tbs = der.sequence(
            der.integer(1),
            signer.signature_algorithm,
            issuer or self.subject,
            der.time(this_update),
            *([der.time(next_update)] if next_update else []),
            *([der.sequence(*entries)] if entries else []),
            der.tlv(0xA0, _extensions([*extensions, *extra])),
        )
        return signed(tbs, signer)


def ca_extensions(key: Key, *, issuer: Key, path_length: int | None = None) -> list[Extension]:
    """What a CA certificate carries: CA:TRUE, keyCertSign and cRLSign, key identifiers."""
    return [
        extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True),
        key_usage("key_cert_sign", "crl_sign"),
        extension(x509.SubjectKeyIdentifier(key.key_id)),
        extension(x509.AuthorityKeyIdentifier(issuer.key_id, None, None)),
    ]


def make_root(
    common_name: str,
    algorithm: Algorithm = "SM2",
    key: Key | None = None,
    *,
    not_before: datetime,
    not_after: datetime,
    signer_id: bytes = libcrypto.SIGNER_ID,
) -> Authority:
    """A self-signed root CA."""
    key = key or make_key(algorithm)
    subject = name(common_name, organisation="calock practice")
    bare = Authority(key, subject, b"", ())
    certificate = bare.issue(
        subject,
        key.spki_der,
        not_before=not_before,
        not_after=not_after,
        extensions=ca_extensions(key, issuer=key),
        signer_id=signer_id,
    )
    return Authority(key, subject, certificate, (certificate,))


def random_serial() -> int:
    """A positive serial of at most 20 octets (RFC 5280 clause 4.1.2.2)."""
    return secrets.randbits(120) | 1 << 119


def serial_of(certificate_der: bytes) -> int:
    return x509.load_der_x509_certificate(certificate_der).serial_number


def years(start: datetime, count: int) -> datetime:
    """``count`` times 365 days after ``start``."""
    return start + timedelta(days=365 * count)


EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""A fixed moment for tests: certificates made with it are valid from here."""
