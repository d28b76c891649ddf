"""Every job of a machine, and how often it runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.utils import timezone

from calock.server.accounts.password_tries import sweep_password_tries
from calock.server.audit.outside.delivery import deliver as deliver_heads
from calock.server.audit.sealing import seal_audit
from calock.server.challenges.services import sweep_spent_challenges
from calock.server.expiry.reminders import remind
from calock.server.grants.ending import end_idle_sessions
from calock.server.imports.runs import carry_on
from calock.server.jobs import sealed_rows
from calock.server.jobs.crls import CrlSchedule
from calock.server.jobs.ocsp import OcspRenewal
from calock.server.jobs.outbox import Delivery
from calock.server.jobs.retention import let_go
from calock.server.jobs.runner import Job
from calock.server.jobs.sessions import Sweep, sweep_sessions
from calock.server.messaging.sending import forward_notices, sweep_contacts
from calock.server.oidc.keys import turn_keys
from calock.server.oidc.tokens import sweep
from calock.server.outbox.services import sweep_messages
from calock.server.receipts.timestamps import ask_for_timestamp
from calock.server.revocation import ocsp_cache, store
from calock.server.tools.clock import database_now, require_agreement

LONG_LIST = 600.0
"""Seconds that checking the longest list may take, or hashing the passwords of one part, where other work fills the cores."""


def _sessions() -> Sweep:
    require_agreement()
    return sweep_sessions()


def _spent_challenges() -> int:
    require_agreement()
    return sweep_spent_challenges()


def _password_tries() -> int:
    return sweep_password_tries(at=database_now())


def _seal(heads: Job) -> int:
    sealed = seal_audit(at=timezone.now())
    heads.wake.set()
    return sealed


def _idle_sessions() -> int:
    require_agreement()
    return end_idle_sessions(at=database_now())


def _signing_keys() -> int:
    require_agreement()
    now = database_now()
    sweep(at=now)
    return turn_keys(at=now)


def _timestamps() -> int:
    return ask_for_timestamp(at=timezone.now())


def _files() -> int:
    return ocsp_cache.sweep(at=timezone.now()) + store.sweep_files()


def _reminders() -> int:
    require_agreement()
    return remind(at=database_now())


def _retention() -> int:
    require_agreement()
    now = database_now()
    return let_go(at=now) + sweep_contacts(at=now)


def all_jobs(clock: Callable[[], float] = time.monotonic) -> list[Job]:
    """Build them anew: schedules keep state.

    The promise that a revoked lock is out within a minute hangs on the first three: docs/decisions/revocation.md adds them up.
    """
    sessions = Job("sessions", 10.0, _sessions)
    crls = CrlSchedule(clock=clock, changed=sessions.wake.set)
    heads = Job("audit-heads", 30.0, deliver_heads)
    ocsp = OcspRenewal(changed=sessions.wake.set, clock=clock)
    outbox = Delivery()
    return [
        Job("crl", 5.0, crls.tick, crls.wait),
        sessions,
        Job("ocsp", 30.0, ocsp.tick, ocsp.wait),
        Job("outbox", 2.0, outbox.tick, outbox.wait, outbox.more),
        Job("notices", 2.0, forward_notices),
        Job("sent-messages", 3600.0, sweep_messages),
        Job("spent-challenges", 60.0, _spent_challenges),
        Job("imports", 5.0, carry_on, bound=LONG_LIST),
        Job("retention", 3600.0, _retention),
        Job("reminders", 3600.0, _reminders),
        Job("password-tries", 600.0, _password_tries),
        Job("audit-seal", 60.0, lambda: _seal(heads)),
        heads,
        Job("idle-sessions", 30.0, _idle_sessions),
        Job("signing-keys", 3600.0, _signing_keys),
        Job("timestamps", 300.0, _timestamps),
        Job("revocation-files", 3600.0, _files),
        Job("sealed-rows", sealed_rows.EVERY, sealed_rows.look),
    ]
