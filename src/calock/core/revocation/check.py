"""The revocation step: every certificate of the path but the anchor, judged by all evidence there is. Fails closed.

Revoked by any source is final. Unknown (the source does not know the certificate), unavailable (there is no data), stale (there
was) and untrusted (there is data that cannot be believed) are four different reasons.
Rules and where peers stand on each: docs/decisions/revocation.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.ca_graph import MAX_DEPTH, CaGraph
from calock.core.revocation.crl_entries import HOLD
from calock.core.revocation.crl_index import Entry
from calock.core.revocation.crl_scope import ALL_REASONS
from calock.core.revocation.evidence import CrlOffer, Evidence, OcspAnswer, answers_of
from calock.core.revocation.findings import Finding, about_revocation, revoked, strongest
from calock.core.revocation.ocsp import CertStatus, read_response
from calock.core.revocation.responder import Standing
from calock.core.revocation.signed_data import SignatureProblemError, refuse_exceptions
from calock.core.verdict import Check, RevocationStatus, Step, failed, passed, skipped

FETCH_MAY_HELP = frozenset({Reason.REVOCATION_UNAVAILABLE, Reason.REVOCATION_STALE, Reason.REVOCATION_UNTRUSTED})
"""Outcomes that newer data from the provider's own sources could change."""

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_REVOKED = frozenset({Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_ON_HOLD, Reason.CA_REVOKED})


class RevocationResult(msgspec.Struct, frozen=True):
    """One check for each certificate below the anchor, and what each rests on."""

    checks: tuple[Check, ...]
    statuses: tuple[RevocationStatus, ...]
    findings: tuple[Finding, ...]

    @property
    def reason(self) -> Reason | None:
        """Reason of the first failed check; None = nothing speaks against the path."""
        return next((check.reason for check in self.checks if check.passed is False), None)


_SWITCHED_OFF = RevocationResult((skipped(Step.REVOCATION, "revocation", "switched off by the provider's rules"),), (), ())


def check_revocation(
    path: Sequence[Certificate],
    *,
    evidence: Evidence,
    policy: Policy,
    at: datetime,
    stapled: Iterable[bytes] = (),
    anchored: bool = True,
) -> RevocationResult:
    """Judge every certificate of ``path`` (leaf first) that has its issuer behind it.

    ``stapled``: OCSP responses (DER) that came with the request; they are judged like all others. ``anchored`` False: the last
    certificate of the path is not an anchor, and is judged as unavailable.

    Raises:
        Refusal: CERTIFICATE_EXTENSION, when a certificate does not say legibly which CRLs are meant.
    """
    rules = policy.revocation
    if rules.mode == "off":
        return _SWITCHED_OFF
    judge = _Judge(evidence, policy, at, [*stapled])
    findings = [judge.finding(certificate, issuer) for certificate, issuer in pairwise(path)]
    if not anchored and path:
        findings.append(Finding(Reason.REVOCATION_UNAVAILABLE, detail="the issuer's certificate is not known"))
    return RevocationResult(
        tuple([_check(depth, finding, rules) for depth, finding in enumerate(findings)]),
        tuple([finding.status(certificate) for finding, certificate in zip(findings, path, strict=False)]),
        tuple(findings),
    )


def _check(depth: int, finding: Finding, rules: RevocationRules) -> Check:
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


def later(moment: datetime, seconds: int) -> datetime:
    """``moment`` plus so many seconds, or the end of time."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return _END_OF_TIME


class _Judge:
    """One decision: the evidence, the rules and the moment."""

    __slots__ = ("at", "evidence", "policy", "rules", "stapled")

    def __init__(self, evidence: Evidence, policy: Policy, at: datetime, stapled: list[bytes]) -> None:
        self.evidence = evidence
        self.policy = policy
        self.rules = policy.revocation
        self.at = at
        self.stapled = stapled

    def finding(self, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes] = frozenset()) -> Finding:
        """Decide about one certificate. ``seen``: certificates whose own status is being found out above us."""
        final = self.evidence.final_for(issuer, certificate.serial)
        if final is not None:
            return Finding(Reason.CERTIFICATE_REVOKED, final.source, final.detail, sha256=final.sha256, revoked_at=final.revoked_at)
        usual = self._plainly_good(certificate, issuer)
        if usual is not None:
            return usual
        found = [*self._ocsp(certificate, issuer, seen)]
        found += self._crls(certificate, issuer, seen)
        if not found:
            found = [
                Finding(item.reason, "", f"{item.what}: {item.detail}", sha256=item.sha256)
                for item in self.evidence.unusable_for(issuer)
            ]
        if not found:
            return Finding(Reason.REVOCATION_UNAVAILABLE, detail="no revocation data at hand speak for this certificate")
        return strongest(found)

    def _plainly_good(self, certificate: Certificate, issuer: Certificate) -> Finding | None:
        """The usual case by the same rules with less ado: no OCSP, one complete CRL by the issuing key, in its time, not on it."""
        offers = self.evidence.crls_for(issuer)
        if self.stapled or len(offers) != 1:
            return None
        offer, at = offers[0], self.at
        crl = offer.crl
        if not offer.is_alone or not crl.this_update <= at <= crl.next_update:
            return None
        limit = self.rules.ca_crl_max_age if certificate.is_ca else self.rules.crl_max_age
        if limit is not None and (at - crl.this_update).total_seconds() > limit:
            return None
        if crl.lookup(certificate.serial) is not None or self.evidence.ocsp_for(issuer, certificate.serial):
            return None
        return crl.good

    # --- OCSP

    def _ocsp(self, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes]) -> Iterable[Finding]:
        answers = list(self.evidence.ocsp_for(issuer, certificate.serial))
        for blob in self.stapled:
            try:
                graph = CaGraph((), (issuer,), policy=self.policy, at=self.at)
                answers += answers_of(read_response(blob), issuer, certificate.serial, graph=graph, stapled=True)
            except Refusal as refusal:
                yield Finding(about_revocation(refusal.reason), "stapled", refusal.detail)
        for item in answers:
            yield self._judge_answer(item, issuer, seen)

    def _judge_answer(self, item: OcspAnswer, issuer: Certificate, seen: frozenset[bytes]) -> Finding:
        answer = item.answer
        source = "stapled" if item.stapled else "ocsp"

        def finding(reason: Reason | None, detail: str = "") -> Finding:
            revoked_at = answer.revoked_at
            return Finding(reason, source, detail, answer.this_update, answer.next_update, item.sha256, revoked_at)

        problem = self._responder_problem(item, issuer, seen)
        if problem:
            return finding(Reason.REVOCATION_UNTRUSTED, problem)
        if answer.status is CertStatus.REVOKED and answer.reason != HOLD and answer.this_update - self.at <= self._skew:
            return finding(*revoked(answer.reason))  # final, however old the answer is
        late = self._answer_age_problem(item, issuer)
        if late:
            return finding(Reason.REVOCATION_STALE, late)
        if answer.status is CertStatus.REVOKED:
            return finding(*revoked(answer.reason))
        if answer.status is CertStatus.UNKNOWN:
            return finding(Reason.REVOCATION_UNKNOWN, "the OCSP responder does not know this certificate")
        return finding(None, "good by OCSP")

    @property
    def _skew(self) -> timedelta:
        return timedelta(seconds=self.rules.future_skew)

    def _answer_age_problem(self, item: OcspAnswer, issuer: Certificate) -> str:
        """Say why the answer's times do not count; empty = they do."""
        answer, rules = item.answer, self.rules
        if answer.this_update - self.at > self._skew:
            return "the OCSP answer is from the future"
        end = answer.next_update or later(answer.this_update, rules.ocsp_no_next_update_age)
        skew = timedelta(seconds=rules.ocsp_skew) if answer.next_update else timedelta()
        if self.at - end > skew:
            return "the OCSP answer is past its nextUpdate" if answer.next_update else "the OCSP answer is too old"
        limit = rules.ocsp_live_max_age if item.live else rules.ocsp_max_age
        if self._too_old(answer.this_update, limit, issuer):
            return f"the OCSP answer is older than {limit} s"
        return ""

    def _too_old(self, this_update: datetime, limit: int | None, issuer: Certificate) -> bool:
        """Whether data of this CA are past the age limit (seconds), and no emergency of that CA lifts it."""
        if limit is None or (self.at - this_update).total_seconds() <= limit:
            return False
        emergency = self.rules.emergency_end(issuer.spki_sha256)
        return emergency is None or self.at >= emergency

    def _responder_problem(self, item: OcspAnswer, issuer: Certificate, seen: frozenset[bytes]) -> str:
        certificate = item.responder.certificate
        if not certificate.not_before <= self.at <= certificate.not_after:
            return "the OCSP signer's certificate is not valid at this time"
        if item.responder.standing is not Standing.DELEGATE:
            return ""
        if certificate.der in seen or len(seen) >= MAX_DEPTH:
            return "the OCSP signer's own status cannot be found out"
        found = [*self._crls(certificate, issuer, seen | {certificate.der})]
        if not item.responder.check_needed(timedelta(days=self.rules.nocheck_max_days)):
            # nobody need be asked about it; but what is known is known
            found = [finding for finding in found if finding.reason is Reason.CERTIFICATE_REVOKED]
            return "the OCSP signer's certificate is revoked" if found else ""
        if not found and self.rules.mode == "if_available":
            return ""
        own = strongest(found or [Finding(Reason.REVOCATION_UNAVAILABLE)])
        return "" if own.reason is None else f"the OCSP signer's own status: {own.reason}"

    # --- CRL

    def _crls(self, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes]) -> Iterable[Finding]:
        covered = 0
        good: Finding | None = None
        for offer in self.evidence.crls_for(issuer):
            mask = offer.crl.scope.reasons_for(certificate)
            if not mask:
                continue
            finding = self._judge_crl(offer, certificate, issuer, seen)
            if finding.reason is not None:
                yield finding
            else:
                covered |= mask
                good = finding
        if good is not None and covered == ALL_REASONS:
            yield good
        elif good is not None:
            yield Finding(
                Reason.REVOCATION_UNTRUSTED, "crl", "the CRLs at hand do not cover all reasons", good.this_update, good.next_update
            )

    def _judge_crl(self, offer: CrlOffer, certificate: Certificate, issuer: Certificate, seen: frozenset[bytes]) -> Finding:
        crl = offer.crl

        def finding(reason: Reason | None, detail: str, entry: Entry | None = None) -> Finding:
            revoked_at = entry.revoked_at if entry else None
            return Finding(reason, "crl", detail, crl.this_update, crl.next_update, crl.sha256, revoked_at)

        problem = self._signature_problem(offer) or self._signer_problem(offer, seen)
        if problem:
            return finding(Reason.REVOCATION_UNTRUSTED, problem)
        if crl.this_update - self.at > self._skew:
            return finding(Reason.REVOCATION_STALE, "the CRL is from the future")
        entry = crl.lookup(certificate.serial)
        if entry is None or not entry.final:
            final = self._final_entry(offer, certificate.serial)
            if final is not None:
                return finding(*revoked(final.reason), final)
            late = self._crl_age_problem(offer, issuer, is_ca=certificate.is_ca)
            if late:
                return finding(Reason.REVOCATION_STALE, late)
            entry = self._delta_entry(offer, certificate.serial) or entry
        if entry is None or entry.removed:
            return crl.good
        return finding(*revoked(entry.reason), entry)

    def _final_entry(self, offer: CrlOffer, serial: int) -> Entry | None:
        """A final revocation on the delta, or on another CRL of the series: it stays one whatever came after, however old it is."""
        others = offer.elders if offer.delta is None or not self.rules.delta else (offer.delta, *offer.elders)
        for crl in others:
            entry = crl.lookup(serial) if crl.this_update - self.at <= self._skew else None
            if entry is not None and entry.final:
                return entry
        return None

    def _delta_entry(self, offer: CrlOffer, serial: int) -> Entry | None:
        """Entry of the delta CRL, when there is one in its time: it may add, and may lift a hold."""
        delta = offer.delta
        if delta is None or not self.rules.delta or delta.this_update - self.at > self._skew or self.at > delta.next_update:
            return None
        return delta.lookup(serial)

    def _crl_age_problem(self, offer: CrlOffer, issuer: Certificate, *, is_ca: bool) -> str:
        crl, rules = offer.crl, self.rules
        if self.at > crl.next_update:
            return "the CRL is past its nextUpdate"
        limit = rules.ca_crl_max_age if is_ca else rules.crl_max_age
        return f"the CRL is older than {limit} s" if self._too_old(crl.this_update, limit, issuer) else ""

    def _signature_problem(self, offer: CrlOffer) -> str:
        """A CRL is held longer than some exceptions last."""
        try:
            refuse_exceptions(offer.exceptions, policy=self.policy, at=self.at)
        except SignatureProblemError as error:
            return f"CRL signature: {error}"
        return ""

    def _signer_problem(self, offer: CrlOffer, seen: frozenset[bytes]) -> str:
        """A CRL signed by another key than the issuing one counts as long as that key's certificates do."""
        for certificate, issuer in pairwise(offer.signer_path):
            if not certificate.not_before <= self.at <= certificate.not_after:
                return "the CRL signer's certificate is not valid at this time"
            if certificate.der in seen or len(seen) >= MAX_DEPTH:
                return "the CRL signer's own status cannot be found out"
            own = self.finding(certificate, issuer, seen | {certificate.der})
            if own.reason is not None:
                return f"the CRL signer's own status: {own.reason}"
        return ""
