"""The pages that list driver packages. The files themselves are ``calock.server.downloads``'s."""

from __future__ import annotations

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from calock.server.portal.install_guides import InstallGuide, guides_for
from calock.server.portal.packages import SYSTEMS, Offer, offers, system_choices, system_of
from calock.server.portal.render import page
from calock.server.portal.site_api import offered_providers
from calock.server.web.http import SiteRequest


def _offers(request: SiteRequest) -> list[Offer]:
    return offers(request.site, request.headers.get("User-Agent", ""))


def _best(request: SiteRequest, found: list[Offer]) -> Offer | None:
    """The site's own driver: for this computer where that is known, else any."""
    own = [offer for offer in found if offer.code == request.site.driver.package]
    return next((offer for offer in own if offer.recommended), own[0] if own else None)


def _guides(request: SiteRequest) -> list[InstallGuide]:
    return guides_for(system_of(request.headers.get("User-Agent", ""))[0])


@require_safe
def area(request: SiteRequest) -> HttpResponse:
    return page(request, "downloads", "downloads", section="guide", best=_best(request, _offers(request)))


@require_safe
def application(request: SiteRequest) -> HttpResponse:
    """The site's own driver as the manual's one row, for this computer where that is known; the other systems below."""
    found = _offers(request)
    best = _best(request, found)
    return page(
        request,
        "ca-downloads",
        "ca_downloads",
        section="guide",
        menu_current="downloads",
        best=best,
        others=[offer for offer in found if offer is not best],
        install_guides=_guides(request),
        providers=offered_providers(request.site),
    )


@require_safe
def drivers(request: SiteRequest) -> HttpResponse:
    """Every driver of the site. Query: ``os`` and ``provider`` narrow the list; unknown values narrow nothing."""
    found = _offers(request)
    providers = offered_providers(request.site)
    os = request.GET.get("os", "")
    code = request.GET.get("provider", "")
    code = code if code in {provider.code for provider in providers} else ""
    shown = [offer for offer in found if os not in SYSTEMS or offer.os == os]
    return page(
        request,
        "drivers",
        "drivers",
        section="guide",
        packages=[offer for offer in shown if not code or code in offer.provider_codes],
        any_packages=bool(found),
        providers=providers,
        systems=system_choices(),
        chosen_os=os,
        install_guides=_guides(request),
        chosen_provider=code,
    )
