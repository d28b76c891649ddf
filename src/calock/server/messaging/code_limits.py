"""How many codes may be asked for: counted in the database, so that every process and machine counts the same.

Counted by what is asked about (an account, a name that somebody typed, the contact itself) and by who asks. Nobody's mailbox is
flooded through us, and no gateway's bill run up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.password_tries import Count, keys_of
from calock.server.sessions.context import RequestContext
from calock.server.tools.throttle import address_key

HOUR = timedelta(hours=1)
MOST = 5
"""Codes for one account, one name or one contact."""
MOST_OF_ADDRESS = 20
"""Codes asked for from one address: offices share theirs."""


def take(about: Sequence[str], context: RequestContext) -> None:
    """Count one code for each of ``about``, and for the address that asks, before anything is sent.

    Raises:
        Refusal: TOO_MANY_CODES with ``minutes``.
    """
    who = "address", address_key(context.ip), MOST_OF_ADDRESS
    for word, name, most in (*(("about", name, MOST) for name in about), who):
        count = Count(keys_of(f"code {name}", word), word, most, HOUR)
        if not count.take(context.at):
            detail = f"{most} codes, counted by {word}"
            raise Refusal(Reason.TOO_MANY_CODES, detail, {"minutes": count.minutes_left(context.at)})
