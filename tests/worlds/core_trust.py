"""A small practice trust for core tests: root, issuing CA, lock certificates, CRLs and answers, made once per key kind."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from calock.core import libcrypto
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate, verify_token
from calock.core.policy import Policy, RevocationRules
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.core.verdict import Verdict
from calock.demo import pki
from calock.wire.token import AuthToken

AT = datetime(2026, 6, 1, tzinfo=pki.EPOCH.tzinfo)
START, END = pki.EPOCH, pki.years(pki.EPOCH, 3)
ORIGIN, CHALLENGE = "https://login.example", "c2.login.test"
KINDS = ("SM2", "EC", "RSA")
DATES = {"not_before": START, "not_after": END}
OFF = Policy(revocation=RevocationRules(mode="off"))
USCC = "91350100M000100Y43"
"""The example of GB 32100-2015."""


@cache
def key(kind: str, name: str = "leaf") -> pki.Key:
    return pki.make_key(kind)  # type: ignore[arg-type]


@dataclass(frozen=True)
class World:
    """Root and issuing CA of one key kind."""

    kind: str
    root: pki.Authority
    ca: pki.Authority

    def crls(self, *revoked: int, **changes: Any) -> list[bytes]:
        values = {"this_update": AT - timedelta(hours=1), "next_update": AT + timedelta(days=1), **changes}
        return [self.root.crl(**values), self.ca.crl([(serial, AT, "keyCompromise") for serial in revoked], **values)]

    def lock(self, **changes: Any) -> bytes:
        """A lock's certificate; ``changes`` as ``Authority.issue_lock`` takes them."""
        values = {"not_before": START, "not_after": END, "uscc": USCC, "serial": 4242, **changes}
        return self.ca.issue_lock(values.pop("common_name", "practice holder"), values.pop("key", key(self.kind)), **values)

    def raw_lock(self, *extra: pki.Extension, drop: Sequence[str] = (), **changes: Any) -> bytes:
        """A lock's certificate with full control: ``drop`` leaves extensions out by OID, ``extra`` adds some."""
        usual = [
            pki.extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
            pki.key_usage("digital_signature"),
            pki.extension(x509.AuthorityKeyIdentifier(self.ca.key.key_id, None, None)),
        ]
        extensions = [*(item for item in usual if item[0] not in drop), *extra]
        values = {"not_before": START, "not_after": END, "serial": 4243, **changes}
        subject = values.pop("subject", pki.name("practice holder"))
        spki = values.pop("spki", key(self.kind).spki_der)
        signer = values.pop("signer", self.ca)
        return signer.issue(subject, spki, extensions=extensions, **values)

    def register(
        self, policy: Policy | None = None, *, code: str = "practice", sites: frozenset[str] = frozenset(), **more: Any
    ) -> Register:
        cas = (CaCertificate.of(self.root.certificate, anchor=True), CaCertificate.of(self.ca.certificate))
        return Register([ProviderTrust(code, cas, policy or Policy(), sites, **more)])

    def evidence(self, crls: Sequence[bytes] | None = None, at: datetime = AT) -> InMemoryEvidence:
        return InMemoryEvidence(
            self.crls() if crls is None else crls,
            anchors=[Certificate.parse(self.root.certificate)],
            others=[Certificate.parse(self.ca.certificate)],
            at=at,
        )

    def setting(self, policy: Policy | None = None, **changes: Any) -> VerificationInputs:
        values = {"register": self.register(policy), "at": AT, "evidence": self.evidence(), **changes}
        return VerificationInputs(**values)

    def judge(self, der: bytes, policy: Policy | None = None, **changes: Any) -> Verdict:
        return verify_certificate(der, self.setting(policy, **changes))

    def verify_token(
        self, token: Any, policy: Policy | None = None, *, origin: str = ORIGIN, challenge: str = CHALLENGE, **changes: Any
    ) -> Verdict:
        return verify_token(token, self.setting(policy, **changes), origin=origin, challenge=challenge)


@cache
def world(kind: str = "EC") -> World:
    root = pki.make_root("practice root", kind, key(kind, "root"), not_before=START, not_after=END)  # type: ignore[arg-type]
    return World(kind, root, root.intermediate("practice CA", key(kind, "ca"), not_before=START, not_after=END))


ALGORITHM = {"SM2": "SM2", "EC": "ES256", "RSA": "RS256"}


def raw_signature(signer: pki.Key, message: bytes, *, pss: bool = False) -> bytes:
    """As answers carry it: r‖s for SM2 and ECDSA."""
    if signer.algorithm == "RSA":
        private = serialization.load_der_private_key(signer.private_pkcs8, None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(private, rsa.RSAPrivateKey)
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else padding.PKCS1v15()
        return private.sign(message, scheme, hashes.SHA256())
    return libcrypto.der_to_raw(signer.sign(message))


def answer(der: bytes, signer: pki.Key, *, origin: str = ORIGIN, challenge: str = CHALLENGE, **changes: Any) -> AuthToken:
    """A right answer, unless ``changes`` replace some of its fields."""
    algorithm = ALGORITHM[signer.algorithm]
    signature = raw_signature(signer, signatures.signed_message(algorithm, origin, challenge))
    values = {
        "format": "web-eid:1.0", "unverified_certificate": base64.b64encode(der).decode(), "algorithm": algorithm,
        "signature": base64.b64encode(signature).decode(), **changes,
    }  # fmt: skip
    return AuthToken(**values)


def trusting(*cas: bytes, policy: Policy = OFF) -> Register:
    """A register of one provider: the practice root as anchor, and these CA certificates below it."""
    anchor = CaCertificate.of(world().root.certificate, anchor=True)
    return Register([ProviderTrust("p", (anchor, *map(CaCertificate.of, cas)), policy)])
