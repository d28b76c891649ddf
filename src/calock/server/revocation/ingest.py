"""Hold a fetched CRL against what was seen before, and let it count.

A CRL counts when a key of the same provider signed it for the source's CA and is not revoked itself, its time has come and is not
over, neither its number nor its thisUpdate goes back, and it speaks for all that the one before it spoke for: a list of other
certificates, even a true one, would bring revoked locks back to life. Two places remember how new the newest was, and the stricter
decides: the row of the source, which all machines share and which survives the loss of a machine's files, and the machine's sealed
manifest, which survives a reset of the row.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from msgspec.structs import replace

from calock.core.certificates.certificate import Certificate
from calock.core.der import names
from calock.core.der.containers import is_pkcs7, values_in, without_white_space
from calock.core.der.reader import Bytes, DerError
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.check import check_revocation
from calock.core.revocation.crl import CrlHeader, read_crl
from calock.core.revocation.crl_index import CrlIndex
from calock.core.revocation.crl_scope import FULL_SCOPE
from calock.core.revocation.findings import revoked
from calock.core.revocation.signed_data import revocation_untrusted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.egress.fetch import PEEK, Fetched
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register
from calock.server.revocation import store
from calock.server.revocation.evidence import current_evidence, graph_of
from calock.server.revocation.manifest import Final, Held, Mark, manifest_or_empty

MAX_BUNDLE = 16
"""CRLs in one answer, in PEM or PKCS#7."""
MAX_NUMBER = 64
"""Hexadecimal digits of a CRLNumber; RFC 5280 clause 5.2.3 allows 20 octets."""
MAX_NAME = 1024
"""Octets of an issuer's name up to which thisUpdate surely stands within the first ``PEEK`` octets, in PEM as well."""
_FRONT = 1024
"""Octets of an answer within which the CRL begins then: text, or certificates of a container, may stand before it."""


def take(source: RevocationSource, data: Bytes, got: Fetched, at: datetime) -> int | None:
    """Let the CRL in ``data`` count from now on; its number of entries, or None when it is the one that counts already.

    Raises:
        Refusal: REVOCATION_UNTRUSTED, REVOCATION_STALE (its time is over, or has not come), REGISTER_DAMAGED.
        OSError: it cannot be kept on this machine.
    """
    provider = current_register().provider(source.ca_record.provider.code)
    if provider is None:
        raise revocation_untrusted("the provider is not enabled")
    ca = source.ca_record.spki_sha256
    ders = _ders(data)
    graph = graph_of(provider)
    der, head, signer = _best(ders, ca, graph, at)
    refuse_ended(head.next_update, at)
    _refuse_future(head, provider.policy, at)
    if signer.spki_sha256 != ca:
        _refuse_revoked_signer(signer, graph, at)
    number = "" if head.number is None else f"{head.number:x}"
    if len(number) > MAX_NUMBER:
        raise revocation_untrusted("CRLNumber is longer than a number may be")
    mark = Mark(ca, source.url, head.this_update, number)
    known = store.usable(ca, source.url)
    tells = len(ders) == 1 and len(head.issuer_der) <= MAX_NAME and _begins_early(der, data)
    begins = hashlib.sha256(data[:PEEK]).hexdigest() if tells else ""
    if known is not None and known[0].sha256 == head.sha256 == source.sha256:
        _note_how_it_comes(known[0], got, begins, mark)
        return None
    _refuse_going_back(source, head)
    if known is not None and source.sha256 not in ("", head.sha256):  # else it is new here, or another machine asked the same
        _refuse_speaking_for_less(head, known[1])
    name = store.write_files(der, head, signer)
    index = store.open_index(name)
    held = Held(name, provider.code, ca, source.url, head.sha256, got.etag, got.last_modified, begins, got.size)
    finals = [*_finals(known[1], graph, at)] if known else []  # of CAs recognised since it came, or taken in by an older version
    _write_row(source, head, held, mark.number, index.count)
    store.put(held, mark, [*finals, *_finals(index, graph, at)])
    return index.count


def refuse_ended(next_update: datetime | None, at: datetime) -> None:
    """Refuse a CRL whose time is over, also the one that counts already: the source must have had its successor by now.

    Raises:
        Refusal: REVOCATION_STALE.
    """
    if next_update is not None and next_update < at:
        raise Refusal(Reason.REVOCATION_STALE, f"the source serves a CRL that ended at {next_update.isoformat()}")


def _refuse_future(head: CrlHeader, policy: Policy, at: datetime) -> None:
    """A CRL that counts only later must not take the place of the one that counts now, nor make its correction look old."""
    if head.this_update - at > timedelta(seconds=policy.revocation.future_skew):
        raise Refusal(
            Reason.REVOCATION_STALE, f"the source serves a CRL from the future: thisUpdate {head.this_update.isoformat()}"
        )


def _refuse_revoked_signer(signer: Certificate, graph: CaGraph, at: datetime) -> None:
    """A key that is known to be revoked replaces nothing; one whose status is not known yet is judged with each decision."""
    evidence = current_evidence().of_provider(graph.provider)
    judged = [check_revocation(path, evidence=evidence, policy=graph.policy, at=at) for path in graph.paths_of(signer)]
    revoked_paths = [any(finding.reason is Reason.CERTIFICATE_REVOKED for finding in one.findings) for one in judged]
    if revoked_paths and all(revoked_paths):
        raise revocation_untrusted("the key that signed the CRL is revoked")


def _refuse_speaking_for_less(head: CrlHeader, before: CrlIndex) -> None:
    """RFC 5280 clause 5.2.5: a CRL for other certificates or reasons, or a delta, does not replace the one that is held."""
    if head.base_number is not None and not before.is_delta:
        raise revocation_untrusted("a delta CRL where a complete one was held")
    if not head.scope.covers(before.scope):
        raise revocation_untrusted("it does not speak for all that the CRL held speaks for (issuingDistributionPoint)")


def _finals(index: CrlIndex, graph: CaGraph, at: datetime) -> Iterator[Final]:
    """CA certificates of the provider that a CRL revokes for good: a hold is not kept, it may be lifted."""
    for issuer in graph.issuers_covered_by(Certificate.parse(index.signer_der)):
        for certificate in graph.certificates:
            entry = index.lookup(certificate.serial)
            if entry is None or not entry.final or not index.scope.reasons_for(certificate):
                continue
            if graph.signed_by(certificate, issuer):
                words = f"{revoked(entry.reason)[1]}, by the CRL of {index.this_update.isoformat()}"
                yield Final(issuer.spki_sha256, f"{certificate.serial:x}", index.sha256, entry.revoked_at, words, at)


def _note_how_it_comes(held: Held, got: Fetched, begins: str, mark: Mark) -> None:
    """The same CRL under other validators, or after one that could not be used: what is kept of it is brought up to date."""
    now = replace(held, etag=got.etag, last_modified=got.last_modified, head=begins, size=got.size)
    if now != held or manifest_or_empty().trouble_of(held.ca, held.url) is not None:
        store.put(now, mark)


def _ders(data: Bytes) -> list[Bytes]:
    """The CRLs in what a source serves: one in DER, which is not copied, or any number in the forms of a file."""
    if bytes(data[:1]) == b"\x30" and not is_pkcs7(data):
        return [without_white_space(data)]
    found = values_in(bytes(data), b"X509 CRL")
    if not 1 <= len(found) <= MAX_BUNDLE:
        raise revocation_untrusted(f"{len(found)} CRLs in one answer")
    return [*found]


def _begins_early(der: Bytes, data: Bytes) -> bool:
    """Whether the CRL begins at the front of the answer, in octets or in base64; 36 of its octets are on one line."""
    begin, front = bytes(der[:36]), bytes(data[:_FRONT])
    return begin in front or base64.b64encode(begin) in front


def _best(ders: list[Bytes], ca: str, graph: CaGraph, at: datetime) -> tuple[Bytes, CrlHeader, Certificate]:
    """Of all CRLs in one answer the one that says most for this CA, of equals the newest; every one of them is read."""
    usable: list[tuple[Bytes, CrlHeader, Certificate]] = []
    refusal: Refusal | None = None
    for der in ders:
        try:
            head = read_crl(der)
            signer = _signer(der, head, graph, at)
            if ca not in {item.spki_sha256 for item in graph.issuers_covered_by(signer)}:
                raise revocation_untrusted("the CRL does not speak for this CA")
            usable.append((der, head, signer))
        except Refusal as found:
            refusal = refusal or found
    if not usable:
        raise refusal or revocation_untrusted("no CRL")
    return max(usable, key=_worth)


def _worth(item: tuple[Bytes, CrlHeader, Certificate]) -> tuple[bool, bool, datetime, int]:
    """Complete before delta, without limits before limited, and then the newer."""
    head = item[1]
    return head.base_number is None, head.scope == FULL_SCOPE, head.this_update, head.number or 0


def _signer(der: Bytes, head: CrlHeader, graph: CaGraph, at: datetime) -> Certificate:
    try:
        candidates = graph.named(names.comparison_key(head.issuer_der))
    except DerError as error:
        raise revocation_untrusted(f"the CRL's issuer is not a name: {error}") from error
    refusal: Refusal | None = None
    for candidate in candidates:
        try:
            head.verify(der, candidate, policy=graph.policy, at=at)
        except Refusal as found:
            refusal = refusal or found
        else:
            return candidate
    raise refusal or revocation_untrusted("the CRL is by another issuer than this provider's CAs")


def _refuse_going_back(source: RevocationSource, head: CrlHeader) -> None:
    """RFC 5280 clause 5.2.3: numbers only rise. An older CRL would bring a revoked lock back to life."""
    mark = manifest_or_empty().mark_of(source.ca_record.spki_sha256, source.url)
    for seen, number in (
        (source.this_update, source.crl_number),
        (mark.this_update if mark else None, mark.number if mark else ""),
    ):
        if seen is not None and head.this_update < seen:
            raise revocation_untrusted(f"older than the CRL of {seen.isoformat()} seen before (thisUpdate)")
        if number and (head.number is None or head.number < int(number, 16)):
            raise revocation_untrusted(f"its number is below {number} seen before (CRLNumber)")


def _write_row(source: RevocationSource, head: CrlHeader, held: Held, number: str, entries: int) -> None:
    """Row and audit, before the manifest: guarded against another machine that was quicker with a newer one."""
    with transaction.atomic():
        newer = RevocationSource.objects.select_for_update().filter(pk=source.pk).filter(
            Q(this_update__isnull=True) | Q(this_update__lte=head.this_update)
        )  # fmt: skip
        changed = newer.update(this_update=head.this_update, next_update=head.next_update, crl_number=number, sha256=held.sha256)
        if not changed:
            raise revocation_untrusted("older than the CRL that another machine has seen")
        record(
            Event.REVOCATION_FETCHED, provider=held.provider,
            details={"url": source.url, "sha256": held.sha256, "number": number, "entries": entries,
                     "this_update": head.this_update.isoformat(), "next_update": head.next_update.isoformat()},
        )  # fmt: skip
