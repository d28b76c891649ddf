"""Start and end sessions. Rows are ended, never deleted: "my sessions" shows them and audit rows name them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.sessions import cookies
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session, SessionMethod
from calock.server.tools.digests import digest

ABSOLUTE = timedelta(hours=12)
IDLE_OPERATOR = timedelta(minutes=15)
"""How long an operator's session may go unused, whatever the site's profile says for others."""
TOUCH = timedelta(seconds=30)
"""How old ``last_seen_at`` may be before it is written again: one write per half minute, not per request."""
BATCH = 5000
"""Sessions ended by one statement: databases limit its parameters."""
STEP_UP = timedelta(minutes=5)
"""How long a password or lock proof counts for acts that ask for a fresh one."""


def idle_limit(site_minutes: int, *, operator: bool) -> timedelta:
    """How long a session may go unused on a site whose profile says ``site_minutes``. Source: NIST SP 800-63B-4 clause 2.3.3."""
    limit = timedelta(minutes=site_minutes)
    return min(limit, IDLE_OPERATOR) if operator else limit


def new_session(
    *, account_id: uuid.UUID, method: SessionMethod, context: RequestContext, lock_id: uuid.UUID | None = None
) -> tuple[Session, str]:
    """An unsaved session row and its cookie's value: the only time the value exists on the server."""
    value = cookies.new_value()
    by_lock = method == SessionMethod.CA
    session = Session(
        digest=digest(value),
        account_id=account_id,
        site=context.site,
        method=method,
        lock_id=lock_id,
        ip=context.ip,
        user_agent=context.user_agent,
        created_at=context.at,
        last_seen_at=context.at,
        expires_at=context.at + ABSOLUTE,
        authenticated_at=context.at,
        password_proved_at=None if by_lock else context.at,
        lock_proved_at=context.at if by_lock else None,
        proved_lock_id=lock_id,
    )
    session.seal()
    return session, value


def add_proof(*, session: Session, lock_id: uuid.UUID | None, at: datetime) -> str:
    """Note that the person proved who they are again: by their lock ``lock_id``, or by password when None.

    Gives the value of the session's new cookie; the one before opens nothing any more (OWASP ASVS 5.0, 7.2.4). Inside the caller's
    transaction. The row is read anew: a proof that was forgotten since the request began does not come back.

    Raises:
        Refusal: SESSION_ENDED: somebody wrote into the row meanwhile, and would have it sealed.
    """
    row = Session.objects.select_for_update(no_key=True).get(pk=session.pk)
    if not row.is_intact():
        raise Refusal(Reason.SESSION_ENDED, "the session's row was changed meanwhile")
    value = cookies.new_value()
    row.token, row.authenticated_at = digest(value), at
    if lock_id is None:
        row.password_proved_at = at
    else:
        row.lock_proved_at, row.proved_lock_id = at, lock_id
    row.seal()
    row.save(update_fields=["token", "authenticated_at", "password_proved_at", "lock_proved_at", "proved_lock", "mac"])
    return value


def forget_proofs(sessions: QuerySet[Session]) -> None:
    """Let what a lock proved in these sessions count no longer. Whoever ends others as well has locked all rows before."""
    with transaction.atomic():
        concerned = list(sessions.filter(ended_at__isnull=True).order_by("pk"))
        for session in concerned:
            changed = not session.is_intact()  # by somebody else: it is no session, and stays none
            session.lock_proved_at = session.proved_lock_id = None
            if not changed:
                session.seal()
            session.save(update_fields=["lock_proved_at", "proved_lock", "mac"])
        for listener in _forgotten:
            listener([session.pk for session in concerned])


def require_fresh(context: RequestContext) -> Session:
    """The session that asks, whose person proved themselves in the last minutes.

    Raises:
        Refusal: STEP_UP_REQUIRED.
    """
    if context.session is None or not is_fresh(context.session, at=context.at):
        raise Refusal(Reason.STEP_UP_REQUIRED, "the last proof is older than five minutes")
    return context.session


def touch(session: Session, *, at: datetime) -> None:
    """Note that the session is in use: once in half a minute, not for each request."""
    if abs(at - session.last_seen_at) > TOUCH:
        session.last_seen_at = at
        session.save(update_fields=["last_seen_at"])


def hold_sessions(account_id: uuid.UUID) -> None:
    """Lock the account's live sessions in the order in which all do, before several calls each end some of them."""
    rows = Session.objects.filter(account_id=account_id, ended_at__isnull=True)
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


def end_sessions(sessions: QuerySet[Session], *, reason: str, at: datetime) -> int:
    """End every live session among ``sessions``; how many there were.

    Their rows are locked in one order first: an account's and a lock's sessions, ended at the same moment, overlap.
    """
    live = Session.objects.filter(pk__in=sessions.filter(ended_at__isnull=True).values("pk"))
    with transaction.atomic():
        keys = list(live.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        return sum(_end(keys[start : start + BATCH], reason, at) for start in range(0, len(keys), BATCH))


Listener = Callable[[Sequence[str]], None]
_listeners: list[Listener] = []
_forgotten: list[Listener] = []


def on_end(listener: Listener) -> None:
    """Name, at start-up, what is called with the keys of sessions that end, inside the transaction that ends them."""
    if listener not in _listeners:
        _listeners.append(listener)


def on_forget(listener: Listener) -> None:
    """Name, at start-up, what is called with the keys of sessions that go on without what a lock proved, in that transaction."""
    if listener not in _forgotten:
        _forgotten.append(listener)


def _end(keys: Sequence[str], reason: str, at: datetime) -> int:
    with transaction.atomic():
        ended = Session.objects.filter(pk__in=keys, ended_at__isnull=True).update(ended_at=at, end_reason=reason)
        if ended:
            for listener in _listeners:
                listener(keys)
    return ended


def end_session(*, session: Session, reason: str, at: datetime) -> None:
    """End one session; a second end changes nothing."""
    _end([session.pk], reason, at)


def end_sessions_of_account(*, account_id: uuid.UUID, reason: str, at: datetime, but: Session | None = None) -> int:
    rows = Session.objects.filter(account_id=account_id)
    return end_sessions(rows if but is None else rows.exclude(pk=but.pk), reason=reason, at=at)


def end_sessions_of_lock(*, lock_id: uuid.UUID, reason: str, at: datetime, site: str = "") -> int:
    """End the sessions that the lock opened; how many. What it proved in others, which go on, no longer counts.

    ``site``: those of one site only, where the reason is a rule that does not hold on others.
    """
    concerned = Session.objects.filter(Q(lock_id=lock_id) | Q(proved_lock_id=lock_id), ended_at__isnull=True)
    concerned = concerned.filter(site=site) if site else concerned
    with transaction.atomic():
        list(concerned.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))  # all in one order
        count = end_sessions(concerned.filter(lock_id=lock_id), reason=reason, at=at)
        forget_proofs(concerned.filter(proved_lock_id=lock_id))
    return count


def live_sessions(*, account_id: uuid.UUID, limits: Mapping[str, timedelta], at: datetime) -> QuerySet[Session]:
    """Sessions of an account that may still be used, newest activity first. ``limits``: how long one may idle, by site."""
    used = Q()
    for site, limit in limits.items():
        used |= Q(site=site, last_seen_at__gt=at - limit)
    return Session.objects.filter(used, account_id=account_id, ended_at__isnull=True, expires_at__gt=at).order_by("-last_seen_at")


def end_own_session(*, session: Session, by: uuid.UUID, context: RequestContext) -> None:
    """End one of the sessions of the account ``by`` on its owner's wish.

    Raises:
        Refusal: NOT_FOUND for another's session.
    """
    if session.account_id != by:
        raise Refusal(Reason.NOT_FOUND, "another account's session")
    with transaction.atomic():
        end_session(session=session, reason="ended by its owner", at=context.at)
        record(Event.SESSIONS_REVOKED, context=context, actor=session.account, subject=by, details={"session": session.digest[:16]})


def end_other_sessions(*, own: Session, context: RequestContext) -> int:
    """End every session of an account but the one in which its owner asks for that; how many there were."""
    with transaction.atomic():
        count = end_sessions_of_account(account_id=own.account_id, reason="ended by its owner", at=context.at, but=own)
        record(Event.SESSIONS_REVOKED, context=context, actor=own.account, subject=own.account_id, details={"count": count})
    return count


def is_fresh(session: Session, *, at: datetime) -> bool:
    """Whether the last proof is recent enough for an act that asks for step-up."""
    return at - session.authenticated_at <= STEP_UP


def is_fresh_by_lock(session: Session, *, at: datetime) -> bool:
    """The same for acts for which a password does not do."""
    return session.lock_proved_at is not None and at - session.lock_proved_at <= STEP_UP
