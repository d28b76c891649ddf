"""The recognised providers and their CA keys, prepared for verification. A CA is identified by its key, never by its name.

A :class:`Register` never changes. A change of trust makes a new one, and what was cached with the old one is dropped with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from OpenSSL import crypto

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.signature_encoding import with_der_signature
from calock.core.der.containers import certificates_in
from calock.core.der.lazy import lazy
from calock.core.der.names import NameKey
from calock.core.policy import Policy

MAX_NAMESAKES = 32
"""CA certificates of one name that are considered for one certificate."""


@dataclass(frozen=True, slots=True)
class CaCertificate:
    """One CA certificate of a provider. ``anchor``: a trust anchor; otherwise it needs a path to one."""

    der: bytes
    spki_sha256: str
    group: str = ""
    """Records of one CA before and after a change of its key share a group."""
    anchor: bool = False

    @classmethod
    def of(cls, der: bytes, *, group: str = "", anchor: bool = False) -> CaCertificate:
        """From DER alone.

        Raises:
            Refusal: CERTIFICATE_UNPARSABLE, CERTIFICATE_TOO_LARGE.
        """
        return cls(der, Certificate.parse(der).spki_sha256, group, anchor)


@dataclass(frozen=True, slots=True)
class ProviderTrust:
    """One CA provider (CA 服务商): what verification needs of it."""

    code: str
    cas: tuple[CaCertificate, ...]
    policy: Policy = field(default_factory=Policy)
    sites: frozenset[str] = frozenset()
    """Sites that recognise it."""
    suspended: bool = False


class Issuer:
    """A CA certificate of the register, with what verification computes of it once."""

    def __init__(self, provider: ProviderTrust, ca: CaCertificate) -> None:
        self.provider = provider
        self.ca = ca
        self.certificate = Certificate.parse(ca.der)
        self.subject_key: NameKey = self.certificate.subject_key
        self.key_id: str = self.certificate.subject_key_id
        self.stores: dict[int, crypto.X509Store] = {}
        """OpenSSL stores with this certificate alone, by flags: made by chain.py when first needed."""

    def __repr__(self) -> str:
        return f"<Issuer {self.provider.code} {self.ca.spki_sha256[:16]}>"

    @lazy
    def openssl(self) -> crypto.X509:
        """The certificate as OpenSSL holds it, with its signature in DER when the provider's rules take other encodings."""
        der = with_der_signature(self.certificate) if self.provider.policy.tolerates_signatures else self.certificate.der
        return crypto.load_certificate(crypto.FILETYPE_ASN1, der)


def _newest_first(issuer: Issuer) -> tuple[float, float, bytes, str]:
    """One order of CA certificates, whatever the order of the register's rows: nothing that is decided may depend on that."""
    certificate = issuer.certificate
    return -certificate.not_before.timestamp(), -certificate.not_after.timestamp(), issuer.ca.der, issuer.provider.code


class Register:
    """Recognised providers. Building it parses every CA certificate once.

    Raises:
        Refusal: a CA certificate that does not parse.
        ValueError: one key under two providers of one site, or a key that is not the one its record names.
    """

    def __init__(self, providers: Iterable[ProviderTrust]) -> None:
        self.providers: tuple[ProviderTrust, ...] = tuple(providers)
        self.issuers: tuple[Issuer, ...] = tuple(Issuer(provider, ca) for provider in self.providers for ca in provider.cas)
        self._by_name: dict[NameKey, list[Issuer]] = {}
        self._by_name_and_id: dict[tuple[NameKey, str], list[Issuer]] = {}
        self._by_key: dict[str, list[Issuer]] = {}
        self._anchors: dict[bytes, Issuer] = {}
        self.path_cache: dict[tuple[Issuer, ...], object] = {}
        """Candidate paths that ca_path.py built, by the CA certificates with which they begin."""
        for issuer in sorted(self.issuers, key=_newest_first):
            self._add(issuer)

    @classmethod
    def from_pem(
        cls, anchors: Iterable[bytes], intermediates: Iterable[bytes] = (), *, policy: Policy | None = None, code: str = "given"
    ) -> Register:
        """One provider, from the contents of files as CAs hand them out: PEM with any number of certificates, DER, PKCS#7.

        ``anchors``: certificates at which trust ends; ``intermediates`` need a path to one of them.

        Raises:
            Refusal: a certificate that does not parse.
            ValueError: a file without a certificate, or an anchor with OpenSSL's own trust settings: they are not read here.
        """
        cas: dict[bytes, CaCertificate] = {}
        for item in (item for file in anchors for item in certificates_in(file)):
            if item.settings:
                raise ValueError("an anchor with OpenSSL's trust settings (TRUSTED CERTIFICATE): give the plain certificate")
            cas[item.der] = CaCertificate.of(item.der, anchor=True)
        for item in (item for file in intermediates for item in certificates_in(file)):
            cas.setdefault(item.der, CaCertificate.of(item.der))
        return cls([ProviderTrust(code, tuple(cas.values()), policy or Policy())])

    def _add(self, issuer: Issuer) -> None:
        key = issuer.certificate.spki_sha256
        if key != issuer.ca.spki_sha256:
            raise ValueError(f"{issuer.provider.code}: a CA certificate does not hold the key that its record names")
        same_key = self._by_key.setdefault(key, [])
        for other in same_key:
            if other.provider is not issuer.provider and other.provider.sites & issuer.provider.sites:
                raise ValueError(f"CA key {key[:16]}… is claimed by {other.provider.code} and {issuer.provider.code}")
        same_key.append(issuer)
        self._by_name.setdefault(issuer.subject_key, []).append(issuer)
        self._by_name_and_id.setdefault((issuer.subject_key, issuer.key_id), []).append(issuer)
        if issuer.ca.anchor:
            self._anchors[issuer.ca.der] = issuer

    def named(self, subject: NameKey) -> Sequence[Issuer]:
        """CA certificates with this subject, in the comparison form of RFC 5280 clause 7.1."""
        return self._by_name.get(subject, ())

    def candidates(self, subject: NameKey, key_id: str) -> tuple[Issuer, ...]:
        """CA certificates with this subject whose key identifier is not another one: at most :data:`MAX_NAMESAKES`.

        ``key_id``: what the subordinate certificate's AuthorityKeyIdentifier says; empty = nothing.
        """
        if not key_id:
            return tuple(self.named(subject)[:MAX_NAMESAKES])
        exact = self._by_name_and_id.get((subject, key_id), ())
        nameless = self._by_name_and_id.get((subject, ""), ())
        return (*exact, *nameless)[:MAX_NAMESAKES]

    def with_key(self, spki_sha256: str) -> Sequence[Issuer]:
        """CA certificates over this key, of every provider that has it."""
        return self._by_key.get(spki_sha256, ())

    def anchor_with(self, der: bytes) -> Issuer | None:
        """The anchor that is exactly this certificate."""
        return self._anchors.get(der)

    @lazy
    def fingerprint(self) -> str:
        """SHA-256 (hex) over everything that can change a verdict."""
        digest = hashlib.sha256()
        for provider in self.providers:
            rules = json.dumps(provider.policy.to_json(), sort_keys=True)
            digest.update(repr((provider.code, sorted(provider.sites), provider.suspended, rules)).encode())
            for ca in provider.cas:
                digest.update(repr((ca.group, ca.anchor, len(ca.der))).encode() + ca.der)
        return digest.hexdigest()

    def provider(self, code: str) -> ProviderTrust | None:
        return next((provider for provider in self.providers if provider.code == code), None)
