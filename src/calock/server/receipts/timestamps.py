"""Time-stamps of an outside authority over the heads of the audit trail (RFC 3161).

One an hour covers every row and receipt below it. The authority's address stands among the egress destinations of the purpose
``timestamp``, listed by two operators; its CA in the file that ``CALOCK_TIMESTAMP_CA`` names. No act waits for it.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import structlog
from cryptography import x509
from django.conf import settings
from django.db import transaction
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from calock.core.receipts.parts import Stamp
from calock.server.audit.models import AuditSeal
from calock.server.egress.purposes import Purpose, destinations, register_purpose
from calock.server.egress.services import ask
from calock.server.outbox.kinds import Kind, register_kind
from calock.server.outbox.models import Message
from calock.server.outbox.services import put
from calock.server.receipts.models import Timestamp

PURPOSE = KIND = "timestamp"
EVERY = timedelta(hours=1)
TOLERANCE = timedelta(minutes=5)
"""How far the authority's clock may be from ours before its word is not taken: one of the two is wrong."""
MOST_HEADS = 3000
"""Heads between a receipt's and the stamped one that a file may carry: two days of one a minute."""

log = structlog.get_logger(__name__)


def _anchors() -> bytes:
    """The CA certificates of the authority as PEM; empty: none is configured."""
    path = settings.CALOCK.timestamp_ca
    return path.read_bytes() if path else b""


def ask_for_timestamp(*, at: datetime) -> int:
    """Leave the message that has the newest head stamped, when an hour has passed; 1 when it did.

    Called by the background. Where no authority is configured, receipts say NO_EXTERNAL_TIME.
    """
    if not settings.CALOCK.timestamp_ca or not destinations(PURPOSE):
        return 0
    newest = AuditSeal.objects.order_by("-seq").only("seq").first()
    last = Timestamp.objects.order_by("-seq").only("seq", "at").first()
    if newest is None or (last is not None and (last.seq >= newest.seq or at - last.at < EVERY)):
        return 0
    with transaction.atomic():
        put(KIND, key="head", body={})
    return 1


def stamp_newest_head(_: Message) -> None:
    """Have the newest head stamped by the first authority that answers as it should.

    Raises:
        RuntimeError: what the last one did instead; the outbox tries again.
    """
    seal = AuditSeal.objects.order_by("-seq").first()
    found = destinations(PURPOSE)
    if seal is None or not found or not settings.CALOCK.timestamp_ca:
        return
    anchors = _anchors()
    failure: Exception = RuntimeError("no authority")
    for destination in found:
        try:
            answer, at = _stamped(destination.url, seal.head.encode(), anchors)
        except (RuntimeError, ValueError) as error:  # FetchRefusedError and FetchFailedError are RuntimeErrors
            failure = error
            log.warning("timestamp_not_taken", url=destination.url, error=str(error))
            continue
        values = {"response": answer, "at": at, "url": destination.url, "anchors": anchors}
        Timestamp.objects.get_or_create(seq=seal.seq, defaults=values)
        return
    raise RuntimeError(f"no time-stamp: {failure}") from failure


def _stamped(url: str, head: bytes, anchors: bytes) -> tuple[bytes, datetime]:
    """The authority's answer over a head, and the time it says.

    Raises:
        RuntimeError, ValueError: no answer, or one that does not hold.
    """
    request = TimestampRequestBuilder().data(head).hash_algorithm(HashAlgorithm.SHA256).nonce(nonce=True).build()
    headers = {"Accept": "application/timestamp-reply"}
    answer = ask(PURPOSE, url, body=request.as_bytes(), content_type="application/timestamp-query", headers=headers)
    response = decode_timestamp_response(answer)
    _require_good(response, head, request.nonce, anchors)
    at = response.tst_info.gen_time
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if abs(at - datetime.now(UTC)) > TOLERANCE:
        raise RuntimeError(f"it says {at.isoformat()}, which is more than {TOLERANCE} from this machine's clock")
    return answer, at


def _require_good(response: TimeStampResponse, head: bytes, nonce: int | None, anchors: bytes) -> None:
    """Status, imprint, nonce, key use and chain (rfc3161-client).

    Raises:
        RuntimeError: it does not hold.
    """
    builder = VerifierBuilder() if nonce is None else VerifierBuilder().nonce(nonce)
    for certificate in x509.load_pem_x509_certificates(anchors):
        builder = builder.add_root_certificate(certificate)
    try:
        builder.build().verify(response, hashlib.sha256(head).digest())
    except VerificationError as error:
        raise RuntimeError(f"its time-stamp does not hold: {error}") from error


def stamp_over(seq: int) -> Stamp | None:
    """The time-stamp that covers the head number ``seq``: over it, or over a later one, with the heads between.

    It comes with the CA of its day. One that was kept without its CA is passed over: a later one covers the head as well.
    """
    found = Timestamp.objects.filter(seq__gte=seq).exclude(anchors=b"").order_by("seq").first()
    if found is None or found.seq - seq > MOST_HEADS:
        return None
    lines = AuditSeal.objects.filter(seq__gt=seq, seq__lte=found.seq).order_by("seq").values_list("head", flat=True)
    return Stamp(bytes(found.response), tuple(lines), bytes(found.anchors))


def register() -> None:
    """Name what is sent and for what; called once at start-up."""
    register_purpose(Purpose(PURPOSE, "时间戳机构（RFC 3161）"))
    register_kind(Kind(KIND, "审计树头时间戳", stamp_newest_head))
