"""What every template knows of the site."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from calock.server.sites.registry import sites
from calock.server.tools import request_id


def site(request: HttpRequest) -> dict[str, Any]:
    """``site``, its emblem, picture and tokens, its header. A request without a known site gets the default site's look."""
    profile = getattr(request, "site", None) or next(profile for profile in sites().values() if profile.default)
    return {
        "site": profile,
        "request_id": request_id.current(),
        "emblem": f"sites/{profile.code}/emblem.svg",
        "hero": profile.hero,
        "tokens": f"sites/{profile.code}/tokens.css",
        "site_header": f"parts/header-{profile.header}.html",
    }
