"""The pages that list driver packages. The files themselves are ``calock.server.downloads``'s."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from calock.server.http import SiteRequest
from calock.server.portal.packages import SYSTEMS, offers, system_choices
from calock.server.portal.render import page
from calock.server.sites.api import offered_providers


def _context(request: SiteRequest) -> dict[str, Any]:
    found = offers(request.site, request.headers.get("User-Agent", ""))
    os = request.GET.get("os", "")
    providers = offered_providers(request.site)
    code = request.GET.get("provider", "")
    code = code if code in {provider.code for provider in providers} else ""
    shown = [offer for offer in found if os not in SYSTEMS or offer.os == os]
    return {
        "best": next((offer for offer in found if offer.recommended), None),
        "packages": [offer for offer in shown if not code or code in offer.provider_codes],
        "any_packages": bool(found),
        "providers": providers,
        "systems": system_choices(),
        "chosen_os": os,
        "chosen_provider": code,
    }


@require_safe
def area(request: HttpRequest) -> HttpResponse:
    return page(cast(SiteRequest, request), "downloads", "downloads", section="guide")


@require_safe
def application(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    return page(site_request, "ca-downloads", "ca_downloads", section="guide", menu_current="downloads", **_context(site_request))


@require_safe
def drivers(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    return page(site_request, "drivers", "drivers", section="guide", **_context(site_request))
