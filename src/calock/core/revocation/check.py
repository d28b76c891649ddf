"""The revocation step: every certificate of the path except the anchor is checked against all evidence. It fails closed.

A revocation by any source is final. Four reasons are kept apart: unknown (the source does not know the certificate),
unavailable (no data), stale (only old data) and untrusted (data whose signer, scope or form is not acceptable). The rules, and
what other software does: docs/decisions/revocation.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.der.distribution_points import ALL_REASONS
from calock.core.policy import Policy, RevocationRules, by_rule
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.ca_graph import MAX_DEPTH, CaGraph
from calock.core.revocation.crl_entries import HOLD
from calock.core.revocation.crl_index import CrlEntry, CrlIndex
from calock.core.revocation.evidence import ApplicableCrl, RevocationEvidence, VerifiedSingleResponse, responses_about
from calock.core.revocation.findings import RevocationFinding, about_revocation, revoked, strongest
from calock.core.revocation.ocsp import CertStatus, read_response
from calock.core.revocation.responder import OCSP_NOCHECK, ResponderAuthorization
from calock.core.revocation.signed_data import SignatureRejectedError, refuse_exceptions
from calock.core.verdict import Check, RevocationStatus, Step, failed, passed, skipped

FETCH_MAY_HELP = frozenset({Reason.REVOCATION_UNAVAILABLE, Reason.REVOCATION_STALE, Reason.REVOCATION_UNTRUSTED})
"""Outcomes that newer data from the provider's own sources could change."""

_OTHERS_ONLY = "the CRLs of its CA at hand are about others: another distribution point, or another kind of certificate"
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_REVOKED = frozenset({Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_ON_HOLD, Reason.CA_REVOKED})


class SameKey(NamedTuple):
    """Another certificate over the key of a CA certificate of a path."""

    number: int
    """Place of that CA certificate in the path: 1 = the leaf's issuer."""
    certificate: Certificate
    issuer: Certificate
    """Whose key signed ``certificate``."""


class RevocationResult(msgspec.Struct, frozen=True):
    """One check for each certificate below the anchor, and the evidence for each."""

    checks: tuple[Check, ...]
    statuses: tuple[RevocationStatus, ...]
    findings: tuple[RevocationFinding, ...]

    @property
    def reason(self) -> Reason | None:
        """Reason of the first failed check; None = the step passes."""
        return next((check.reason for check in self.checks if check.passed is False), None)


_SWITCHED_OFF = RevocationResult((skipped(Step.REVOCATION, "revocation", "switched off by the provider's rules"),), (), ())


def check_revocation(
    path: Sequence[Certificate],
    *,
    evidence: RevocationEvidence,
    policy: Policy,
    at: datetime,
    stapled: Iterable[bytes] = (),
    anchored: bool = True,
    same_keys: Sequence[SameKey] = (),
) -> RevocationResult:
    """Check every certificate of ``path`` (leaf first) whose issuer follows in it.

    ``stapled``: OCSP responses (DER) that came with the request; they are checked like all others. ``anchored`` False: the last
    certificate of the path is not an anchor, and its status is unavailable. ``same_keys``: other certificates over the path's
    CA keys, of which only a revocation for a compromised key counts: that key is lost, whichever of its certificates a path
    goes through.

    Raises:
        Refusal: CERTIFICATE_EXTENSION, when the distribution points of a certificate cannot be read.
    """
    rules = policy.revocation
    if rules.mode == "off":
        return _SWITCHED_OFF
    checker = _StatusChecker(evidence, policy, at, [*stapled])
    findings = [checker.status_of(certificate, issuer) for certificate, issuer in pairwise(path)]
    if not anchored and path:
        findings.append(RevocationFinding(Reason.REVOCATION_UNAVAILABLE, detail="the issuer's certificate is not known"))
    checks = [_check(depth, finding, rules) for depth, finding in enumerate(findings)]
    for other in same_keys:
        lost = _lost_key(checker, other)
        if lost is not None:
            checks = [check for check in checks if check.name != lost.name] + [lost]
    return RevocationResult(
        tuple(checks),
        tuple([finding.status(certificate) for finding, certificate in zip(findings, path, strict=False)]),
        tuple(findings),
    )


def _lost_key(checker: _StatusChecker, other: SameKey) -> Check | None:
    """The refusal for a CA key that is compromised according to another certificate over it; None = it is not known to be."""
    finding = checker.status_of(other.certificate, other.issuer)
    if not finding.means_lost_key:
        return None
    detail = f"another certificate over this CA's key is revoked: {finding.detail}"
    return failed(Step.REVOCATION, _name(other.number), Reason.CA_REVOKED, detail)


def _check(depth: int, finding: RevocationFinding, rules: RevocationRules) -> Check:
    reason = finding.reason
    if reason is None:
        return _good_check(depth, finding.detail)
    name = _name(depth)
    if depth and reason in _REVOKED:
        reason = Reason.CA_REVOKED
    if reason is Reason.REVOCATION_UNAVAILABLE and rules.mode == "if_available":
        return Check(Step.REVOCATION, name, None, reason, f"not required by the provider's rules: {finding.detail}")
    return failed(Step.REVOCATION, name, reason, finding.detail)


def _name(depth: int) -> str:
    return "revocation-leaf" if depth == 0 else f"revocation-ca-{depth}"


@lru_cache(maxsize=64)
def _good_check(depth: int, detail: str) -> Check:
    return passed(Step.REVOCATION, _name(depth), detail)


def _own_status(reason: Reason, signer: Certificate) -> str:
    """Why the status of an OCSP signer's own certificate lets it answer for nobody."""
    problem = f"the OCSP signer's own status: {reason}"
    if reason is Reason.REVOCATION_UNAVAILABLE and OCSP_NOCHECK in signer.by_oid:
        return by_rule(f"{problem}; its certificate lives too long for its nocheck to count", "nocheck_max_days")
    return problem


def later(moment: datetime, seconds: int) -> datetime:
    """``moment`` plus so many seconds, or the end of time."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return _END_OF_TIME


class _StatusChecker:
    """Checks single certificates with one set of evidence, rules and time."""

    __slots__ = ("at", "evidence", "policy", "rules", "stapled")

    def __init__(self, evidence: RevocationEvidence, policy: Policy, at: datetime, stapled: list[bytes]) -> None:
        self.evidence = evidence
        self.policy = policy
        self.rules = policy.revocation
        self.at = at
        self.stapled = stapled

    def status_of(self, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes] = frozenset()) -> RevocationFinding:
        """The status of one certificate. ``seen``: certificates whose status is being looked up by a caller of this call."""
        final = self.evidence.final_for(issuer, certificate.serial)
        if final is not None:
            return RevocationFinding(
                Reason.CERTIFICATE_REVOKED, final.source, final.detail, sha256=final.sha256, revoked_at=final.revoked_at
            )
        usual = self._by_single_complete_crl(certificate, issuer)
        if usual is not None:
            return usual
        found = [*self._ocsp(certificate, issuer, seen)]
        found += self._crls(certificate, issuer, seen)
        if not found:
            found = [
                RevocationFinding(item.reason, "", f"{item.what}: {item.detail}", sha256=item.sha256)
                for item in self.evidence.rejected_for(issuer)
            ]
        if not found:
            detail = _OTHERS_ONLY if self.evidence.crls_for(issuer) else "no revocation data at hand are about this certificate"
            return RevocationFinding(Reason.REVOCATION_UNAVAILABLE, detail=detail)
        return strongest(found)

    def _by_single_complete_crl(self, certificate: Certificate, issuer: Certificate) -> RevocationFinding | None:
        """The usual case, by the same rules: no OCSP, one complete CRL by the issuing key, current, and the serial is not on it."""
        crls = self.evidence.crls_for(issuer)
        if self.stapled or len(crls) != 1:
            return None
        applicable, at = crls[0], self.at
        crl = applicable.crl
        if not applicable.is_alone or not crl.this_update <= at <= crl.next_update:
            return None
        limit = self.rules.ca_crl_max_age if certificate.is_ca else self.rules.crl_max_age
        if limit is not None and (at - crl.this_update).total_seconds() > limit:
            return None
        if crl.lookup(certificate.serial) is not None or self.evidence.ocsp_for(issuer, certificate.serial):
            return None
        return crl.good

    # --- OCSP

    def _ocsp(self, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes]) -> Iterable[RevocationFinding]:
        responses = list(self.evidence.ocsp_for(issuer, certificate.serial))
        for blob in self.stapled:
            try:
                graph = CaGraph((), (issuer,), policy=self.policy, at=self.at)
                responses += responses_about(read_response(blob), issuer, certificate.serial, graph=graph, stapled=True)
            except Refusal as refusal:
                yield RevocationFinding(about_revocation(refusal.reason), "stapled", refusal.detail)
        for item in responses:
            yield self._check_response(item, issuer, seen)

    def _check_response(self, item: VerifiedSingleResponse, issuer: Certificate, seen: frozenset[bytes]) -> RevocationFinding:
        single = item.single
        source = "stapled" if item.stapled else "ocsp"

        def finding(reason: Reason | None, detail: str = "") -> RevocationFinding:
            revoked_at = single.revoked_at
            return RevocationFinding(reason, source, detail, single.this_update, single.next_update, item.sha256, revoked_at)

        problem = self._responder_problem(item, issuer, seen)
        if problem:
            return finding(Reason.REVOCATION_UNTRUSTED, problem)
        if single.status is CertStatus.REVOKED and single.reason != HOLD and single.this_update - self.at <= self._skew:
            return finding(*revoked(single.reason))  # final, whatever the age of the response
        late = self._response_age_problem(item, issuer)
        if late:
            return finding(Reason.REVOCATION_STALE, late)
        if single.status is CertStatus.REVOKED:
            return finding(*revoked(single.reason))
        if single.status is CertStatus.UNKNOWN:
            return finding(Reason.REVOCATION_UNKNOWN, "the OCSP responder does not know this certificate")
        return finding(None, "good by OCSP")

    @property
    def _skew(self) -> timedelta:
        return timedelta(seconds=self.rules.future_skew)

    def _response_age_problem(self, item: VerifiedSingleResponse, issuer: Certificate) -> str:
        """Why the times of the response are not acceptable; empty = they are."""
        single, rules = item.single, self.rules
        if single.this_update - self.at > self._skew:
            return "the OCSP answer is from the future"
        end = single.next_update or later(single.this_update, rules.ocsp_no_next_update_age)
        skew = timedelta(seconds=rules.ocsp_skew) if single.next_update else timedelta()
        if self.at - end > skew:
            if single.next_update:
                return "the OCSP answer is past its nextUpdate"
            without = f"the OCSP answer has no nextUpdate and is older than {rules.ocsp_no_next_update_age} s"
            return by_rule(without, "ocsp_no_next_update_age")
        rule, limit = ("ocsp_live_max_age", rules.ocsp_live_max_age) if item.live else ("ocsp_max_age", rules.ocsp_max_age)
        too_old = self._too_old(single.this_update, limit, issuer)
        return by_rule(f"the OCSP answer is older than {limit} s", rule) if too_old else ""

    def _too_old(self, this_update: datetime, limit: int | None, issuer: Certificate) -> bool:
        """Whether data of this CA are past the age limit (seconds), and no emergency of that CA lifts it."""
        if limit is None or (self.at - this_update).total_seconds() <= limit:
            return False
        emergency = self.rules.emergency_end(issuer.spki_sha256)
        return emergency is None or self.at >= emergency

    def _responder_problem(self, item: VerifiedSingleResponse, issuer: Certificate, seen: frozenset[bytes]) -> str:
        certificate = item.responder.certificate
        if not certificate.not_before <= self.at <= certificate.not_after:
            return "the OCSP signer's certificate is not valid at this time"
        if item.responder.authorization is not ResponderAuthorization.DELEGATE:
            return ""
        if certificate.der in seen or len(seen) >= MAX_DEPTH:
            return "the OCSP signer's own status cannot be found out"
        found = [*self._crls(certificate, issuer, seen | {certificate.der})]
        if not item.responder.check_needed(timedelta(days=self.rules.nocheck_max_days)):
            # its status need not be known; but a known revocation counts
            found = [finding for finding in found if finding.reason is Reason.CERTIFICATE_REVOKED]
            return "the OCSP signer's certificate is revoked" if found else ""
        if not found and self.rules.mode == "if_available":
            return ""
        own = strongest(found or [RevocationFinding(Reason.REVOCATION_UNAVAILABLE)])
        return "" if own.reason is None else _own_status(own.reason, certificate)

    # --- CRL

    def _crls(self, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes]) -> Iterable[RevocationFinding]:
        covered = 0
        good: RevocationFinding | None = None
        for applicable in self.evidence.crls_for(issuer):
            mask = applicable.crl.scope.reasons_for(certificate)
            if not mask:
                continue
            finding = self._check_crl(applicable, certificate, issuer, seen)
            if finding.reason is not None:
                yield finding
            else:
                covered |= mask
                good = finding
        if good is not None and covered == ALL_REASONS:
            yield good
        elif good is not None:
            yield RevocationFinding(
                Reason.REVOCATION_UNTRUSTED, "crl", "the CRLs at hand do not cover all reasons", good.this_update, good.next_update
            )

    def _check_crl(
        self, applicable: ApplicableCrl, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes]
    ) -> RevocationFinding:
        crl = applicable.crl

        def finding(reason: Reason, detail: str, on: CrlIndex = crl, entry: CrlEntry | None = None) -> RevocationFinding:
            revoked_at = entry.revoked_at if entry else None
            return RevocationFinding(reason, "crl", detail, on.this_update, on.next_update, on.sha256, revoked_at)

        problem = self._signature_problem(applicable) or self._signer_problem(applicable, seen)
        if problem:
            return finding(Reason.REVOCATION_UNTRUSTED, problem)
        if crl.this_update - self.at > self._skew:
            return finding(Reason.REVOCATION_STALE, "the CRL is from the future")
        on, entry = crl, crl.lookup(certificate.serial)
        if entry is None or not entry.final:
            final = self._final_entry(applicable, certificate.serial)
            if final is not None:
                return finding(*revoked(final[1].reason), *final)
            late = self._crl_age_problem(applicable, issuer, is_ca=certificate.is_ca)
            if late:
                return finding(Reason.REVOCATION_STALE, late)
            on, entry = self._delta_entry(applicable, certificate.serial) or (crl, entry)
        if entry is None or entry.removed:
            return crl.good
        return finding(*revoked(entry.reason), on, entry)

    def _final_entry(self, applicable: ApplicableCrl, serial: int) -> tuple[CrlIndex, CrlEntry] | None:
        """A final revocation on the delta or on another CRL of the series, and that CRL, whatever its age."""
        others = (
            applicable.same_series_crls
            if applicable.delta is None or not self.rules.delta
            else (applicable.delta, *applicable.same_series_crls)
        )
        for crl in others:
            entry = crl.lookup(serial) if crl.this_update - self.at <= self._skew else None
            if entry is not None and entry.final:
                return crl, entry
        return None

    def _delta_entry(self, applicable: ApplicableCrl, serial: int) -> tuple[CrlIndex, CrlEntry] | None:
        """A current delta CRL and its entry, which may add a revocation or lift a hold."""
        delta = applicable.delta
        if delta is None or not self.rules.delta or delta.this_update - self.at > self._skew or self.at > delta.next_update:
            return None
        entry = delta.lookup(serial)
        return None if entry is None else (delta, entry)

    def _crl_age_problem(self, applicable: ApplicableCrl, issuer: Certificate, *, is_ca: bool) -> str:
        crl, rules = applicable.crl, self.rules
        if self.at > crl.next_update:
            return "the CRL is past its nextUpdate"
        rule, limit = ("ca_crl_max_age", rules.ca_crl_max_age) if is_ca else ("crl_max_age", rules.crl_max_age)
        too_old = self._too_old(crl.this_update, limit, issuer)
        return by_rule(f"the CRL is older than {limit} s", rule) if too_old else ""

    def _signature_problem(self, applicable: ApplicableCrl) -> str:
        """Whether a dated exception that the CRL's signature needs has ended since the CRL was stored."""
        try:
            refuse_exceptions(applicable.exceptions, policy=self.policy, at=self.at)
        except SignatureRejectedError as error:
            return f"CRL signature: {error}"
        return ""

    def _signer_problem(self, applicable: ApplicableCrl, seen: frozenset[bytes]) -> str:
        """A CRL signed by another key than the issuing one counts while the certificates of that key are valid, on one path."""
        problem = ""
        for path in applicable.signer_paths:
            problem = self._signer_path_problem(path, seen)
            if not problem:
                return ""
        return problem

    def _signer_path_problem(self, path: Sequence[Certificate], seen: frozenset[bytes]) -> str:
        for certificate, issuer in pairwise(path):
            if not certificate.not_before <= self.at <= certificate.not_after:
                return "the CRL signer's certificate is not valid at this time"
            if certificate.der in seen or len(seen) >= MAX_DEPTH:
                return "the CRL signer's own status cannot be found out"
            own = self.status_of(certificate, issuer, seen | {certificate.der})
            if own.reason is not None:
                return f"the CRL signer's own status: {own.reason}"
        return ""
