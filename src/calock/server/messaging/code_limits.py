"""How many codes may be asked for: counted in the database, so that every process and machine counts the same.

Counted by what is asked about (an account, a name that somebody typed, the contact itself) and, where nobody logged in,
by the address that asks. Nobody's mailbox is flooded through us, and no gateway's bill run up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.password_tries import Count, keys_of
from calock.server.contacts.models import CODE_TRIES
from calock.server.sessions.context import RequestContext
from calock.server.tools.throttle import address_key

HOUR = timedelta(hours=1)
MOST = 5
"""Codes for one account, one name or one contact."""
MOST_OF_ADDRESS = 20
"""Codes asked for from one address: offices share theirs."""


def about(what: str) -> Count:
    """Codes about an account, or a name that somebody typed."""
    return Count(keys_of(f"code {what}", "about"), "about", MOST, HOUR)


def to_contact(kind: str, value: str, *, asker: str = "") -> Count:
    """Codes to one contact, of however many accounts it is. ``asker``: the known browser that has a count of its own."""
    return about(f"{kind} {value.lower()}{asker}")


def from_address(context: RequestContext) -> Count:
    """Codes that somebody asked for who did not log in."""
    return Count(keys_of(f"code {address_key(context.ip)}", "address"), "address", MOST_OF_ADDRESS, HOUR)


def guesses(name: str, context: RequestContext) -> Count:
    """Guesses at codes for one name in one browser, whether there are any codes or not."""
    return Count(keys_of(f"guess {name}", f"browser {context.browser}"), "browser", MOST * CODE_TRIES, HOUR)


def take(*counts: Count, at: datetime) -> None:
    """Count one code in each of these before anything is sent.

    Raises:
        Refusal: TOO_MANY_CODES with ``minutes``.
    """
    for count in counts:
        if not count.take(at):
            detail = f"{count.most} codes, counted by {count.who}"
            raise Refusal(Reason.TOO_MANY_CODES, detail, {"minutes": count.minutes_left(at)})
