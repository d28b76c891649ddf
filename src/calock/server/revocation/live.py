"""Ask the provider's own sources while a person waits: OCSP for the lock's certificate, then its CRL. Once, and briefly.

Only what an operator named is asked (RFC 5280's addresses inside certificates are never followed): a certificate cannot make this
server talk to anybody. Everything that one login waits for shares one deadline, and a source that keeps one person waiting keeps
nobody else.
"""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.check import FETCH_MAY_HELP, check_revocation
from calock.core.revocation.evidence import (
    ApplicableCrl,
    EvidenceForAll,
    FinalRevocation,
    RejectedEvidence,
    RevocationEvidence,
    VerifiedSingleResponse,
    responses_about,
)
from calock.core.revocation.ocsp import OID_SHA1, OID_SM3, build_request, read_response
from calock.core.verdict import Check, Step, Verdict
from calock.server.egress.connections import FetchFailedError, Patience
from calock.server.egress.fetch import fetch
from calock.server.providers.models import RevocationSource, SourceKind
from calock.server.revocation import live_crl, ocsp_cache
from calock.server.revocation.evidence import current_evidence, graph_of
from calock.server.revocation.limits import OCSP_LIMITS
from calock.server.revocation.live_crl import fetch_crls
from calock.server.revocation.refresh import target_of
from calock.server.revocation.source_status import note_failure, note_success
from calock.server.tools import figures
from calock.server.tools.addresses import FetchRefusedError

WAIT = 5.0
"""Seconds that one login waits for sources, all of them together; judging what came takes less than the sixth."""
BROKEN = 10.0
"""Seconds for which this process does not ask a responder again that did not answer: a dead one must not hold every login up."""
MAX_ROUNDS = 2
"""Times that one login may wait for something to be fetched: for the lock's certificate, and for its CA."""

log = structlog.get_logger(__name__)
_flights: dict[tuple[str, str, int], threading.Lock] = {}
_guard = threading.Lock()
_broken: dict[int, float] = {}


@dataclass(frozen=True, slots=True)
class _Question:
    certificate: Certificate
    issuer: Certificate
    graph: CaGraph
    at: datetime
    evidence: RevocationEvidence
    patience: Patience | None


def with_live_answers(verify: Callable[[RevocationEvidence], Verdict]) -> Verdict:
    """Judge with what is at hand; when only revocation data is missing, ask the provider's own sources and judge again.

    Nothing is fetched for a certificate whose signature or path did not hold, nor for one that is refused for another reason.
    Rules that do without revocation data when there are none to be had still have them asked for.
    """
    verdict = verify(current_evidence())
    patience: Patience | None = None
    for _ in range(MAX_ROUNDS):
        if _lacking(verdict) is None:
            break
        patience = patience or Patience(WAIT)
        if not fetch_missing(verdict, patience):
            break
        verdict = verify(current_evidence(look=True))
    return verdict


def _lacking(verdict: Verdict) -> Check | None:
    """The check of the revocation step that newer data could change the outcome of, when no other step refused."""
    failure = verdict.failure
    if not verdict.path or (failure is not None and failure.step is not Step.REVOCATION):
        return None
    for check in verdict.checks:
        if check.step is Step.REVOCATION and (check.reason in FETCH_MAY_HELP or _was_held(check, verdict)):
            return check
    return None


def _was_held(check: Check, verdict: Verdict) -> bool:
    """Whether the lock is on hold by an OCSP answer of a while ago: a hold may be lifted at any time."""
    if check.reason is not Reason.CERTIFICATE_ON_HOLD or verdict.issuer is None or verdict.provider is None:
        return False
    issuer = Certificate.parse(verdict.issuer.der)
    serial = verdict.certificate.serial if verdict.certificate else 0
    return ocsp_cache.is_old_hold(issuer, serial, graph=graph_of(verdict.provider), at=timezone.now())


def fetch_missing(verdict: Verdict, patience: Patience) -> bool:
    """Fetch what the revocation step of ``verdict`` lacked. True = something new is at hand and judging again makes sense."""
    lacking = _lacking(verdict)
    if lacking is None or verdict.certificate is None or verdict.issuer is None or verdict.provider is None:
        return False
    at = timezone.now()
    if lacking.name != "revocation-leaf":
        return fetch_crls(verdict.provider.code, [ca.spki_sha256 for ca in verdict.provider.cas], at, patience)
    issuer = Certificate.parse(verdict.issuer.der)
    anew = lacking.reason is Reason.CERTIFICATE_ON_HOLD
    if fetch_ocsp(verdict.certificate, issuer, graph=graph_of(verdict.provider), at=at, anew=anew, patience=patience):
        return True
    return fetch_crls(verdict.provider.code, [verdict.issuer.spki_sha256], at, patience)


def fetch_ocsp(
    certificate: Certificate,
    issuer: Certificate,
    *,
    graph: CaGraph,
    at: datetime,
    anew: bool = False,
    patience: Patience | None = None,
) -> bool:
    """Ask the OCSP sources of the issuing CA in turn until one gives an acceptable answer; True when one did.

    Single-flight for each certificate in this process; after a failure none asks for ``ocsp_cache.NEGATIVE`` seconds. ``anew``:
    ask also when an answer is at hand.

    Raises:
        Refusal: REGISTER_DAMAGED.
        DatabaseError: ours does not answer.
    """
    question = _Question(certificate, issuer, graph, at, current_evidence().of_provider(graph.provider), patience)
    with _flight((graph.provider, issuer.spki_sha256, certificate.serial), patience) as alone:
        if not alone:
            return False
        if not anew and ocsp_cache.answers(issuer, certificate.serial, graph=graph):
            return True
        if ocsp_cache.asked_lately(issuer, certificate.serial, graph=graph):
            return False
        rows = RevocationSource.objects.filter(
            kind=SourceKind.OCSP, ca_record__spki_sha256=issuer.spki_sha256, ca_record__provider__code=graph.provider
        )
        sources = list(rows.select_related("ca_record__provider"))
        for source in sources:
            if patience is not None and patience.over:
                return False
            if _ask(source, question):
                return True
        if sources:
            ocsp_cache.note_failure(issuer, certificate.serial, graph=graph)
    return False


def _ask(source: RevocationSource, question: _Question) -> bool:
    """Ask one responder; False, written down, for whatever it did but answer acceptably."""
    if _broken.get(source.pk, 0.0) > time.monotonic():
        return False
    at = question.at
    hurried = question.patience is not None and question.patience.left < OCSP_LIMITS.seconds / 2
    try:
        item, der = _answer(source, question)
    except (FetchRefusedError, FetchFailedError) as error:
        if not hurried:  # else it may only have been slower than we had time left
            _broken[source.pk] = time.monotonic() + BROKEN
        note_failure(source, str(error), Reason.REVOCATION_UNAVAILABLE, at)
        return False
    except Refusal as refusal:
        note_failure(source, refusal.detail or refusal.reason.value, refusal.reason, at)
        return False
    except DatabaseError:
        raise
    except Exception as error:  # the last resort: what was sent met a fault of ours, and must not become this login's
        _broken[source.pk] = time.monotonic() + BROKEN
        log.exception("ocsp_unreadable", url=source.url, provider=source.ca_record.provider.code)
        note_failure(source, f"it cannot be read: {type(error).__name__}", Reason.REVOCATION_UNTRUSTED, at)
        return False
    _broken.pop(source.pk, None)
    return _keep(source, question, item, der)


def _keep(source: RevocationSource, question: _Question, item: VerifiedSingleResponse, der: bytes) -> bool:
    """Put an acceptable answer with the others, unless a stronger one is kept; True = one is at hand now."""
    issuer, serial = question.issuer, question.certificate.serial
    taken = ocsp_cache.put(issuer, serial, item, der, graph=question.graph)
    at_hand = ocsp_cache.answers(issuer, serial, graph=question.graph)
    if taken or (at_hand and at_hand[0].single.status is item.single.status):  # servers of one responder may lag a little
        note_success(source, question.at, this_update=item.single.this_update)
    else:
        kept = f"{at_hand[0].single.status.value} of {at_hand[0].single.this_update.isoformat()}" if at_hand else "a newer one"
        error = f"says {item.single.status.value} of {item.single.this_update.isoformat()} where {kept} is known"
        note_failure(source, error, Reason.REVOCATION_UNTRUSTED, question.at)
    return bool(at_hand)


def _answer(source: RevocationSource, question: _Question) -> tuple[VerifiedSingleResponse, bytes]:
    """Ask, read, verify and judge.

    Raises:
        Refusal: REVOCATION_…, why the answer does not count.
        FetchRefusedError, FetchFailedError: there is none.
    """
    nonce = secrets.token_bytes(32)
    issuer, serial, graph = question.issuer, question.certificate.serial, question.graph
    algorithm = OID_SM3 if issuer.algorithm == "SM2" else OID_SHA1
    request = build_request(issuer, serial, nonce=nonce, algorithm=algorithm)
    limits = question.patience.within(OCSP_LIMITS) if question.patience else OCSP_LIMITS
    sink = io.BytesIO()
    with figures.ocsp_seconds.time():
        fetch(target_of(source), sink, limits=limits, body=request, content_type="application/ocsp-request")
    message = read_response(sink.getvalue())
    if message.nonce != nonce and (message.nonce is not None or graph.policy.revocation.ocsp_nonce_required):
        raise Refusal(Reason.REVOCATION_UNTRUSTED, "the OCSP answer does not carry our nonce")
    # with our nonce it was made after our question, however long ago the responder last heard from the CA
    live = message.nonce is None
    found = responses_about(message, issuer, serial, graph=graph, live=live, received_at=question.at)
    if not found:
        raise Refusal(Reason.REVOCATION_UNTRUSTED, "the OCSP answer is about another certificate")
    _require_acceptable(question, found[0])
    return replace(found[0], live=False), sink.getvalue()


class _Fetched(EvidenceForAll):
    """The evidence at hand, with the answer that was just fetched in place of those that are kept."""

    def __init__(self, question: _Question, item: VerifiedSingleResponse) -> None:
        self._known = question.evidence
        self._serial = question.certificate.serial
        self._item = item

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:
        return self._known.crls_for(issuer)  # a delegated signer's own status stands there

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:  # noqa: ARG002 - the protocol's signature
        return (self._item,) if serial == self._serial else ()

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:  # noqa: ARG002 - the protocol's signature
        return ()

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:
        return None if serial == self._serial else self._known.final_for(issuer, serial)


def _require_acceptable(question: _Question, item: VerifiedSingleResponse) -> None:
    """Hold a fetched answer against the rules for fetched ones, before it is kept: kept ones are judged by wider rules.

    Raises:
        Refusal: REVOCATION_STALE, REVOCATION_UNTRUSTED.
    """
    path = (question.certificate, question.issuer)
    result = check_revocation(path, evidence=_Fetched(question, item), policy=question.graph.policy, at=question.at)
    for finding in result.findings:
        if finding.sha256 != item.sha256:
            raise Refusal(Reason.REVOCATION_UNTRUSTED, "the OCSP answer does not count beside the CRL")
        if finding.reason in FETCH_MAY_HELP:
            raise Refusal(finding.reason, finding.detail)


def forget_failures() -> None:
    """Ask everybody again: between tests."""
    _broken.clear()
    live_crl.forget()


@contextmanager
def _flight(key: tuple[str, str, int], patience: Patience | None) -> Iterator[bool]:
    """Be the only one of this process who asks about one certificate; False when patience ends before that."""
    with _guard:
        lock = _flights.setdefault(key, threading.Lock())
    alone = lock.acquire(timeout=-1 if patience is None else patience.left)
    try:
        yield alone
    finally:
        if alone:
            lock.release()
        with _guard:
            if not lock.locked():
                _flights.pop(key, None)
