"""One certificate, strictly parsed. Parsing is cheap; every field is read when it is first asked for.

``cryptography`` decides what a certificate is (strict DER). Raw extensions, names and the key are read by
:mod:`calock.core.der.reader`, because ``cryptography`` does not know SM2 keys and refuses whole extension lists for one harmless
encoding.

Source: RFC 5280 clause 4; GB/T 20518 for what Chinese CAs put in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from calock.core.certificates.key_types import is_ec, is_rsa
from calock.core.der import extensions, legacy_encodings, names, reader, strings
from calock.core.der.containers import other_signed
from calock.core.der.distribution_points import ALL_REASONS, OID_CRL_DISTRIBUTION_POINTS, crl_distribution_points
from calock.core.der.extensions import NO_AUTHORITY_KEY, OID_SUBJECT_KEY_ID, AuthorityKey, extension_name
from calock.core.der.layout import Extension, key_bits, key_kind, key_oids, read_layout, signature_algorithm
from calock.core.der.lazy import lazy
from calock.core.refusals import Reason, Refusal

MAX_SIZE = 64 * 1024
"""Octets. Real lock certificates have 1 to 3 KB; a token's text limit leaves 7.5 KB."""

T = TypeVar("T")


class Certificate:
    """One strictly parsed certificate. Compare and hash by its DER.

    :meth:`parse` reads the fields; names and extensions are decoded when they are first used, and raise ``Refusal`` then.
    """

    def __init__(self, der_bytes: bytes, parsed: x509.Certificate) -> None:
        self.der = der_bytes
        self.parsed = parsed
        self.serial: int = parsed.serial_number
        self.not_before: datetime = parsed.not_valid_before_utc
        self.not_after: datetime = parsed.not_valid_after_utc
        self._layout = read_layout(der_bytes)

    @classmethod
    def parse(cls, der_bytes: bytes) -> Certificate:
        """Read DER.

        Raises:
            Refusal: CERTIFICATE_TOO_LARGE, CERTIFICATE_UNPARSABLE, CERTIFICATE_VERSION.
        """
        if len(der_bytes) > MAX_SIZE:
            raise Refusal(Reason.CERTIFICATE_TOO_LARGE, f"{len(der_bytes)} bytes; at most {MAX_SIZE}")
        try:
            return cls(der_bytes, legacy_encodings.load(der_bytes))
        except x509.InvalidVersion as error:
            raise Refusal(Reason.CERTIFICATE_VERSION, f"version {error.parsed_version + 1}; 3 is wanted") from error
        except (ValueError, TypeError) as error:
            other = other_signed(der_bytes)
            detail = f"it is {other}, not a certificate" if other else str(error)[:200]
            raise Refusal(Reason.CERTIFICATE_UNPARSABLE, detail) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.der)

    def __repr__(self) -> str:
        return f"<Certificate {self.sha256[:16]}>"

    @lazy
    def sha256(self) -> str:
        """Fingerprint of the whole certificate, lower-case hex."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def tbs(self) -> bytes:
        """The signed part (TBSCertificate, DER)."""
        return self._layout.tbs

    # --- identity of the certificate

    @property
    def serial_hex(self) -> str:
        """Unsigned, lower-case, without leading zeros: the form in which it is stored and shown."""
        return f"{abs(self.serial):x}"

    @property
    def version(self) -> int:
        """1 to 3 as people count them."""
        return self.parsed.version.value + 1

    # --- names

    @property
    def subject_der(self) -> bytes:
        return self._layout.subject

    @property
    def issuer_der(self) -> bytes:
        return self._layout.issuer

    @lazy
    def subject_rdns(self) -> names.Rdns:
        """The subject taken apart.

        Raises:
            Refusal: CERTIFICATE_UNPARSABLE.
        """
        return _parse_name(self.subject_der)

    @lazy
    def subject_key(self) -> names.NameKey:
        """Subject in the comparison form of RFC 5280 clause 7.1."""
        return names.comparison_form(self.subject_rdns)

    @lazy
    def issuer_key(self) -> names.NameKey:
        return names.readable_key(self.issuer_der)

    @property
    def self_issued(self) -> bool:
        return self.subject_key == self.issuer_key

    @lazy
    def subject_attributes(self) -> tuple[tuple[str, str], ...]:
        """(dotted OID, text) in the order of the certificate; none when the name cannot be read. The rules read these."""
        return _texts_of(self.subject_der)

    @lazy
    def issuer_attributes(self) -> tuple[tuple[str, str], ...]:
        return _texts_of(self.issuer_der)

    @lazy
    def _subject_shown(self) -> tuple[tuple[str, str], ...]:
        """The attributes for people: also text that is read for showing alone."""
        return _texts_of(self.subject_der, strings.shown_text)

    @lazy
    def _issuer_shown(self) -> tuple[tuple[str, str], ...]:
        return _texts_of(self.issuer_der, strings.shown_text)

    @property
    def subject_cn(self) -> str:
        return names.last(self._subject_shown, names.COMMON_NAME)

    @property
    def subject_cn_readings(self) -> frozenset[str]:
        """The common name as it is read and as it once was, to compare it with one that was stored.

        T61String was latin-1, and NULs around a name were replacement characters.
        """
        once = self.subject_attributes, _texts_of(self.subject_der, strings.former_text)
        former = [names.last(texts, names.COMMON_NAME, names.printable) for texts in once]
        return frozenset((names.last(self.subject_attributes, names.COMMON_NAME), *former))

    @property
    def subject_o(self) -> str:
        return names.last(self._subject_shown, names.ORGANISATION)

    @property
    def issuer_cn(self) -> str:
        return names.last(self._issuer_shown, names.COMMON_NAME)

    @property
    def subject_text(self) -> str:
        """For display only; nothing is ever looked up or compared by it."""
        return names.display(self._subject_shown)

    @property
    def issuer_text(self) -> str:
        return names.display(self._issuer_shown)

    # --- key and signature

    @property
    def spki_der(self) -> bytes:
        return self._layout.spki

    @lazy
    def spki_sha256(self) -> str:
        """What identifies a key, and so a CA: lower-case hex."""
        return hashlib.sha256(self.spki_der).hexdigest()

    @lazy
    def key_oids(self) -> tuple[str, str]:
        """(algorithm, named curve) of the key; the curve is empty where there is none, ``explicit`` for explicit parameters."""
        try:
            return key_oids(self.spki_der)
        except reader.DerError as error:
            raise Refusal(Reason.CERTIFICATE_UNPARSABLE, str(error)) from error

    @lazy
    def algorithm(self) -> str:
        """``SM2``, ``RSA``, ``EC``, or the dotted OID of another kind of key."""
        return key_kind(*self.key_oids)

    @lazy
    def public_key(self) -> CertificatePublicKeyTypes | None:
        """The key as ``cryptography`` gives it; None for SM2 and for keys it refuses."""
        if self.algorithm == "SM2":
            return None
        try:
            return self.parsed.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None

    @property
    def point_form(self) -> str:
        """How a point of a curve is written as a key other than uncompressed: compressed or hybrid; empty = not so.

        RFC 5480 clause 2.2, X9.62 clause 4.3.6.
        """
        try:
            first = key_bits(self.spki_der)[:1]
        except reader.DerError:
            return ""
        return {b"\x02": "compressed", b"\x03": "compressed", b"\x06": "hybrid", b"\x07": "hybrid"}.get(first, "")

    @property
    def curve(self) -> str:
        """``sm2p256v1``, a SEC name such as ``secp256r1``, or empty."""
        if self.algorithm == "SM2":
            return "sm2p256v1"
        key = self.public_key
        return key.curve.name if is_ec(key) else ""

    @property
    def key_size(self) -> int:
        """Bits; 0 when unknown."""
        if self.algorithm == "SM2":
            return 256
        key = self.public_key
        return key.key_size if is_ec(key) or is_rsa(key) else 0

    @lazy
    def signature_algorithm(self) -> str:
        """Dotted OID of the outer signature algorithm."""
        return signature_algorithm(self.algorithm_der)[0]

    @property
    def signature_parameters(self) -> bytes:
        """The parameters of the outer signature algorithm (DER); empty when there are none."""
        return signature_algorithm(self.algorithm_der)[1]

    @property
    def algorithm_der(self) -> bytes:
        """The outer AlgorithmIdentifier (DER)."""
        return self._layout.algorithm

    @property
    def signature_algorithms_agree(self) -> bool:
        """Whether the AlgorithmIdentifier inside the signed part is the one outside (RFC 5280 clause 4.1.1.2)."""
        return self._layout.inner_algorithm == self._layout.algorithm

    @property
    def has_unique_ids(self) -> bool:
        """Whether it carries issuerUniqueID or subjectUniqueID, which RFC 5280 tells CAs to leave out."""
        return self._layout.unique_ids

    # --- extensions

    @property
    def extensions(self) -> tuple[Extension, ...]:
        return self._layout.extensions

    @lazy
    def by_oid(self) -> Mapping[str, Extension]:
        """Extensions by OID; of duplicates (the gate refuses them) the first."""
        return {extension.oid: extension for extension in reversed(self.extensions)}

    def value_of(self, oid: str) -> bytes | None:
        extension = self.by_oid.get(oid)
        return extension.value if extension else None

    @lazy
    def basic_constraints(self) -> tuple[bool, int | None] | None:
        """(cA, pathLenConstraint), or None when the extension is absent.

        Raises:
            Refusal: CERTIFICATE_EXTENSION when malformed.
        """
        return self._decode(extensions.OID_BASIC_CONSTRAINTS, extensions.basic_constraints)

    @property
    def is_ca(self) -> bool:
        constraints = self.basic_constraints
        return constraints is not None and constraints[0]

    @lazy
    def key_usage(self) -> frozenset[str] | None:
        """Names of :data:`extensions.KEY_USAGES` that are set, or None when the extension is absent."""
        return self._decode(extensions.OID_KEY_USAGE, extensions.key_usage)

    @lazy
    def eku(self) -> tuple[str, ...] | None:
        """Dotted OIDs, or None when the extension is absent."""
        return self._decode(extensions.OID_EXTENDED_KEY_USAGE, extensions.oid_list)

    @lazy
    def policies(self) -> tuple[str, ...] | None:
        """Dotted OIDs of certificatePolicies, or None when the extension is absent."""
        return self._decode(extensions.OID_CERTIFICATE_POLICIES, extensions.policy_oids)

    @lazy
    def subject_key_id(self) -> str:
        """Lower-case hex, empty when absent."""
        return self._decode(OID_SUBJECT_KEY_ID, extensions.octets) or ""

    @lazy
    def authority_key(self) -> AuthorityKey:
        return self._decode(extensions.OID_AUTHORITY_KEY_ID, extensions.authority_key) or NO_AUTHORITY_KEY

    @property
    def authority_key_id(self) -> str:
        """KeyIdentifier of the AuthorityKeyIdentifier, lower-case hex, empty when absent."""
        return self.authority_key.key_id

    @lazy
    def distribution_points(self) -> tuple[tuple[frozenset[bytes], int], ...]:
        """(names, reasons) of each CRL distribution point, then the issuer's own name with all reasons.

        The last is RFC 5280 clause 6.3.3's "distribution point with both the reasons and the cRLIssuer fields omitted and a
        distribution point name of the certificate issuer".

        Raises:
            Refusal: CERTIFICATE_EXTENSION; the extension cannot be read, so it is not known which CRLs are meant.
        """
        value = self.value_of(OID_CRL_DISTRIBUTION_POINTS)
        try:
            found = [] if value is None else crl_distribution_points(value, self.issuer_der)
        except reader.DerError as error:
            name = extension_name(OID_CRL_DISTRIBUTION_POINTS)
            raise Refusal(Reason.CERTIFICATE_EXTENSION, f"{name} cannot be read: {error}") from error
        own = frozenset((names.comparison_bytes(self.issuer_der),))
        return (*found, (own, ALL_REASONS))

    def require_decodable(self) -> None:
        """Decode every extension that a step of verification uses, whether the steps that are asked for need it or not.

        Raises:
            Refusal: CERTIFICATE_EXTENSION; malformed, or one that occurs twice.
        """
        if len(self.by_oid) != len(self.extensions):
            raise Refusal(Reason.CERTIFICATE_EXTENSION, "an extension occurs twice")
        for oid, decode in extensions.DECODERS.items():
            self._decode(oid, decode)
        _ = self.distribution_points

    def _decode(self, oid: str, decode: Callable[[bytes], T]) -> T | None:
        extension = self.by_oid.get(oid)
        if extension is None:
            return None
        try:
            return extension.read(decode)
        except reader.DerError as error:
            raise Refusal(Reason.CERTIFICATE_EXTENSION, f"{extension_name(oid)} cannot be read: {error}") from error


def lowest(certificates: Sequence[Certificate]) -> list[Certificate]:
    """Of the certificates of a chain in any order those that name none of the others as issued by them: usually one.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE, a name cannot be read.
    """
    above = [{other.issuer_key for other in certificates if other != certificate} for certificate in certificates]
    return [
        certificate
        for certificate, names_above in zip(certificates, above, strict=True)
        if certificate.subject_key not in names_above
    ]


def _parse_name(name: bytes) -> names.Rdns:
    try:
        return names.rdns_of(name)
    except reader.DerError as error:
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, f"malformed name: {error}") from error


def _texts_of(name: bytes, read: Callable[[int, bytes], str | None] = strings.text) -> tuple[tuple[str, str], ...]:
    try:
        return names.attributes(names.rdns_of(name), read)
    except reader.DerError:
        return ()
