"""Fetch a CRL from one source and let it count; whatever comes from outside ends as an :class:`Outcome`, never as an exception.

What counted before stays when anything is wrong.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from calock.core.der.reader import Bytes
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.signed_data import revocation_untrusted
from calock.server.egress.connections import FetchFailedError, Limits
from calock.server.egress.fetch import Target, Unchanged, fetch
from calock.server.providers.models import RevocationSource, SourceKind
from calock.server.providers.trust import current_register
from calock.server.revocation import store
from calock.server.revocation.ingest import refuse_ended, take
from calock.server.revocation.limits import CRL_LIMITS
from calock.server.revocation.manifest import Held, Trouble, directory
from calock.server.revocation.source_status import note_failure, note_success
from calock.server.tools.addresses import Endpoint, FetchRefusedError, endpoint_of
from calock.server.tools.files import locked, make_folder

_TAKING = threading.BoundedSemaphore(2)
"""CRLs that this process takes in at a time, however many it fetches: one of a million entries needs 100 MB and a core."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt at a source gave."""

    source: RevocationSource
    changed: bool = False
    """A CRL counts now that did not before."""
    error: str = ""
    """Why the attempt failed; empty = it did not."""
    reason: Reason | None = None
    size: int = 0
    entries: int = 0
    whole: bool = True
    """False: it was seen by the source's word or by the first octets that nothing changed, without reading all."""

    @property
    def ok(self) -> bool:
        return not self.error


def target_of(source: RevocationSource) -> Target:
    """The address of a source, and the provider's other addresses as the only ones a redirect may lead to.

    Addresses in a private network are none for a source outside: a host outside must not choose what is fetched inside.

    Raises:
        FetchRefusedError: the row is not the one an operator saved, or its address is none that may be fetched.
    """
    if not source.is_intact():
        raise FetchRefusedError("the address was changed outside the server")
    same = RevocationSource.objects.filter(ca_record__provider=source.ca_record.provider)
    hosts: dict[Endpoint, bool] = {}
    for row in same:
        with suppress(FetchRefusedError):
            if row.is_intact() and (source.private_network or not row.private_network):
                place = endpoint_of(row.url)
                hosts[place] = hosts.get(place, False) or row.private_network
    _ = endpoint_of(source.url)
    return Target(source.url, hosts, proxy=settings.CALOCK.egress_proxy)


def refresh_crl(
    source: RevocationSource, *, at: datetime | None = None, limits: Limits = CRL_LIMITS, peek: bool = False
) -> Outcome:
    """Fetch, verify, index and store the CRL of one source; never raises for anything that comes from outside.

    Single-flight: while another process of this machine is at the same source, this one waits for it (as long as a fetch may take)
    and then finds nothing new. ``peek``: a body that begins as the one held is taken for it and not read to its end.

    Raises:
        DatabaseError: ours does not answer.
    """
    at = at or timezone.now()
    try:
        with _flight(source, limits.seconds) as left:
            if left <= 0:
                return Outcome(source, error="somebody else is fetching it", reason=Reason.REVOCATION_UNAVAILABLE)
            row = RevocationSource.objects.select_related("ca_record__provider").filter(pk=source.pk).first()
            if row is None:
                return Outcome(source, error="the source was taken away", reason=Reason.REVOCATION_UNAVAILABLE)
            outcome = _tried(row, at, Limits(limits.size, left), peek=peek)
            _remember(outcome, at)
    except OSError as error:
        outcome = _not_kept(source, error)
        _remember(outcome, at)
    return outcome


def _tried(source: RevocationSource, at: datetime, limits: Limits, *, peek: bool) -> Outcome:
    try:
        return _attempt(source, at, limits, peek=peek)
    except (FetchRefusedError, FetchFailedError) as error:
        return Outcome(source, error=str(error), reason=Reason.REVOCATION_UNAVAILABLE)
    except OSError as error:
        return _not_kept(source, error)
    except Refusal as refusal:
        return _unusable(source, refusal.reason, refusal.detail or refusal.reason.value)
    except DatabaseError:
        raise
    except Exception as error:  # the last resort: what was sent met a fault of ours
        log.exception("crl_unreadable", url=source.url, provider=source.ca_record.provider.code)
        return _unusable(source, Reason.REVOCATION_UNTRUSTED, f"it cannot be read: {type(error).__name__}")


def _not_kept(source: RevocationSource, error: OSError) -> Outcome:
    return Outcome(source, error=f"cannot be kept on this machine: {error}", reason=Reason.REVOCATION_UNAVAILABLE)


def _unusable(source: RevocationSource, reason: Reason, detail: str) -> Outcome:
    ca = source.ca_record
    if reason in (Reason.REVOCATION_STALE, Reason.REVOCATION_UNTRUSTED):  # others are about us, not about what was sent
        trouble = Trouble(ca.provider.code, ca.spki_sha256, source.url, reason.value, detail[:200])
        try:
            store.note_trouble(trouble)
        except OSError as error:
            log.warning("crl_trouble_not_kept", url=source.url, error=str(error))
    return Outcome(source, error=detail, reason=reason)


def _attempt(source: RevocationSource, at: datetime, limits: Limits, *, peek: bool) -> Outcome:
    known = store.usable(source.ca_record.spki_sha256, source.url)
    held = known[0] if known and known[0].sha256 == source.sha256 else None
    etag, modified = (held.etag, held.last_modified) if held else ("", "")
    unchanged = _same_as(held) if peek and held else None
    with tempfile.TemporaryFile(dir=directory()) as file:
        got = fetch(target_of(source), file, limits=limits, etag=etag, last_modified=modified, unchanged=unchanged)
        if not got.modified:
            refuse_ended(source.next_update, at)
            return Outcome(source, size=got.size, whole=False)
        file.flush()
        if got.size == 0:
            raise revocation_untrusted("empty answer")
        with _TAKING, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            entries = take(source, cast(Bytes, mapped), got, at)
    return Outcome(source, changed=entries is not None, size=got.size, entries=entries or 0)


def _same_as(held: Held) -> Unchanged:
    """Whether a body begins as the CRL held: with its issuer, its dates and its length, which a CRL all begins with."""

    def unchanged(first: bytes, announced: int | None) -> bool:
        return announced in (None, held.size) and hashlib.sha256(first).hexdigest() == held.head

    return unchanged


def _remember(outcome: Outcome, at: datetime) -> None:
    if outcome.ok:
        note_success(outcome.source, at)
    else:
        note_failure(outcome.source, outcome.error, outcome.reason, at)


def crl_sources() -> list[RevocationSource]:
    """Sources of CRLs whose provider this server judges by now."""
    codes = [provider.code for provider in current_register().providers]
    rows = RevocationSource.objects.filter(kind=SourceKind.CRL, ca_record__provider__code__in=codes)
    keys = {issuer.ca.spki_sha256 for issuer in current_register().issuers}
    return [row for row in rows.select_related("ca_record__provider") if row.ca_record.spki_sha256 in keys]


def forget_removed_sources() -> int:
    """Stop counting CRLs whose address an operator took away; how many."""
    keep = {(row.ca_record.spki_sha256, row.url) for row in RevocationSource.objects.select_related("ca_record")}
    return store.forget(keep)


@contextmanager
def _flight(source: RevocationSource, seconds: float) -> Iterator[float]:
    """Hold the source's one lock of this machine; gives what is left of ``seconds``, 0 when it does not come free."""
    name = hashlib.sha256(f"{source.ca_record_id}{source.url}".encode()).hexdigest()[:16]
    end = time.monotonic() + seconds

    def wait() -> bool:
        time.sleep(0.05)
        return time.monotonic() < end

    with locked(make_folder(directory() / "flights") / name, wait=wait) as ours:
        yield end - time.monotonic() if ours else 0.0
