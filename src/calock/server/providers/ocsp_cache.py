"""OCSP answers, kept until they run out: in memory for this process, on disk for the others of this machine.

What lies on disk is the responder's signed message; whoever reads it verifies it again, so the files need no seal.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.utils import timezone

from calock.core.ca_graph import CaGraph
from calock.core.certificate import Certificate
from calock.core.evidence import OcspAnswer, answers_of
from calock.core.ocsp import CertStatus, read_response
from calock.core.refusals import Refusal

NEGATIVE = 30.0
"""Seconds for which "no usable answer", and an answer that says unknown, are believed."""
MOST = 20_000
"""Answers kept in memory; the one not used for longest goes first."""

log = structlog.get_logger(__name__)
_Key = tuple[str, int]
_lock = threading.Lock()
_answers: OrderedDict[_Key, tuple[OcspAnswer, ...]] = OrderedDict()
_missing: dict[_Key, float] = {}


def directory() -> Path:
    """``CALOCK_DATA/ocsp``."""
    return Path(settings.CALOCK.data) / "ocsp"


def answers(issuer: Certificate, serial: int, *, graph: CaGraph) -> Sequence[OcspAnswer]:
    """Answers at hand about one certificate; an expired one is let go."""
    key = (issuer.spki_sha256, serial)
    with _lock:
        found = _answers.get(key)
        if found is None and _missing.get(key, 0.0) > time.monotonic():
            return ()
        if found is not None:
            _answers.move_to_end(key)
    if found is not None and not any(_over(item, timezone.now(), graph) for item in found):
        return found
    found = _from_disk(issuer, serial, graph)
    with _lock:
        _answers.pop(key, None)
        if found:
            _remember(key, found)
        else:
            _note_missing(key, 1.0)  # another process may be fetching it right now
    return found


def put(issuer: Certificate, serial: int, found: Sequence[OcspAnswer], der: bytes) -> None:
    """Keep a verified answer: good and revoked on disk too, unknown briefly and here only."""
    key = (issuer.spki_sha256, serial)
    with _lock:
        _missing.pop(key, None)
        _remember(key, tuple(found))
    if all(item.answer.status is not CertStatus.UNKNOWN for item in found):
        _to_disk(issuer, serial, der)


def note_failure(issuer: Certificate, serial: int) -> None:
    """Remember that asking gave nothing usable: nobody of this process asks again for ``NEGATIVE`` seconds."""
    with _lock:
        _note_missing((issuer.spki_sha256, serial), NEGATIVE)


def asked_lately(issuer: Certificate, serial: int) -> bool:
    """Whether asking failed less than ``NEGATIVE`` seconds ago."""
    with _lock:
        return _missing.get((issuer.spki_sha256, serial), 0.0) > time.monotonic() + 1.0


def forget_memory() -> None:
    """Let go of what this process keeps; the files stay."""
    with _lock:
        _answers.clear()
        _missing.clear()


def sweep(*, at: datetime, older_than: timedelta = timedelta(days=2)) -> int:
    """Delete files nobody renewed for long; how many."""
    count = 0
    for path in directory().glob("*/*"):
        try:
            if path.stat().st_mtime < (at - older_than).timestamp():
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue
    return count


def _remember(key: _Key, found: tuple[OcspAnswer, ...]) -> None:
    _answers[key] = found
    _answers.move_to_end(key)
    while len(_answers) > MOST:
        _answers.popitem(last=False)


def _note_missing(key: _Key, seconds: float) -> None:
    now = time.monotonic()
    if len(_missing) > MOST:
        for old in [item for item, until in _missing.items() if until < now]:
            del _missing[old]
    _missing[key] = max(_missing.get(key, 0.0), now + seconds)


def _over(item: OcspAnswer, at: datetime, graph: CaGraph) -> bool:
    """Whether an answer has run out, or says unknown and was kept long enough."""
    rules = graph.policy.revocation
    if item.answer.status is CertStatus.UNKNOWN:
        return at > item.received_at + timedelta(seconds=NEGATIVE) if item.received_at else True
    end = item.answer.next_update or item.answer.this_update + timedelta(seconds=rules.ocsp_no_next_update_age)
    if rules.ocsp_max_age is not None:
        end = min(end, item.answer.this_update + timedelta(seconds=rules.ocsp_max_age))
    return at > end and item.answer.status is not CertStatus.REVOKED


def _path(issuer: Certificate, serial: int) -> Path:
    return directory() / issuer.spki_sha256[:32] / f"{serial:x}.der"


def _from_disk(issuer: Certificate, serial: int, graph: CaGraph) -> tuple[OcspAnswer, ...]:
    try:
        data = _path(issuer, serial).read_bytes()
        return tuple(answers_of(read_response(data), issuer, serial, graph=graph))
    except (OSError, Refusal):
        return ()  # absent, or no longer acceptable: then it is fetched anew


def _to_disk(issuer: Certificate, serial: int, der: bytes) -> None:
    """Leave an answer for the other processes; a full disk costs them a question of their own, never anybody a login."""
    path = _path(issuer, serial)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(der)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("ocsp_answer_not_kept", error=str(error))
