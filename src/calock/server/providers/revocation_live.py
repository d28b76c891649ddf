"""Ask the provider's own sources while a person waits: OCSP for the lock's certificate, then its CRL. Once, and briefly.

Only what an operator named is asked (RFC 5280's addresses inside certificates are never followed): a certificate cannot make this
server talk to anybody.
"""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from calock.core.ca_graph import CaGraph
from calock.core.certificate import Certificate
from calock.core.evidence import OcspAnswer, answers_of
from calock.core.ocsp import OID_SHA1, OID_SM3, CertStatus, build_request, read_response
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Verdict
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers import ocsp_cache
from calock.server.providers.addresses import FetchRefusedError
from calock.server.providers.connections import FetchFailedError
from calock.server.providers.fetch import CRL_LIVE_LIMITS, OCSP_LIMITS, fetch
from calock.server.providers.models import RevocationSource, SourceKind
from calock.server.providers.revocation import graph_of
from calock.server.providers.revocation_refresh import refresh_crl, target_of

BROKEN = 10.0
"""Seconds for which nobody of this process asks a responder that did not answer: a dead one must not hold every login up."""
RETRY_CRL = 30.0
"""Seconds between two attempts at one CRL source on behalf of somebody who waits."""

log = structlog.get_logger(__name__)
_flights: dict[tuple[str, int], threading.Lock] = {}
_guard = threading.Lock()
_broken: dict[int, float] = {}


def fetch_missing(verdict: Verdict) -> bool:
    """Fetch what the revocation step of ``verdict`` lacked. True = something new is at hand and judging again makes sense."""
    if verdict.certificate is None or verdict.issuer is None or verdict.provider is None:
        return False
    at = timezone.now()
    issuer = Certificate.parse(verdict.issuer.der)
    failure = verdict.failure
    if failure is not None and failure.name == "revocation-leaf":
        if fetch_ocsp(verdict.certificate, issuer, graph=graph_of(verdict.provider), at=at):
            return True
        return _fetch_crls([verdict.issuer.spki_sha256], at)
    return _fetch_crls([ca.spki_sha256 for ca in verdict.provider.cas], at)


def fetch_ocsp(certificate: Certificate, issuer: Certificate, *, graph: CaGraph, at: datetime, anew: bool = False) -> bool:
    """Ask the OCSP sources of the issuing CA in turn until one gives an acceptable answer; True when one did.

    Single-flight for each certificate in this process; after a failure nobody asks for ``ocsp_cache.NEGATIVE`` seconds. ``anew``:
    ask also when an answer is at hand.
    """
    with _flight((issuer.spki_sha256, certificate.serial)):
        if not anew and ocsp_cache.answers(issuer, certificate.serial, graph=graph):
            return True
        if ocsp_cache.asked_lately(issuer, certificate.serial):
            return False
        rows = RevocationSource.objects.filter(kind=SourceKind.OCSP, ca_record__spki_sha256=issuer.spki_sha256)
        sources = list(rows.select_related("ca_record__provider"))
        for source in sources:
            if _ask(source, certificate, issuer, graph=graph, at=at):
                return True
        if sources:
            ocsp_cache.note_failure(issuer, certificate.serial)
    return False


def _ask(source: RevocationSource, certificate: Certificate, issuer: Certificate, *, graph: CaGraph, at: datetime) -> bool:
    if _broken.get(source.pk, 0.0) > time.monotonic():
        return False
    try:
        found, der = _answers(source, certificate, issuer, graph=graph, at=at)
    except (FetchRefusedError, FetchFailedError) as error:
        _broken[source.pk] = time.monotonic() + BROKEN
        _remember(source, str(error), Reason.REVOCATION_UNAVAILABLE, at)
        return False
    except Refusal as refusal:
        _remember(source, refusal.detail or refusal.reason.value, refusal.reason, at)
        return False
    _broken.pop(source.pk, None)
    ocsp_cache.put(issuer, certificate.serial, found, der)
    RevocationSource.objects.filter(pk=source.pk).update(
        last_fetched_at=at, last_ok_at=at, last_error="", this_update=found[0].answer.this_update
    )
    return True


def _answers(
    source: RevocationSource, certificate: Certificate, issuer: Certificate, *, graph: CaGraph, at: datetime
) -> tuple[list[OcspAnswer], bytes]:
    nonce = secrets.token_bytes(32)
    algorithm = OID_SM3 if issuer.algorithm == "SM2" else OID_SHA1
    request = build_request(issuer, certificate.serial, nonce=nonce, algorithm=algorithm)
    sink = io.BytesIO()
    fetch(target_of(source), sink, limits=OCSP_LIMITS, body=request, content_type="application/ocsp-request")
    message = read_response(sink.getvalue())
    rules = graph.policy.revocation
    if message.nonce != nonce and (message.nonce is not None or rules.ocsp_nonce_required):
        raise Refusal(Reason.REVOCATION_UNTRUSTED, "the OCSP answer does not carry our nonce")
    found = answers_of(message, issuer, certificate.serial, graph=graph, received_at=at)
    if not found:
        raise Refusal(Reason.REVOCATION_UNTRUSTED, "the OCSP answer is about another certificate")
    answer = found[0].answer
    age = (at - answer.this_update).total_seconds()
    if age < -rules.future_skew:
        raise Refusal(Reason.REVOCATION_UNTRUSTED, "the OCSP answer is from the future")
    limit = rules.ocsp_live_max_age
    if limit is not None and age > limit and answer.status is not CertStatus.REVOKED and message.nonce is None:
        raise Refusal(Reason.REVOCATION_STALE, f"the OCSP answer is older than {limit} s")
    return found, sink.getvalue()


def _remember(source: RevocationSource, error: str, reason: Reason, at: datetime) -> None:
    with transaction.atomic():
        if source.last_error != error[:300]:
            record(
                Event.REVOCATION_FAILED, provider=source.ca_record.provider.code, reason=reason,
                details={"url": source.url, "kind": source.kind, "error": error[:200]},
            )  # fmt: skip
        RevocationSource.objects.filter(pk=source.pk).update(last_fetched_at=at, last_error=error[:300])
    log.warning("revocation_fetch_failed", url=source.url, provider=source.ca_record.provider.code, error=error)


def _fetch_crls(keys: list[str], at: datetime) -> bool:
    rows = RevocationSource.objects.filter(kind=SourceKind.CRL, ca_record__spki_sha256__in=keys).select_related("ca_record")
    changed = False
    for source in rows:
        if source.last_fetched_at is None or (at - source.last_fetched_at).total_seconds() >= RETRY_CRL:
            changed |= refresh_crl(source, at=at, limits=CRL_LIVE_LIMITS).changed
    return changed


def forget_failures() -> None:
    """Ask everybody again: between tests."""
    _broken.clear()


@contextmanager
def _flight(key: tuple[str, int]) -> Iterator[None]:
    with _guard:
        lock = _flights.setdefault(key, threading.Lock())
    try:
        with lock:
            yield
    finally:
        with _guard:
            if not lock.locked():
                _flights.pop(key, None)
