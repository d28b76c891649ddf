"""What every template knows of the site."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from calock.server.sites.profile import Profile
from calock.server.sites.registry import sites
from calock.server.tools import request_id


def site(request: HttpRequest) -> dict[str, Any]:
    """What ``of_site`` says, and the request's number. A request without a known site gets the default site's look."""
    profile = getattr(request, "site", None) or next(profile for profile in sites().values() if profile.default)
    return {"request_id": request_id.current(), **of_site(profile)}


def of_site(profile: Profile) -> dict[str, Any]:
    """``site``, its emblem, picture and tokens, its header."""
    return {
        "site": profile,
        "emblem": f"sites/{profile.code}/emblem.svg",
        "hero": profile.hero,
        "tokens": f"sites/{profile.code}/tokens.css",
        "site_header": f"parts/header-{profile.header}.html",
    }
