"""Ask OCSP anew about locks with live sessions whose CA publishes no CRL, each in its turn."""

from __future__ import annotations

import time
import uuid
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.utils import timezone

from calock.core.ca_graph import CaGraph
from calock.core.certificate import Certificate
from calock.core.register import Register
from calock.server.locks.models import LockCertificate
from calock.server.providers.models import SourceKind
from calock.server.providers.trust import current_register
from calock.server.revocation.evidence import graph_of
from calock.server.revocation.live import fetch_ocsp
from calock.server.sessions.models import Session

SECONDS = 20.0
"""Of one round: as many are asked about as fit, and the next round goes on where this one stopped."""

log = structlog.get_logger(__name__)


class OcspRenewal:
    """Goes round all locks that are to be asked about, however many fit into one round: none waits for ever."""

    def __init__(
        self,
        changed: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        ask: Callable[..., bool] = fetch_ocsp,
    ) -> None:
        """``changed`` is called after a round in which somebody was asked about: the answers may end sessions."""
        self._changed = changed
        self._clock = clock
        self._ask = ask
        self._last: uuid.UUID | None = None

    def round(self, *, at: datetime | None = None) -> int:
        """Ask about as many as fit into ``SECONDS``; how many.

        Raises:
            Refusal: REGISTER_DAMAGED.
            DatabaseError: ours does not answer.
        """
        end = self._clock() + SECONDS
        register = current_register()
        graphs: dict[str, CaGraph] = {}
        asked = 0
        for pk in self._in_turn(at or timezone.now()):
            if self._clock() >= end:
                break
            self._last = pk
            asked += self._renew(pk, register, graphs)
        if asked:
            self._changed()
        return asked

    def _in_turn(self, at: datetime) -> list[uuid.UUID]:
        """Certificates to ask about, beginning after the one that was asked about last."""
        locks = Session.objects.filter(lock__isnull=False, ended_at__isnull=True, expires_at__gt=at).values("lock_id")
        rows = LockCertificate.objects.filter(lock__in=locks, superseded_at__isnull=True)
        rows = rows.filter(ca_record__revocation_sources__kind=SourceKind.OCSP)
        rows = rows.exclude(ca_record__revocation_sources__kind=SourceKind.CRL)
        found = sorted(set(rows.values_list("pk", flat=True)))
        start = 0 if self._last is None else bisect_right(found, self._last)
        return found[start:] + found[:start]

    def _renew(self, pk: uuid.UUID, register: Register, graphs: dict[str, CaGraph]) -> int:
        """Ask about one; 1 when it was asked about. Whatever it meets, the others get their turn."""
        try:
            row = LockCertificate.objects.select_related("ca_record").filter(pk=pk).first()
            issuers = register.with_key(row.ca_record.spki_sha256) if row else ()
            if row is None or not issuers:
                return 0
            leaf = Certificate.parse(bytes(row.der))
            issuer = next((one for one in issuers if one.subject_key == leaf.issuer_key), issuers[0])
            graph = graphs.get(issuer.provider.code) or graphs.setdefault(issuer.provider.code, graph_of(issuer.provider))
            self._ask(leaf, issuer.certificate, graph=graph, at=timezone.now(), anew=True)
        except DatabaseError:
            raise
        except Exception:
            log.exception("ocsp_not_renewed", certificate=str(pk))
            return 0
        return 1
