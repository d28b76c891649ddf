"""Fetch CRLs during a login: one fetch per source at a time, and none again for a while after it."""

from __future__ import annotations

import threading
import time
from datetime import datetime

from calock.server.egress.connections import Patience
from calock.server.providers.models import RevocationSource, SourceKind
from calock.server.revocation.health import HeldHere, held_here
from calock.server.revocation.limits import CRL_LIVE_LIMITS
from calock.server.revocation.manifest import stamp
from calock.server.revocation.refresh import refresh_crl

RETRY_CRL = 30.0
"""Seconds between two attempts at one CRL source on behalf of somebody who waits."""
JOIN = 1.0
"""Seconds for which others wait for an attempt that is under way: one that lives has answered by then."""


class Attempts:
    """Attempts at CRL sources on behalf of people who wait: one at a time, and then none for ``RETRY_CRL`` seconds."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._claimed: dict[int, float] = {}
        self._under_way: dict[int, threading.Event] = {}

    def claim(self, source: int) -> bool:
        """Whether the caller may try it. Claimed before the attempt: a dead source then keeps no second person waiting."""
        now = time.monotonic()
        with self._guard:
            if now - self._claimed.get(source, float("-inf")) < RETRY_CRL:
                return False
            self._claimed[source] = now
            self._under_way[source] = threading.Event()
        return True

    def done(self, source: int) -> None:
        with self._guard:
            event = self._under_way.pop(source, None)
        if event is not None:
            event.set()

    def join(self, source: int, seconds: float) -> None:
        """Wait for somebody else's attempt, if there is one."""
        event = self._under_way.get(source)
        if event is not None:
            event.wait(seconds)

    def forget(self) -> None:
        with self._guard:
            self._claimed.clear()


_attempts = Attempts()


def fetch_crls(provider: str, keys: list[str], at: datetime, patience: Patience) -> bool:
    """Fetch what these CAs of a provider publish, one source after the other; True = the store changed, by whomever."""
    before = stamp()
    rows = RevocationSource.objects.filter(
        kind=SourceKind.CRL, ca_record__provider__code=provider, ca_record__spki_sha256__in=keys
    ).select_related("ca_record")
    for source in rows:
        if patience.over:
            break
        if _tried_lately(source, at):
            continue
        if not _attempts.claim(source.pk):
            _attempts.join(source.pk, min(JOIN, patience.left))
            continue
        try:
            refresh_crl(source, at=at, limits=patience.within(CRL_LIVE_LIMITS))
        finally:
            _attempts.done(source.pk)
    return stamp() != before


def _tried_lately(source: RevocationSource, at: datetime) -> bool:
    """Whether somebody, on whatever machine, tried it just now; what another machine took in does not help this one."""
    if source.last_fetched_at is None or not 0 <= (at - source.last_fetched_at).total_seconds() < RETRY_CRL:
        return False  # nor when another machine's clock is ahead
    return bool(source.last_error) or held_here(source) is HeldHere.SAME


def forget() -> None:
    """Try every source again: between tests."""
    _attempts.forget()
