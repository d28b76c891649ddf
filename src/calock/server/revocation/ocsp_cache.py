"""OCSP answers, kept until they run out: in memory for this process, on disk for the others of this machine.

What lies on disk is the responder's signed message; it is verified at each reading, so the files need no seal. An answer never
takes the place of a stronger one, in memory or on disk: revoked stays revoked, and thisUpdate does not go back. A process sees by
the file's stamp, one system call, that another has learnt something new.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import structlog
from django.conf import settings
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.check import later
from calock.core.revocation.crl_entries import HOLD
from calock.core.revocation.evidence import VerifiedSingleResponse, responses_about
from calock.core.revocation.ocsp import CertStatus, SingleResponse, read_response
from calock.server.tools.files import locked, make_folder, replacing

NEGATIVE = 30.0
"""Seconds for which "no usable answer" and an answer that says unknown are believed, and a hold is without asking again."""
MOST = 20_000
"""Answers kept in memory; the one not used for longest goes first."""
KEEP = timedelta(days=2)
KEEP_REVOKED = timedelta(days=3650)
"""Longer than any lock's certificate lives."""

log = structlog.get_logger(__name__)
_Key = tuple[str, str, int]
"""Provider by whose rules the answer counts, issuing key, serial number."""
_Stamp = tuple[int, int, int]


class _Kept(NamedTuple):
    item: VerifiedSingleResponse
    stamp: _Stamp | None
    """Of the file when this was kept; None = there was none."""


_lock = threading.Lock()
_writing = threading.Lock()
_answers: OrderedDict[_Key, _Kept] = OrderedDict()
_missing: dict[_Key, float] = {}


def directory() -> Path:
    """``CALOCK_DATA/ocsp``."""
    return Path(settings.CALOCK.data) / "ocsp"


def answers(issuer: Certificate, serial: int, *, graph: CaGraph) -> Sequence[VerifiedSingleResponse]:
    """Answers at hand about one certificate, that have not run out."""
    key = _key(issuer, serial, graph)
    with _lock:
        kept = _answers.get(key)
        if kept is not None:
            _answers.move_to_end(key)
        elif _missing.get(key, 0.0) > time.monotonic():
            return ()
    path = path_of(*key)
    if kept is None or kept.stamp != _stamp(path):
        kept = _strongest_of(kept, path, issuer, serial, graph)
        with _lock:
            _remember(key, kept)
    return () if kept is None or _over(kept.item, issuer, timezone.now(), graph) else (kept.item,)


def is_old_hold(issuer: Certificate, serial: int, *, graph: CaGraph, at: datetime) -> bool:
    """Whether what is at hand says "on hold", and was heard more than ``NEGATIVE`` seconds ago."""
    return any(
        item.single.status is CertStatus.REVOKED and not _final(item.single) and _heard_before(item, at)
        for item in answers(issuer, serial, graph=graph)
    )


def _heard_before(item: VerifiedSingleResponse, at: datetime) -> bool:
    return item.received_at is None or at > item.received_at + timedelta(seconds=NEGATIVE)


def put(issuer: Certificate, serial: int, item: VerifiedSingleResponse, der: bytes, *, graph: CaGraph) -> bool:
    """Keep a verified answer: good and revoked on disk too, unknown briefly and here only. False: a stronger one is kept."""
    key = _key(issuer, serial, graph)
    path = path_of(*key)
    with _changing():
        with _lock:
            before = _answers.get(key)
        known = _strongest_of(before, path, issuer, serial, graph)
        taken = known is None or _replaces(item.single, known.item.single) or _outlived(known.item, timezone.now())
        if taken:
            unknown = item.single.status is CertStatus.UNKNOWN
            known = _Kept(item, _removed(path) if unknown else _written(path, der))
        with _lock:
            _missing.pop(key, None)
            _remember(key, known)
    return taken


def note_failure(issuer: Certificate, serial: int, *, graph: CaGraph) -> None:
    """Remember that asking gave nothing usable: this process does not ask again for ``NEGATIVE`` seconds."""
    with _lock:
        _note_missing(_key(issuer, serial, graph), NEGATIVE)


def asked_lately(issuer: Certificate, serial: int, *, graph: CaGraph) -> bool:
    """Whether asking failed less than ``NEGATIVE`` seconds ago."""
    with _lock:
        return _missing.get(_key(issuer, serial, graph), 0.0) > time.monotonic() + 1.0


def forget_memory() -> None:
    """Let go of what this process keeps; the files stay."""
    with _lock:
        _answers.clear()
        _missing.clear()


def sweep(*, at: datetime) -> int:
    """Delete files that were not renewed for long, except those that say revoked. Returns how many."""
    count = 0
    for path in directory().glob("*/*"):
        try:
            age = at.timestamp() - path.stat().st_mtime
            if age > KEEP.total_seconds() and (age > KEEP_REVOKED.total_seconds() or not _says_revoked(path)):
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("ocsp_file_not_deleted", file=path.name, error=str(error))
    return count


def _says_revoked(path: Path) -> bool:
    try:
        return any(map(_final, read_response(path.read_bytes()).responses))
    except (Refusal, ValueError):
        return False


def _remember(key: _Key, kept: _Kept | None) -> None:
    if kept is None:
        _answers.pop(key, None)
        _note_missing(key, 1.0)  # another process may be fetching it right now
        return
    _answers[key] = kept
    _answers.move_to_end(key)
    while len(_answers) > MOST:
        _answers.popitem(last=False)


def _note_missing(key: _Key, seconds: float) -> None:
    now = time.monotonic()
    if len(_missing) > MOST:
        for old in [item for item, until in _missing.items() if until < now]:
            del _missing[old]
    _missing[key] = max(_missing.get(key, 0.0), now + seconds)


# --- which of two answers counts


def _final(answer: SingleResponse) -> bool:
    return answer.status is CertStatus.REVOKED and answer.reason != HOLD


def _replaces(new: SingleResponse, old: SingleResponse) -> bool:
    """Whether ``new`` may take the place of ``old``: revocation stays, time does not go back, of one moment the worse counts."""
    if _final(old) or _final(new):
        return not _final(old)
    if new.this_update != old.this_update:
        return new.this_update > old.this_update
    order = (CertStatus.GOOD, CertStatus.UNKNOWN, CertStatus.REVOKED)
    return order.index(new.status) >= order.index(old.status)


def _outlived(item: VerifiedSingleResponse, at: datetime) -> bool:
    """Whether it says unknown and its time is over: any other answer replaces it then, even an older one."""
    return item.single.status is CertStatus.UNKNOWN and _heard_before(item, at)


def _over(item: VerifiedSingleResponse, issuer: Certificate, at: datetime, graph: CaGraph) -> bool:
    """Whether an answer has run out, or says unknown and was kept long enough."""
    rules = graph.policy.revocation
    if _final(item.single):
        return False
    if item.single.status is CertStatus.UNKNOWN:
        return _outlived(item, at)
    end = item.single.next_update or later(item.single.this_update, rules.ocsp_no_next_update_age)
    emergency = rules.emergency_end(issuer.spki_sha256)
    if rules.ocsp_max_age is not None and (emergency is None or at >= emergency):  # what it lifts, it lifts here as well
        end = min(end, later(item.single.this_update, rules.ocsp_max_age))
    return at > end


def _strongest_of(kept: _Kept | None, path: Path, issuer: Certificate, serial: int, graph: CaGraph) -> _Kept | None:
    """What counts of memory and disk, when the disk may have changed; also when it has run out."""
    found = _read(path, issuer, serial, graph)
    if kept is None or (found is not None and _outlived(kept.item, timezone.now())):
        return found
    if found is None:
        # a file that went away takes with it what it said, but for what no file is needed for
        lasting = _final(kept.item.single) or kept.item.single.status is CertStatus.UNKNOWN
        return _Kept(kept.item, _stamp(path)) if lasting or kept.stamp is None else None
    return found if _replaces(found.item.single, kept.item.single) else _Kept(kept.item, found.stamp)


# --- the files


def _key(issuer: Certificate, serial: int, graph: CaGraph) -> _Key:
    return graph.provider, issuer.spki_sha256, serial


def path_of(provider: str, key: str, serial: int) -> Path:
    return directory() / f"{key[:32]}-{provider}" / f"{serial:x}.der"


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - on the login path of every lock whose CA answers by OCSP
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path, issuer: Certificate, serial: int, graph: CaGraph) -> _Kept | None:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            data = file.read()
        heard = datetime.fromtimestamp(found.st_mtime, UTC)
        items = responses_about(read_response(data), issuer, serial, graph=graph, received_at=heard)
    except (OSError, Refusal, ValueError):
        return None  # absent, or no longer acceptable: then it is fetched anew
    stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
    return _Kept(items[0], stamp) if items else None


@contextmanager
def _changing() -> Iterator[None]:
    """One writer on this machine: comparing with what lies there and replacing it must be one act."""
    with _writing, ExitStack() as held:
        with suppress(OSError):  # nothing can be written then either
            held.enter_context(locked(make_folder(directory()) / "lock"))
        yield


def _removed(path: Path) -> _Stamp | None:
    """A responder that does not know a certificate any more takes back what it said of it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("ocsp_answer_not_deleted", error=str(error))
    return _stamp(path)


def _written(path: Path, der: bytes) -> _Stamp | None:
    """Leave an answer for the other processes; a full disk costs them a question of their own, never anybody a login."""
    try:
        make_folder(path.parent)
        with replacing(path, durable=False) as file:  # somebody waits for it, and what is lost is asked for again
            file.write(der)
    except OSError as error:
        log.warning("ocsp_answer_not_kept", error=str(error))
    return _stamp(path)
