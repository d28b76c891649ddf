"""End sessions whose lock stopped being good: revoked, on hold, expired, or without a path to a CA that is recognised.

What is known to be bad ends a session, and so does a stored certificate that cannot be opened, since its revocation could not be
found. A CRL that cannot be fetched refuses new logins; it ends no session.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import structlog
from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.decision.inputs import VerificationInputs
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.check import SameKey, check_revocation
from calock.core.verdict import RevocationStatus
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.jobs.paths import Ground, Grounds
from calock.server.locks.models import LockCertificate
from calock.server.locks.revocations import note_revoked
from calock.server.locks.unrecognised import end_unrecognised_sessions, unrecognised
from calock.server.providers.models import Provider
from calock.server.providers.trust import current_register, forget_register
from calock.server.revocation.evidence import current_evidence
from calock.server.sessions.services import end_sessions_of_lock

END_REASONS = {
    Reason.CERTIFICATE_REVOKED: "certificate revoked",
    Reason.CERTIFICATE_ON_HOLD: "certificate on hold",
    Reason.CERTIFICATE_EXPIRED: "certificate expired",
    Reason.CA_REVOKED: "ca revoked",
    Reason.CERTIFICATE_UNTRUSTED: "ca not recognised",
    Reason.PROVIDER_NOT_RECOGNISED_HERE: "ca not recognised",
    Reason.PROVIDER_SUSPENDED: "provider suspended",
    Reason.PATH_EXPIRED: "ca certificate expired",
    Reason.CERTIFICATE_UNPARSABLE: "stored certificate does not open",
}
"""How the row of an ended session says why."""
OTHERWISE = "certification path broken"
"""Every other fault of a path: a rule that one of its certificates breaks since the rules were changed."""
REVOKED = frozenset({Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_ON_HOLD, Reason.CA_REVOKED})
"""Outcomes of the revocation step that end a session; the others are about missing data."""

CHUNK = 500

log = structlog.get_logger(__name__)
_grounds = Grounds()
"""Of this process, from sweep to sweep."""
_complained: set[str] = set()
"""What could not be judged at the last sweep: a trace in the log once, not every ten seconds."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did."""

    looked_at: int = 0
    ended: int = 0
    failed: int = 0
    """Locks and providers that could not be judged; the log says why. Sessions go on, unless the certificate does not open."""

    @property
    def problem(self) -> str:
        """Not empty when something could not be judged."""
        return f"{self.failed} locks or providers could not be judged" if self.failed else ""

    def __bool__(self) -> bool:
        return self.ended > 0 or self.failed > 0

    def __str__(self) -> str:
        failed = f", {self.failed} could not be judged" if self.failed else ""
        return f"{self.ended} sessions ended, {self.looked_at} locks looked at{failed}"


class _Row(NamedTuple):
    pk: uuid.UUID
    lock_id: uuid.UUID
    sha256: str
    revoked_at: datetime | None
    issuer_key: str
    serial: str
    site: str
    """Where the session is: a CA may stand under another provider on another site."""

    @property
    def key(self) -> str:
        return f"{self.sha256} {self.site}"


Bad = tuple[Reason, RevocationStatus | None]
"""Why a session ends, and what it rests on when that is a finding about the lock's own certificate."""


def sweep_sessions(*, at: datetime | None = None) -> Sweep:
    """Look at every lock with a live session once. One that cannot be judged keeps no other from being.

    Raises:
        Refusal: REGISTER_DAMAGED; nothing is known then, and no login is possible either.
        DatabaseError: ours does not answer.
    """
    at = at or timezone.now()
    judge = _Judge(at)
    ended = 0
    failed: set[str] = set()
    for provider in Provider.objects.all():
        try:
            ended += _end_without_ground(provider, at)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever its certificates hold: the other providers are looked at as well
            failed.add(provider.code)
            _complain("provider_not_judged", provider.code, error)
    rows = _current_certificates(at)
    for row, stored in _with_stored(rows, at):
        try:
            bad = judge.why_bad(row, stored)
            ended += _end(row, *bad, at) if bad is not None else 0
        except DatabaseError:
            raise
        except Refusal as refusal:  # what does not open cannot be found revoked either: its session ends, and the job has failed
            failed.add(row.sha256)
            _complain("lock_not_judged", row.sha256, refusal)
            ended += _end(row, refusal.reason, None, at) if refusal.reason is Reason.CERTIFICATE_UNPARSABLE else 0
        except Exception as error:  # noqa: BLE001 - as above, whatever this certificate holds
            failed.add(row.sha256)
            _complain("lock_not_judged", row.sha256, error)
    _complained.intersection_update(failed)
    _grounds.keep_only([row.key for row in rows])
    return Sweep(len(rows), ended, len(failed))


def _complain(event: str, what: str, error: Exception) -> None:
    if what not in _complained:
        _complained.add(what)
        log.error(event, what=what, exc_info=error)


def _end_without_ground(provider: Provider, at: datetime) -> int:
    if not unrecognised(provider).exists():
        return 0  # no transaction, which is SQLite's one write lock, for what is so at nearly every sweep
    with transaction.atomic():
        count = end_unrecognised_sessions(provider, at)
        if count:
            record(Event.SESSIONS_REVOKED, provider=provider.code, subject=provider.pk,
                   details={"count": count, "why": "ca not recognised"})  # fmt: skip
    return count


def _current_certificates(at: datetime) -> list[_Row]:
    rows = LockCertificate.objects.filter(
        lock__sessions__ended_at__isnull=True, lock__sessions__expires_at__gt=at, superseded_at__isnull=True
    )
    names = ("pk", "lock_id", "cert_sha256", "revoked_at", "ca_record__spki_sha256", "serial", "lock__sessions__site")
    return [_Row(*values) for values in rows.values_list(*names).distinct()]


def _with_stored(rows: Sequence[_Row], at: datetime) -> Iterator[tuple[_Row, LockCertificate | None]]:
    """Each row with its certificate, which is read only when nothing is kept of it."""
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        wanted = [row.pk for row in chunk if _grounds.of(row.key, at) is None]
        read = LockCertificate.objects.only("cert_sha256", "sealed_der").in_bulk(wanted) if wanted else {}
        for row in chunk:
            yield row, read.get(row.pk)


class _Judge:
    """One sweep: a moment, the register and the evidence of this process."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._fresh = False
        self._revoked_authorities: dict[tuple[str, tuple[Certificate, ...]], bool] = {}
        self._take_up()

    def _take_up(self) -> None:
        self._register = current_register()
        self._evidence = current_evidence(look=True)
        self._revoked_authorities.clear()
        _grounds.use(self._register)

    def why_bad(self, row: _Row, stored: LockCertificate | None) -> Bad | None:
        """What a login with this certificate would be refused with, as far as it ends sessions; None = nothing.

        Raises:
            Refusal: the certificate cannot be read.
        """
        if row.revoked_at is not None:
            return Reason.CERTIFICATE_REVOKED, None  # found out elsewhere, and final whatever today's data say
        ground = self._ground(row, stored)
        if isinstance(ground, Reason):
            # one that is not valid yet was valid at its login: a clock's error
            return None if ground is Reason.CERTIFICATE_NOT_YET_VALID else (ground, None)
        if self._has_revoked_ca(ground):
            _grounds.forget(row.key)  # another path may hold since this one was found
            ground = self._ground(row, stored)
            if isinstance(ground, Reason):
                return ground, None
            if self._has_revoked_ca(ground):
                return Reason.CA_REVOKED, None
        return self._revoked(ground, ground.certificates[:2])

    def _has_revoked_ca(self, ground: Ground) -> bool:
        key = (ground.provider, ground.certificates[1:])
        if key not in self._revoked_authorities:
            same_keys = [item._replace(number=item.number - 1) for item in ground.same_keys]
            self._revoked_authorities[key] = self._revoked(ground, ground.certificates[1:], same_keys) is not None
        return self._revoked_authorities[key]

    def _ground(self, row: _Row, stored: LockCertificate | None) -> Ground | Reason:
        kept = _grounds.of(row.key, self.at)
        if kept is not None:
            return kept
        der = (stored or LockCertificate.objects.only("cert_sha256", "sealed_der").get(pk=row.pk)).der
        found = self._found(row, der)
        if isinstance(found, Reason) and not self._fresh:
            # the session may be younger than our copy of the register, and its CA too: an old copy ends no session
            forget_register()
            self._take_up()
            self._fresh = True
            found = self._found(row, der)
        return found

    def _found(self, row: _Row, der: bytes) -> Ground | Reason:
        return _grounds.find(row.key, der, VerificationInputs(self._register, self.at, self._evidence, site=row.site))

    def _revoked(self, ground: Ground, path: Sequence[Certificate], same_keys: Sequence[SameKey] = ()) -> Bad | None:
        evidence = self._evidence.of_provider(ground.provider)
        found = check_revocation(path, evidence=evidence, policy=ground.policy, at=self.at, same_keys=same_keys)
        return (found.reason, found.statuses[0]) if found.reason is not None and found.reason in REVOKED else None


def _end(row: _Row, reason: Reason, status: RevocationStatus | None, at: datetime) -> int:
    why = END_REASONS.get(reason, OTHERWISE)
    noted = 0
    if reason is Reason.CERTIFICATE_REVOKED and status is not None:
        # first and for itself: it takes certificate, then sessions, as a login does that learns the same at this moment
        noted = note_revoked(row.issuer_key, row.serial, status=status, at=at)
    with transaction.atomic():
        count = end_sessions_of_lock(lock_id=row.lock_id, reason=why, at=at, site=row.site)
        details: dict[str, str | int] = {"count": count, "why": why, "certificate": row.sha256}
        if count:
            record(Event.SESSIONS_REVOKED, lock=row.lock_id, reason=reason, details=details)
    return noted + count
