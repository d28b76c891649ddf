"""Issue, open and spend the one-time texts, each tied to who asked for it and to what it is for."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from calock.core import challenge as core
from calock.core.challenge import Challenge, Purpose
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement, moment
from calock.server.accounts.authority import has_authority
from calock.server.accounts.models import Account
from calock.server.challenges.models import SpentChallenge
from calock.server.sessions.context import RequestContext
from calock.server.tools.keys import key_for, ring

KEPT = timedelta(days=1)
"""How long a used challenge is remembered."""
SWEEP_BATCH = 5000
OURS = frozenset({Reason.CHALLENGE_WRONG_PURPOSE, Reason.CHALLENGE_WRONG_CONTEXT})
"""Reasons that show a genuine, unexpired challenge in the wrong hands: it is spent, so that it is worth nothing afterwards."""


NOT_OURS = frozenset({Reason.CHALLENGE_MALFORMED, Reason.CHALLENGE_FORGED, Reason.CHALLENGE_EXPIRED, Reason.CHALLENGE_FROM_FUTURE})
"""Reasons after which nothing was judged or spent."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a challenge is for: the purpose, and for a binding whose and which."""

    purpose: Purpose
    member: uuid.UUID | None = None
    provider: str = ""
    binding: uuid.UUID | None = None


def context_bytes(aim: Aim, context: RequestContext) -> bytes:
    """The bytes that tie a challenge to its site, its browser or session, and its aim.

    Raises:
        Refusal: CHALLENGE_WRONG_CONTEXT when the browser brings no pre-login cookie, SESSION_REQUIRED without a session.
    """
    if aim.purpose == Purpose.LOGIN:
        who = context.browser
        if not who:
            raise Refusal(Reason.CHALLENGE_WRONG_CONTEXT, "no pre-login cookie")
    else:
        if context.session is None:
            raise Refusal(Reason.SESSION_REQUIRED, f"a {aim.purpose} challenge belongs to a session")
        who = context.session.digest
    parts = (aim.purpose.value, context.site, who, str(aim.member or ""), aim.provider, str(aim.binding or ""))
    return "\x1f".join(parts).encode()


class Issued(NamedTuple):
    """A new challenge."""

    text: str
    expires_at: datetime
    statement: str
    """What its signature will say."""


def issue_challenge(*, aim: Aim, context: RequestContext) -> Issued:
    """Make a challenge. Writes nothing.

    Raises:
        Refusal: as ``context_bytes``.
    """
    who = context_bytes(aim, context)
    said = _statements(aim, context)(context.at)
    text = core.issue(statement=said, context=who, key=key_for("challenge"), now=context.at)
    return Issued(text, context.at + core.TTL, said.text())


def _statements(aim: Aim, context: RequestContext) -> Callable[[datetime], Statement]:
    """The statement of an aim, as it would be signed were it made at a moment. Names are those of now."""
    words = {"purpose": aim.purpose.value, "site": context.site, "origin": context.origin, "provider": aim.provider}
    words["binding"] = str(aim.binding or "")
    if context.session is not None and aim.purpose != Purpose.LOGIN:
        acting = context.session.account
        about = acting if aim.member in (None, acting.pk) else _within_reach(aim.member, acting)
        words["by"] = acting.username if about is not acting else ""
        words["account"] = about.username if about else ""
        if about is not None and about.organisation is not None:
            words |= {"organisation": about.organisation.name, "organisation_code": about.organisation.uscc}
    return lambda at: Statement(time=moment(at), **words)


def _within_reach(member: uuid.UUID | None, acting: Account) -> Account | None:
    """The member whom a challenge is to name; None for people of whom ``acting`` may not learn names. The act refuses those."""
    found: Account | None = Account.objects.select_related("organisation").filter(pk=member).first()
    return found if found is not None and has_authority(acting, found) else None


def open_challenge(text: str, *, aim: Aim, context: RequestContext) -> Challenge:
    """Recognise our challenge; one that is ours but in the wrong hands is spent on the way out.

    Raises:
        Refusal: as ``calock.core.challenge.open_challenge``, and CHALLENGE_WRONG_CONTEXT without a pre-login cookie.
    """
    who = context_bytes(aim, context)  # outside: its refusals say nothing about the text, which is not ours until it was opened
    said = _statements(aim, context)
    try:
        return _recognised(text, aim.purpose, said, who, context.at)
    except Refusal as refusal:
        if refusal.reason in OURS:
            spend_quietly(Challenge(core.digest_of(text), aim.purpose, context.at + core.MAX_TTL, ""))
        raise


def is_ours(refusal: Refusal, context: RequestContext) -> bool:
    """Whether what was refused came with a challenge that this server made for somebody: only that is held against a sender.

    Anybody can send rubbish in the name of an address; judging it costs a MAC, and nothing is written for it but a bounded number
    of rows.
    """
    return refusal.reason not in NOT_OURS and bool(context.browser)


def _recognised(text: str, purpose: Purpose, said: Callable[[datetime], Statement], who: bytes, at: datetime) -> Challenge:
    """By whichever key of the ring made it: people who sign while the secret is changed need not begin again."""
    *newer, oldest = ring("challenge")
    for key in newer:
        try:
            return core.open_challenge(text, purpose=purpose, statement=said, context=who, key=key.octets, now=at)
        except Refusal as refusal:
            if refusal.reason is not Reason.CHALLENGE_FORGED:
                raise
    return core.open_challenge(text, purpose=purpose, statement=said, context=who, key=oldest.octets, now=at)


def spend(challenge: Challenge) -> None:
    """Use a challenge up, inside the caller's transaction.

    Raises:
        Refusal: CHALLENGE_SPENT when somebody was quicker.
    """
    try:
        with transaction.atomic():
            SpentChallenge(digest=challenge.digest).save(force_insert=True)
    except IntegrityError as error:
        raise Refusal(Reason.CHALLENGE_SPENT, "the challenge was used before") from error


def spend_quietly(challenge: Challenge) -> None:
    """Use a challenge up after a failed attempt; that it was used already does not matter."""
    SpentChallenge.objects.bulk_create([SpentChallenge(digest=challenge.digest)], ignore_conflicts=True)


def sweep_spent_challenges() -> int:
    """Delete rows that are a day old by the database's clock; how many.

    No challenge lives longer than minutes, on any machine whose clock is within a day of the database's: what is swept could not
    be used again anywhere.
    """
    old = SpentChallenge.objects.filter(spent_at__lt=Now() - KEPT).values_list("pk", flat=True)
    swept = 0
    while batch := list(old[:SWEEP_BATCH]):
        swept += SpentChallenge.objects.filter(pk__in=batch).delete()[0]
    return swept
