"""How a one-time code is handed to its person: as a link that carries it behind ``#``, which browsers never send."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

from calock.server.sites.registry import origin_of, sites


def code_link(origin: str, *, username: str, code: str) -> str:
    """Address of the page where the code is used. The fragment stays in the browser: no log and no proxy sees it."""
    return f"{origin}{reverse('portal:password_code')}?{urlencode({'account': username})}#{code}"


def code_lines(*, username: str, code: str) -> str:
    """The code with its address on each site, for the command line."""
    origins = map(origin_of, sites().values())
    links = [f"  {code_link(origin, username=username, code=code)}" for origin in origins]
    return "\n".join((f"account {username}, one-time code (72 hours, one use): {code}", *links))
