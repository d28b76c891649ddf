"""How a one-time code is handed to its person: as a link that carries it behind ``#``, which browsers never send."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from calock.server.sites.registry import sites


def code_link(origin: str, *, username: str, code: str) -> str:
    """Address of the page where the code is used. The fragment stays in the browser: no log and no proxy sees it."""
    return f"{origin}{reverse('portal:password_code')}?{urlencode({'account': username})}#{code}"


def code_lines(*, username: str, code: str) -> str:
    """The code with its address on each site, for the command line."""
    scheme = "http" if settings.CALOCK.insecure_http else "https"
    port = f":{settings.CALOCK.public_port}" if settings.CALOCK.public_port else ""
    origins = [f"{scheme}://{profile.hosts[0]}{port}" for profile in sites().values()]
    links = [f"  {code_link(origin, username=username, code=code)}" for origin in origins]
    return "\n".join((f"account {username}, one-time code (72 hours, one use): {code}", *links))
