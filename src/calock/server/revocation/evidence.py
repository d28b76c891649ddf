"""Revocation data as the login path sees it: held in memory, renewed when the store's manifest changes, never a query.

One look at the manifest's time stamp a second; CRLs are mapped, not parsed; OCSP answers are kept until they run out.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason
from calock.core.register import ProviderTrust, Register
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.crl_index import CrlIndex, IndexDamagedError
from calock.core.revocation.evidence import (
    ApplicableCrl,
    EvidenceForAll,
    FinalRevocation,
    RejectedEvidence,
    RevocationEvidence,
    VerifiedSingleResponse,
    link_crls,
)
from calock.server.providers.trust import current_register
from calock.server.revocation import ocsp_cache, store
from calock.server.revocation.manifest import Held, Manifest, StoreDamagedError, read_manifest, stamp

LOOK_EVERY = 1.0
"""Seconds between two looks at the manifest: a new CRL works in every process of this machine after that."""

LINKED_FOR = 55.0
"""Seconds after which everything is linked again in any case: rules and responders' certificates have their dates."""

_LOOK_AGAIN = (0, 0, -1)
"""A stamp that no manifest has."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Linked:
    """The CRLs of one provider, by their files, and which of its CAs' certificates each answers for."""

    files: tuple[str, ...]
    graph: CaGraph
    offers: dict[str, list[ApplicableCrl]]


class _Stored:
    """The CRLs of the store, by whose source they came from and by the key that signed them."""

    def __init__(self, held: Iterable[Held]) -> None:
        self._by: defaultdict[str, dict[int, Held]] = defaultdict(dict)
        for place, item in enumerate(held):
            self._by[item.provider][place] = self._by[item.ca][place] = item

    def of(self, provider: ProviderTrust) -> list[Held]:
        """In the store's order."""
        found = {}
        for name in (provider.code, *(ca.spki_sha256 for ca in provider.cas)):
            found.update(self._by.get(name, {}))
        return [found[place] for place in sorted(found)]


class StoredEvidence:
    """What this machine holds, linked to the CA keys of one register. Immutable but for the cache of OCSP answers.

    Each provider's CAs and rules judge for themselves what counts (``of_provider``), also where two have the same CA key. CRLs are
    its CA's own words, whichever provider's source they came from.
    """

    def __init__(
        self, register: Register, manifest: Manifest, opened: dict[str, CrlIndex], linked: Mapping[str, Linked] | None = None
    ) -> None:
        """``linked``: what was linked to the same register before. A CRL of one provider is no work for a thousand others."""
        self._unusable: dict[str, list[RejectedEvidence]] = {}
        self.opened: dict[str, CrlIndex] = {}
        self._of: dict[str, _OfProvider] = {}
        self._any: dict[str, _OfProvider] = {}
        """By CA key: a provider that has it."""
        self._finals = {
            (item.ca, int(item.serial, 16)): FinalRevocation(item.revoked_at, "crl", item.sha256, item.detail)
            for item in manifest.finals
        }
        for item in manifest.troubles:
            self._note(item.ca, RejectedEvidence("CRL", "", Reason(item.reason), item.detail, frozenset((item.ca,))))
        self.linked: dict[str, Linked] = {}
        held = _Stored(manifest.held)
        for provider in register.providers:
            self._add(provider, held.of(provider), opened, (linked or {}).get(provider.code))

    def _add(self, provider: ProviderTrust, held: Iterable[Held], opened: dict[str, CrlIndex], before: Linked | None) -> None:
        indexes = {}
        for item in held:
            try:
                index = self.opened.get(item.file) or opened.get(item.file) or store.open_index(item.file)
            except IndexDamagedError as error:
                log.critical("crl_index_damaged", provider=provider.code, url=item.url, detail=str(error))
                detail = f"the stored index is damaged: {error}"
                self._note(
                    item.ca, RejectedEvidence("CRL", item.sha256, Reason.REVOCATION_UNTRUSTED, detail, frozenset((item.ca,)))
                )
                continue
            self.opened[item.file] = indexes[item.file] = index
        if before is None or before.files != tuple(indexes):
            graph = graph_of(provider)
            before = Linked(tuple(indexes), graph, link_crls(list(indexes.values()), graph))
        self.linked[provider.code] = before
        self._of[provider.code] = found = _OfProvider(self, before.offers, before.graph)
        for ca in provider.cas:
            self._any.setdefault(ca.spki_sha256, found)

    def _note(self, ca: str, item: RejectedEvidence) -> None:
        self._unusable.setdefault(ca, []).append(item)

    def of_provider(self, code: str) -> RevocationEvidence:
        return self._of.get(code, self)

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:
        found = self._any.get(issuer.spki_sha256)
        return found.crls_for(issuer) if found else ()

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:
        found = self._any.get(issuer.spki_sha256)
        return found.ocsp_for(issuer, serial) if found else ()

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:
        return self._unusable.get(issuer.spki_sha256, ())

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:
        return self._finals.get((issuer.spki_sha256, serial)) if self._finals else None


class _OfProvider(EvidenceForAll):
    """The stored evidence by the CAs and rules of one provider."""

    def __init__(self, stored: StoredEvidence, offers: dict[str, list[ApplicableCrl]], graph: CaGraph) -> None:
        self._stored = stored
        self._offers = offers
        self._graph = graph
        self._keys = {certificate.spki_sha256 for certificate in graph.certificates}

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:
        return self._offers.get(issuer.spki_sha256, ())

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:
        return ocsp_cache.answers(issuer, serial, graph=self._graph) if issuer.spki_sha256 in self._keys else ()

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:
        return self._stored.rejected_for(issuer)

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:
        return self._stored.final_for(issuer, serial)


class DamagedEvidence(EvidenceForAll):
    """The store cannot be believed, or not be read: everything that needs it is refused."""

    def __init__(self, detail: str) -> None:
        self._detail = detail

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:  # noqa: ARG002 - the protocol's signature
        return ()

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:  # noqa: ARG002 - the protocol's signature
        return ()

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:
        key = frozenset((issuer.spki_sha256,))
        return (RejectedEvidence("CRL", "", Reason.REVOCATION_UNTRUSTED, self._detail, key),)

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:  # noqa: ARG002 - the protocol's signature
        return None


def graph_of(provider: ProviderTrust) -> CaGraph:
    """CA certificates of one provider: only these may sign its revocation data; equal names mean nothing."""
    parsed = [(ca.anchor, Certificate.parse(ca.der)) for ca in provider.cas]
    return CaGraph(
        (certificate for anchor, certificate in parsed if anchor),
        (certificate for anchor, certificate in parsed if not anchor),
        policy=provider.policy,
        at=timezone.now(),
        provider=provider.code,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    evidence: RevocationEvidence
    opened: dict[str, CrlIndex]
    linked: Mapping[str, Linked]
    register: Register
    stamp: tuple[int, int, int]
    checked_at: float
    linked_at: float
    """When everything was last linked from the beginning."""


class _Keeper:
    """The evidence of this process. One thread renews it; the others wait for that one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def forget(self) -> None:
        with self._lock:
            self._kept = None

    def get(self, *, look: bool = False) -> RevocationEvidence:
        register = current_register()
        kept = self._kept
        if not look and kept is not None and kept.register is register and time.monotonic() - kept.checked_at < LOOK_EVERY:
            return kept.evidence
        with self._lock:
            return self._renewed(register)

    def _renewed(self, register: Register) -> RevocationEvidence:
        kept, now = self._kept, time.monotonic()
        try:
            found = stamp()
        except OSError as error:
            return self._damaged(f"the store of revocation data cannot be read: {error}", register, _LOOK_AGAIN, now)
        same = kept if kept is not None and kept.register is register and now - kept.linked_at < LINKED_FOR else None
        if same is not None and same.stamp == found:
            self._kept = replace(same, checked_at=now)
            return same.evidence
        if kept is None or kept.register.fingerprint != register.fingerprint:
            ocsp_cache.forget_memory()  # other keys or rules: what was verified under the old ones is verified again
        try:
            stored = StoredEvidence(register, read_manifest(), kept.opened if kept else {}, same.linked if same else None)
        except StoreDamagedError:
            return self._damaged("the store of revocation data was changed outside the server", register, found, now)
        except OSError as error:
            return self._damaged(f"the store of revocation data cannot be read: {error}", register, _LOOK_AGAIN, now)
        self._kept = _Kept(stored, stored.opened, stored.linked, register, found, now, same.linked_at if same else now)
        return self._kept.evidence

    def _damaged(self, detail: str, register: Register, found: tuple[int, int, int], now: float) -> RevocationEvidence:
        log.critical("crl_store_damaged", detail=detail)
        self._kept = _Kept(DamagedEvidence(detail), {}, {}, register, found, now, now)
        return self._kept.evidence


_keeper = _Keeper()


def current_evidence(*, look: bool = False) -> RevocationEvidence:
    """Revocation data of this machine; at most ``LOOK_EVERY`` seconds behind the store, with ``look`` not even that.

    Raises:
        Refusal: REGISTER_DAMAGED, as ``current_register``.
    """
    return _keeper.get(look=look)


def forget_evidence() -> None:
    """Look at the store again at the next use: between tests, and before figures are taken."""
    _keeper.forget()
    ocsp_cache.forget_memory()
