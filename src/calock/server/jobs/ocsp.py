"""Ask OCSP anew about locks with live sessions that no CRL at hand speaks for, each in its turn, and each CA's apart."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import partial

import structlog
from django.db import Error as DatabaseError
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason
from calock.core.register import Issuer, Register
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.check import FETCH_MAY_HELP, check_revocation
from calock.core.revocation.evidence import (
    ApplicableCrl,
    EvidenceForAll,
    FinalRevocation,
    RejectedEvidence,
    RevocationEvidence,
    VerifiedSingleResponse,
)
from calock.server.jobs.lanes import Lanes
from calock.server.locks.models import LockCertificate
from calock.server.providers.models import CaRecord, SourceKind
from calock.server.providers.trust import current_register
from calock.server.revocation.evidence import current_evidence, graph_of
from calock.server.revocation.live import fetch_ocsp
from calock.server.sessions.models import Session

SECONDS = 20.0
"""Of one CA's turn: as many are asked about as fit, and its next turn goes on where this one stopped."""
AT_ONCE = 8
"""CAs whose responders are asked at a time: a slow one must not use up the time of the others."""

log = structlog.get_logger(__name__)


class OcspRenewal:
    """Goes round all locks that are to be asked about, however many fit into one turn of their CA: none waits for ever."""

    def __init__(
        self,
        changed: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        ask: Callable[..., bool] = fetch_ocsp,
    ) -> None:
        """``changed`` is called after a turn in which somebody was asked about: the answers may end sessions."""
        self._changed = changed
        self._clock = clock
        self._ask = ask
        self._last: dict[str, uuid.UUID] = {}
        self._lanes = Lanes("ocsp", at_once=AT_ONCE, of_one=1)
        self._turns: dict[str, Future[None]] = {}

    def tick(self, *, at: datetime | None = None) -> int:
        """Start a turn of each CA that has none under way; how many.

        Raises:
            Refusal: REGISTER_DAMAGED.
            DatabaseError: ours does not answer.
        """
        register = current_register()
        under_way = {key: turn for key, turn in self._turns.items() if not turn.done()}
        waiting = _waiting(at or timezone.now())
        started = {
            key: self._lanes.put(key, partial(self._turn, _Responder(register, key, self._ask), pks))
            for key, pks in waiting.items()
            if key not in under_way
        }
        self._turns = under_way | started
        return len(started)

    def wait(self) -> None:
        """Wait for what was started."""
        for turn in self._turns.values():
            turn.result()

    def _turn(self, ca: _Responder, pks: Sequence[uuid.UUID]) -> None:
        """Ask about locks of one CA, beginning after the one that was asked about last."""
        end = self._clock() + SECONDS
        last = self._last.get(ca.key)
        start = 0 if last is None else bisect_right(pks, last)
        asked = 0
        for pk in (*pks[start:], *pks[:start]):
            if ca.needs_none or self._clock() >= end:
                break
            self._last[ca.key] = pk
            asked += ca.renew(pk)
        if asked:
            self._changed()


def _waiting(at: datetime) -> dict[str, list[uuid.UUID]]:
    """Certificates with live sessions, in order, by the key of the CA that issued them, where that has a responder."""
    locks = Session.objects.filter(lock__isnull=False, ended_at__isnull=True, expires_at__gt=at).values("lock_id")
    rows = LockCertificate.objects.filter(lock__in=locks, superseded_at__isnull=True)
    asked = CaRecord.objects.filter(revocation_sources__kind=SourceKind.OCSP).values("spki_sha256")
    rows = rows.filter(ca_record__spki_sha256__in=asked)
    found: defaultdict[str, list[uuid.UUID]] = defaultdict(list)
    for key, pk in sorted(set(rows.values_list("ca_record__spki_sha256", "pk"))):
        found[key].append(pk)
    return dict(found)


class _Responder:
    """One CA's responder, in one turn."""

    def __init__(self, register: Register, key: str, ask: Callable[..., bool]) -> None:
        self.key = key
        self._issuers: defaultdict[str, list[Issuer]] = defaultdict(list)
        for issuer in register.with_key(key):
            self._issuers[issuer.provider.code].append(issuer)
        self._done: set[str] = set()
        """Providers for whose rules a complete CRL at hand speaks for all locks."""
        self._ask = ask
        self._graphs: dict[str, CaGraph] = {}

    @property
    def needs_none(self) -> bool:
        """A complete CRL at hand speaks for all of them, by everybody's rules."""
        return bool(self._issuers) and self._done >= self._issuers.keys()

    def renew(self, pk: uuid.UUID) -> int:
        """Ask about one; 1 when it was asked about. An error here does not stop the others."""
        try:
            row = LockCertificate.objects.filter(pk=pk).first()
            if row is None or not self._issuers:
                return 0
            leaf = Certificate.parse(bytes(row.der))
            return max([self._renew_for(leaf, issuers) for issuers in self._issuers.values()])
        except DatabaseError:
            raise
        except Exception:
            log.exception("ocsp_not_renewed", certificate=str(pk))
            return 0

    def _renew_for(self, leaf: Certificate, issuers: Sequence[Issuer]) -> int:
        """Ask by the rules of one provider that has this CA."""
        issuer = next((one for one in issuers if one.subject_key == leaf.issuer_key), issuers[0])
        provider = issuer.provider
        if self._spoken_for(leaf, issuer):
            return 0
        graph = self._graphs.get(provider.code) or self._graphs.setdefault(provider.code, graph_of(provider))
        self._ask(leaf, issuer.certificate, graph=graph, at=timezone.now(), anew=True)
        return 1

    def _spoken_for(self, leaf: Certificate, issuer: Issuer) -> bool:
        """Whether the CRLs at hand alone decide. That the CA has a CRL is not enough: it may be for others, or too old."""
        known = _CrlsOnly(current_evidence().of_provider(issuer.provider.code))
        path = (leaf, issuer.certificate)
        judged = check_revocation(path, evidence=known, policy=issuer.provider.policy, at=timezone.now())
        if any(item.reason in FETCH_MAY_HELP or item.reason is Reason.REVOCATION_UNKNOWN for item in judged.findings):
            return False
        if any(offer.crl.is_complete for offer in known.crls_for(issuer.certificate)):
            self._done.add(issuer.provider.code)
        return True


class _CrlsOnly(EvidenceForAll):
    """Evidence without what OCSP said."""

    def __init__(self, known: RevocationEvidence) -> None:
        self._known = known

    def crls_for(self, issuer: Certificate) -> Sequence[ApplicableCrl]:
        return self._known.crls_for(issuer)

    def ocsp_for(self, issuer: Certificate, serial: int) -> Sequence[VerifiedSingleResponse]:  # noqa: ARG002 - the protocol's signature
        return ()

    def rejected_for(self, issuer: Certificate) -> Sequence[RejectedEvidence]:
        return self._known.rejected_for(issuer)

    def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:
        return self._known.final_for(issuer, serial)
