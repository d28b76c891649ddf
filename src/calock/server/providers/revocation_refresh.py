"""Fetch a CRL from one source, hold it against what was seen before, and let it count.

A CRL counts when a key of the same provider signed it for the source's CA, and neither its number nor its thisUpdate goes back:
the row of the source remembers both across restarts and machines. What counted before stays when anything is wrong.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, cast

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from calock.core import names
from calock.core.ca_graph import CaGraph
from calock.core.certificate import Certificate
from calock.core.crl import CrlHead, read_crl
from calock.core.evidence import split_pem
from calock.core.refusals import Reason, Refusal
from calock.core.signed_data import unusable
from calock.core.walk import Bytes
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers import revocation_store, seal
from calock.server.providers.addresses import Endpoint, FetchRefusedError, endpoint_of
from calock.server.providers.connections import FetchFailedError, Limits
from calock.server.providers.fetch import CRL_LIMITS, Fetched, Target, fetch
from calock.server.providers.models import RevocationSource, SourceKind
from calock.server.providers.revocation import graph_of
from calock.server.providers.revocation_store import Held, Trouble
from calock.server.providers.trust import current_register

MAX_BUNDLE = 16
"""CRLs in one PEM answer."""

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
    validators: bool = False
    """The source supports conditional requests, so asking often costs it nothing."""

    @property
    def ok(self) -> bool:
        return not self.error


def target_of(source: RevocationSource) -> Target:
    """The address of a source, and the provider's other addresses as the only ones a redirect may lead to.

    Raises:
        FetchRefusedError: the row is not the one an operator saved, or its address is none that may be fetched.
    """
    if not seal.source_is_intact(source):
        raise FetchRefusedError("the address was changed outside the server")
    same = RevocationSource.objects.filter(ca_record__provider=source.ca_record.provider)
    hosts: dict[Endpoint, bool] = {}
    for row in same:
        with suppress(FetchRefusedError):
            if seal.source_is_intact(row):
                place = endpoint_of(row.url)
                hosts[place] = hosts.get(place, False) or row.private_network
    _ = endpoint_of(source.url)
    return Target(source.url, hosts, proxy=settings.CALOCK.egress_proxy)


def refresh_crl(source: RevocationSource, *, at: datetime | None = None, limits: Limits = CRL_LIMITS) -> Outcome:
    """Fetch, verify, index and store the CRL of one source; never raises for anything that comes from outside.

    Single-flight: while another process of this machine is at the same source, this one waits for it (as long as a fetch may take)
    and then finds nothing new.
    """
    at = at or timezone.now()
    with _flight(source, limits.seconds) as alone:
        if not alone:
            return Outcome(source, error="somebody else is fetching it", reason=Reason.REVOCATION_UNAVAILABLE)
        source = RevocationSource.objects.select_related("ca_record__provider").get(pk=source.pk)
        try:
            outcome = _attempt(source, at, limits)
        except (FetchRefusedError, FetchFailedError) as error:
            outcome = Outcome(source, error=str(error), reason=Reason.REVOCATION_UNAVAILABLE)
        except OSError as error:
            outcome = Outcome(source, error=f"cannot be kept on this machine: {error}", reason=Reason.REVOCATION_UNAVAILABLE)
        except Refusal as refusal:
            detail = refusal.detail or refusal.reason.value
            outcome = Outcome(source, error=detail, reason=refusal.reason)
            ca = source.ca_record
            revocation_store.note_trouble(
                Trouble(ca.provider.code, ca.spki_sha256, source.url, Reason.REVOCATION_UNTRUSTED.value, detail[:200])
            )
        _remember(outcome, at)
    return outcome


def _attempt(source: RevocationSource, at: datetime, limits: Limits) -> Outcome:
    held = revocation_store.usable(source.ca_record.spki_sha256, source.url)
    etag, modified = (held.etag, held.last_modified) if held and held.sha256 == source.sha256 else ("", "")
    with _temporary() as file:
        got = fetch(target_of(source), file, limits=limits, etag=etag, last_modified=modified)
        if not got.modified:
            return Outcome(source, validators=True)
        file.flush()
        if got.size == 0:
            raise unusable("empty answer")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _take(source, cast(Bytes, mapped), got, at)


def _take(source: RevocationSource, data: Bytes, got: Fetched, at: datetime) -> Outcome:
    validators = bool(got.etag or got.last_modified)
    provider = current_register().provider(source.ca_record.provider.code)
    if provider is None:
        raise unusable("the provider is not enabled")
    der, head, signer = _newest(_ders(data), source.ca_record.spki_sha256, graph_of(provider), at)
    held = revocation_store.usable(source.ca_record.spki_sha256, source.url)
    if held is not None and held.sha256 == head.sha256 == source.sha256:
        return Outcome(source, size=got.size, validators=validators)
    _refuse_going_back(source, head)
    if head.next_update < at:
        raise Refusal(Reason.REVOCATION_STALE, f"the source serves a CRL that ended at {head.next_update.isoformat()}")
    name = revocation_store.write_files(der, head, signer)
    entries = revocation_store.open_index(name).count
    _count_from_now(source, head, Held(
        name, provider.code, source.ca_record.spki_sha256, source.url, head.sha256, got.etag, got.last_modified
    ), entries)  # fmt: skip
    return Outcome(source, changed=True, size=got.size, entries=entries, validators=validators)


def _ders(data: Bytes) -> list[Bytes]:
    """Take the DER out of PEM when the source serves that, however many there are."""
    if bytes(data[:11]) != b"-----BEGIN ":
        return [data]
    found = split_pem(bytes(data), b"X509 CRL")
    if not 1 <= len(found) <= MAX_BUNDLE:
        raise unusable(f"{len(found)} CRLs in one answer")
    return [*found]


def _newest(ders: list[Bytes], ca: str, graph: CaGraph, at: datetime) -> tuple[Bytes, CrlHead, Certificate]:
    """Of all CRLs in one answer the newest that speaks for this CA; every one of them is read."""
    usable: list[tuple[Bytes, CrlHead, Certificate]] = []
    refusal: Refusal | None = None
    for der in ders:
        try:
            head = read_crl(der)
            signer = _signer(der, head, graph, at)
            if ca not in {item.spki_sha256 for item in graph.speaks_for(signer)}:
                raise unusable("the CRL does not speak for this CA")
        except Refusal as found:
            refusal = refusal or found
        else:
            usable.append((der, head, signer))
    if not usable:
        raise refusal or unusable("no CRL")
    if len({head.scope for _, head, _ in usable}) > 1:
        raise unusable("CRLs of several scopes in one answer; each needs an address of its own")
    return max(usable, key=lambda item: (item[1].this_update, item[1].number or 0))


def _signer(der: Bytes, head: CrlHead, graph: CaGraph, at: datetime) -> Certificate:
    refusal: Refusal | None = None
    for candidate in graph.named(names.comparison_key(head.issuer_der)):
        try:
            head.verify(der, candidate, policy=graph.policy, at=at)
        except Refusal as found:
            refusal = refusal or found
        else:
            return candidate
    raise refusal or unusable("the CRL is by another issuer than this provider's CAs")


def _refuse_going_back(source: RevocationSource, head: CrlHead) -> None:
    """RFC 5280 clause 5.2.3: numbers only rise. An older CRL would bring a revoked lock back to life."""
    if source.this_update is not None and head.this_update < source.this_update:
        raise unusable(f"older than the CRL of {source.this_update.isoformat()} seen before (thisUpdate)")
    if source.crl_number and (head.number is None or head.number < int(source.crl_number, 16)):
        raise unusable(f"its number is below {source.crl_number} seen before (CRLNumber)")


def _count_from_now(source: RevocationSource, head: CrlHead, held: Held, entries: int) -> None:
    """Row, audit and manifest: the row first, guarded against another machine that was quicker with a newer one."""
    number = "" if head.number is None else f"{head.number:x}"
    with transaction.atomic():
        newer = RevocationSource.objects.select_for_update().filter(pk=source.pk).filter(
            Q(this_update__isnull=True) | Q(this_update__lte=head.this_update)
        )  # fmt: skip
        changed = newer.update(this_update=head.this_update, next_update=head.next_update, crl_number=number, sha256=held.sha256)
        if not changed:
            raise unusable("older than the CRL that another machine has seen")
        record(
            Event.REVOCATION_FETCHED, provider=held.provider,
            details={"url": source.url, "sha256": held.sha256, "number": number, "entries": entries,
                     "this_update": head.this_update.isoformat(), "next_update": head.next_update.isoformat()},
        )  # fmt: skip
    revocation_store.put(held)


def _remember(outcome: Outcome, at: datetime) -> None:
    """Write down how it went. A failure is audited when it begins or changes, not every minute that it lasts."""
    source = outcome.source
    values: dict[str, object] = {"last_fetched_at": at, "last_error": outcome.error[:300]}
    if outcome.ok:
        values["last_ok_at"] = at
    with transaction.atomic():
        before = RevocationSource.objects.filter(pk=source.pk).values_list("last_error", flat=True).first()
        RevocationSource.objects.filter(pk=source.pk).update(**values)
        if outcome.error and before != outcome.error[:300]:
            record(
                Event.REVOCATION_FAILED, provider=source.ca_record.provider.code, reason=outcome.reason,
                details={"url": source.url, "kind": source.kind, "error": outcome.error[:200]},
            )  # fmt: skip
    if outcome.error:
        log.warning("revocation_fetch_failed", url=source.url, provider=source.ca_record.provider.code, error=outcome.error)


def crl_sources() -> list[RevocationSource]:
    """Sources of CRLs whose provider this server judges by now."""
    codes = [provider.code for provider in current_register().providers]
    rows = RevocationSource.objects.filter(kind=SourceKind.CRL, ca_record__provider__code__in=codes)
    keys = {issuer.ca.spki_sha256 for issuer in current_register().issuers}
    return [row for row in rows.select_related("ca_record__provider") if row.ca_record.spki_sha256 in keys]


def forget_removed_sources() -> int:
    """Stop counting CRLs whose address an operator took away; how many."""
    keep = {(row.ca_record.spki_sha256, row.url) for row in RevocationSource.objects.select_related("ca_record")}
    return revocation_store.forget(keep)


@contextmanager
def _flight(source: RevocationSource, seconds: float) -> Iterator[bool]:
    """Hold the source's one lock of this machine; False when it is not free within ``seconds``."""
    name = hashlib.sha256(f"{source.ca_record_id}{source.url}".encode()).hexdigest()[:16]
    place = revocation_store.directory() / "flights"
    place.mkdir(mode=0o700, exist_ok=True)
    end = time.monotonic() + seconds
    with (place / name).open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    yield False
                    return
                time.sleep(0.05)
            else:
                yield True
                return


@contextmanager
def _temporary() -> Iterator[IO[bytes]]:
    handle, name = tempfile.mkstemp(dir=revocation_store.directory(), prefix=".fetch-")
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
    finally:
        Path(name).unlink(missing_ok=True)
