"""Revocation evidence: verified CRLs and OCSP responses by issuing key.

Evidence is verified and assigned to issuing keys once, when it arrives. A verification then only looks a serial up and compares
times with the clock (:mod:`calock.core.revocation.check`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self

from calock.core.certificates.certificate import Certificate
from calock.core.der import names
from calock.core.der.containers import values_in
from calock.core.policy import Legacy, Policy
from calock.core.refusals import Reason, Refusal
from calock.core.register import Register
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.crl import CrlHeader, may_sign_crls, read_crl
from calock.core.revocation.crl_index import CrlIndex, build_index
from calock.core.revocation.crl_scope import CrlScope
from calock.core.revocation.findings import about_revocation
from calock.core.revocation.ocsp import BasicOcspResponse, CertStatus, SingleResponse, names_certificate, read_response
from calock.core.revocation.responder import Responder, find_responder
from calock.core.revocation.signed_data import SignatureRejectedError, exceptions_needed, revocation_untrusted

MAX_SIGNERS = 8
"""Certificates of one name that are tried as the signer of one CRL."""


@dataclass(frozen=True, slots=True)
class ApplicableCrl:
    """A CRL that covers certificates of one issuing key, with its newest delta."""

    crl: CrlIndex
    delta: CrlIndex | None = None
    signer_paths: tuple[tuple[Certificate, ...], ...] = ()
    """The signer's certificates up to an anchor when the signer is not the issuing key itself: on one path all must be good."""
    same_series_crls: tuple[CrlIndex, ...] = ()
    """Other CRLs of the same signer and scope, older or not to be combined: a final revocation on one of them stays final."""
    exceptions: frozenset[Legacy] = frozenset()
    """Dated exceptions of the rules that the signatures of CRL and delta rest on: they count as long as those last."""
    is_alone: bool = field(init=False)
    """A complete CRL by the issuing key itself, with no delta and no other CRL of its series: it alone decides."""

    def __post_init__(self) -> None:
        alone = self.crl.is_complete and not (self.signer_paths or self.same_series_crls or self.delta or self.exceptions)
        object.__setattr__(self, "is_alone", alone)


@dataclass(frozen=True, slots=True)
class VerifiedSingleResponse:
    """A SingleResponse about one certificate, whose signature was verified."""

    single: SingleResponse
    responder: Responder
    sha256: str
    stapled: bool = False
    live: bool = False
    """Fetched for this very verification: the lower age limit applies."""
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RejectedEvidence:
    """Evidence that was given but cannot be used, and why."""

    what: str
    """``CRL`` or ``OCSP response``."""
    sha256: str
    reason: Reason
    detail: str
    issuers: frozenset[str] = frozenset()
    """SPKI SHA-256 of the issuing keys that it claims to cover; empty = not known."""


@dataclass(frozen=True, slots=True)
class FinalRevocation:
    """A final revocation that was verified earlier. It stays final also when that evidence is no longer at hand."""

    revoked_at: datetime | None
    source: str
    """``crl``, ``ocsp`` or ``stapled``."""
    sha256: str
    """Of the evidence that proved it."""
    detail: str = ""


class RevocationEvidence(Protocol):
    """Source of revocation data for verification. Implementations do not fetch, wait or verify."""

    def of_provider(self, code: str) -> RevocationEvidence:
        """What counts by the CAs and rules of this provider; an empty code: whichever provider has the issuing key."""

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:
        """CRLs that cover certificates signed with this issuer's key."""

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:
        """Responses about one certificate of this issuer."""

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:
        """Evidence for this issuer that cannot be used."""

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:
        """A known final revocation of one certificate of this issuer, whatever the other data say."""


class EvidenceForAll:
    """Evidence that was verified by one set of rules: every provider is given the same."""

    def of_provider(self, code: str) -> Self:  # noqa: ARG002 - the protocol's signature
        return self


class NoRevocationEvidence(EvidenceForAll):
    """No revocation data at all."""

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:  # noqa: ARG002 - the protocol's signature
        return ()

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:  # noqa: ARG002 - the protocol's signature
        return ()

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:  # noqa: ARG002 - the protocol's signature
        return ()

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:  # noqa: ARG002 - the protocol's signature
        return None


class InMemoryEvidence(EvidenceForAll):
    """Evidence from given files, for the command line and for programs that use calock as a library.

    Everything is verified with the given CA certificates. What cannot be used is kept with the reason.
    """

    def __init__(
        self,
        crls: Iterable[bytes] = (),
        ocsp: Iterable[bytes] = (),
        *,
        anchors: Iterable[Certificate] = (),
        others: Iterable[Certificate] = (),
        policy: Policy | None = None,
        at: datetime,
    ) -> None:
        self.policy = policy or Policy()
        self.at = at
        self.graph = CaGraph(anchors, others, policy=self.policy, at=at)
        self.rejected: list[RejectedEvidence] = []
        self._applicable: dict[str, list[ApplicableCrl]] = {}
        self._responses: list[BasicOcspResponse] = []
        indexes = [index for blob in crls for index in self._read_crls(blob)]
        self._link(indexes)
        for blob in ocsp:
            self._read_ocsp(blob)

    @classmethod
    def for_register(cls, register: Register, crls: Iterable[bytes] = (), ocsp: Iterable[bytes] = (), *, at: datetime) -> Self:
        """Evidence about the CAs of a register with one provider, by that provider's rules.

        Raises:
            ValueError: the register has several providers, whose rules may differ.
        """
        if len(register.providers) != 1:
            raise ValueError("evidence is verified by one provider's rules; this register has another number of providers")
        anchors = [issuer.certificate for issuer in register.issuers if issuer.ca.anchor]
        others = [issuer.certificate for issuer in register.issuers if not issuer.ca.anchor]
        return cls(crls, ocsp, anchors=anchors, others=others, policy=register.providers[0].policy, at=at)

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:
        return self._applicable.get(issuer.spki_sha256, ())

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:
        found: list[VerifiedSingleResponse] = []
        for response in self._responses:
            try:
                found += responses_about(response, issuer, serial, graph=self.graph)
            except Refusal as refusal:
                self._note("OCSP response", response.sha256, refusal, frozenset((issuer.spki_sha256,)))
        return found

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:
        return [item for item in self.rejected if not item.issuers or issuer.spki_sha256 in item.issuers]

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:  # noqa: ARG002 - the protocol's signature
        return None

    def _note(self, what: str, sha256: str, refusal: Refusal, issuers: frozenset[str]) -> None:
        item = RejectedEvidence(what, sha256, about_revocation(refusal.reason), refusal.detail, issuers)
        if item not in self.rejected:
            self.rejected.append(item)

    def _read_crls(self, blob: bytes) -> Iterable[CrlIndex]:
        for der in values_in(blob, b"X509 CRL"):
            issuers: frozenset[str] = frozenset()
            try:
                head = read_crl(der)
                candidates = self.graph.named(names.readable_key(head.issuer_der, Reason.REVOCATION_UNTRUSTED))
                issuers = frozenset(item.spki_sha256 for item in candidates)
                yield verified(der, head, candidates, policy=self.policy, at=self.at)
            except Refusal as refusal:
                self._note("CRL", hashlib.sha256(der).hexdigest(), refusal, issuers)

    def _link(self, indexes: Sequence[CrlIndex]) -> None:
        self._applicable = link_crls(indexes, self.graph)

    def _read_ocsp(self, blob: bytes) -> None:
        for der in values_in(blob, b"OCSP RESPONSE"):
            try:
                self._responses.append(read_response(der))
            except Refusal as refusal:
                self._note("OCSP response", hashlib.sha256(der).hexdigest(), refusal, frozenset())


def verified(der: bytes, head: CrlHeader, candidates: Sequence[Certificate], *, policy: Policy, at: datetime) -> CrlIndex:
    """Find which of ``candidates`` signed this CRL, and index it.

    Raises:
        Refusal: REVOCATION_UNTRUSTED.
    """
    refusal: Refusal | None = None
    usable_last = sorted(candidates, key=lambda item: (may_sign_crls(item) and item.not_before <= at <= item.not_after, item.der))
    by_key = {item.spki_sha256: item for item in usable_last}  # one certificate for each key
    preferred = sorted(by_key.values(), key=lambda item: (item.subject_key_id != head.authority_key_id, item.der))
    for candidate in preferred[:MAX_SIGNERS]:
        try:
            return build_index(der, candidate, policy=policy, at=at, head=head)
        except Refusal as found:
            refusal = refusal or found
    raise refusal or revocation_untrusted("no recognised CA has the name of this CRL's issuer")


def link_crls(indexes: Sequence[CrlIndex], graph: CaGraph) -> dict[str, list[ApplicableCrl]]:
    """The CRLs that cover each issuing key (SPKI SHA-256): the newest of each scope, with the delta that fits it.

    A CRL is left out when its signer's key is not among those of the graph, or when the rules no longer allow its signature.
    """
    by_issuer: defaultdict[str, list[ApplicableCrl]] = defaultdict(list)
    present = {certificate.spki_sha256 for certificate in graph.certificates}
    needed: dict[str, frozenset[Legacy]] = {}
    for index in indexes:
        if index.signer_spki_sha256 in present:
            with suppress(SignatureRejectedError):
                signer = Certificate.parse(index.signer_der)
                needed[index.sha256] = exceptions_needed(signer.spki_der, index.algorithm, policy=graph.policy)
    indexes = [index for index in indexes if index.sha256 in needed]
    for crl in newest(index for index in indexes if not index.is_delta):
        signer = Certificate.parse(crl.signer_der)
        delta = best_delta(crl, indexes)
        same_series_crls = tuple(item for item in indexes if item is not crl and item is not delta and same_series(item, crl))
        signers = [item for item in graph.over_the_same_key(signer) if item == signer or may_sign_crls(item)]
        covered = dict.fromkeys(issuer for item in signers for issuer in graph.issuers_covered_by(item))
        for issuer in covered:
            own = signer.spki_sha256 == issuer.spki_sha256
            paths = () if own else tuple(path for item in signers for path in graph.paths_of(item))
            exceptions = needed[crl.sha256] | (needed[delta.sha256] if delta else frozenset())
            found = ApplicableCrl(crl, delta, paths, same_series_crls, exceptions)
            if (own or paths) and found not in by_issuer[issuer.spki_sha256]:
                by_issuer[issuer.spki_sha256].append(found)
    return dict(by_issuer)


def newest(indexes: Iterable[CrlIndex]) -> list[CrlIndex]:
    """Keep the newest CRL of each signer and scope."""
    kept: dict[object, CrlIndex] = {}
    for index in indexes:
        key = series_of(index)
        if key not in kept or age_key(kept[key]) < age_key(index):
            kept[key] = index
    return list(kept.values())


def series_of(index: CrlIndex) -> tuple[str, CrlScope]:
    """Signer and scope: CRLs that have both in common replace or complete one another."""
    return index.signer_spki_sha256, index.scope


def same_series(one: CrlIndex, other: CrlIndex) -> bool:
    return series_of(one) == series_of(other)


def age_key(index: CrlIndex) -> tuple[datetime, int]:
    return index.this_update, index.number or 0


def best_delta(crl: CrlIndex, indexes: Iterable[CrlIndex]) -> CrlIndex | None:
    """Choose the newest delta that may be combined with ``crl`` (RFC 5280 clause 5.2.4)."""
    fitting = [
        delta
        for delta in indexes
        if delta.base_number is not None
        and crl.number is not None
        and delta.number is not None
        and delta.base_number <= crl.number < delta.number
        and delta.this_update >= crl.this_update
        and same_series(delta, crl)
    ]
    return max(fitting, key=age_key, default=None)


def responses_about(
    response: BasicOcspResponse,
    issuer: Certificate,
    serial: int,
    *,
    graph: CaGraph,
    stapled: bool = False,
    live: bool = False,
    received_at: datetime | None = None,
) -> list[VerifiedSingleResponse]:
    """What one response says about one certificate: of several the newest, but a revocation before all, and unknown before good.

    Raises:
        Refusal: REVOCATION_UNTRUSTED; it is about this certificate, but its signer is not authorized.
    """
    found = [item for item in response.responses if names_certificate(item.cert_id, issuer, serial)]
    if not found:
        return []
    responder = find_responder(response, issuer, known=graph.certificates, policy=graph.policy, at=graph.at)
    chosen = max(found, key=_weight)
    return [VerifiedSingleResponse(chosen, responder, response.sha256, stapled, live, received_at)]


def _weight(item: SingleResponse) -> tuple[bool, datetime, bool]:
    return item.status is CertStatus.REVOKED, item.this_update, item.status is CertStatus.UNKNOWN
