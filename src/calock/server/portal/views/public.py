"""Pages that need no login."""

from __future__ import annotations

from itertools import pairwise

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.portal.checks import STEPS, check_words
from calock.server.portal.driver_page import driver_context, picture
from calock.server.portal.failures import CATALOGUE, GROUPS
from calock.server.portal.install_guides import guides_for
from calock.server.portal.packages import offers, system_of
from calock.server.portal.render import page
from calock.server.portal.site_api import offered_providers
from calock.server.web.http import SiteRequest


@require_safe
def home(request: SiteRequest) -> HttpResponse:
    site = request.site
    found = offers(site, request.headers.get("User-Agent", ""))
    best = next((offer for offer in found if offer.recommended), None)
    return page(request, "home", "home", providers=offered_providers(site), best=best)


@require_safe
def guide(request: SiteRequest) -> HttpResponse:
    return page(request, "guide", "guide")


@require_safe
def help_centre(request: SiteRequest) -> HttpResponse:
    own = any(entry.page == "help_certificate" for entry in request.site.help)
    return page(request, "help", "help", has_certificate_page=own)


@require_safe
def help_page(request: SiteRequest, page: str) -> HttpResponse:
    """One page of the profile's help.

    Raises:
        Refusal: NOT_FOUND when this site has no such page.
    """
    found = next((entry for entry in request.site.help if entry.page == page), None)
    if found is None:
        raise Refusal(Reason.NOT_FOUND, f"no help page {page}")
    guides = guides_for(system_of(request.headers.get("User-Agent", ""))[0]) if page == "help_driver" else []
    following = next((later for entry, later in pairwise(request.site.help) if entry is found), None)
    return _page(request, "help-page", page, section="help", entry=found, following=following, install_guides=guides)


_page = page  # ``help_page`` takes its page's name under that word from the address table


@require_safe
def help_certificate(request: SiteRequest) -> HttpResponse:
    """Query: ``ca`` is the code of the provider whose lock somebody holds; it is named first."""
    providers = offered_providers(request.site)
    entry = next((entry for entry in request.site.help if entry.page == "help_certificate"), None)
    return page(
        request,
        "help-certificate",
        "help_certificate",
        section="help",
        entry=entry,
        providers=providers,
        own=next((provider for provider in providers if provider.code == request.GET.get("ca")), None),
    )


@require_safe
def help_failures(request: SiteRequest) -> HttpResponse:
    """Query: ``q`` narrows the catalogue to causes whose code, sentence or remedy holds every one of its words."""
    words = request.GET.get("q", "").replace("\0", "").strip()[:64]
    return page(
        request,
        "help-failures",
        "help_failures",
        section="help",
        failures=[failure for failure in CATALOGUE if failure.says(words)],
        words=words,
        groups=GROUPS,
        picture=picture("prompt"),
    )


@require_safe
def versions(request: SiteRequest) -> HttpResponse:
    return page(request, "versions", "versions", section="help")


@require_safe
def contact(request: SiteRequest) -> HttpResponse:
    return page(request, "contact", "contact", providers=offered_providers(request.site))


@require_safe
def legal(request: SiteRequest) -> HttpResponse:
    return page(request, "paragraphs", "legal", section="help", text=request.site.legal)


@require_safe
def privacy(request: SiteRequest) -> HttpResponse:
    return page(request, "paragraphs", "privacy", section="help", text=request.site.privacy)


@require_safe
def check(request: SiteRequest) -> HttpResponse:
    return page(
        request,
        "check",
        "check",
        check_list=STEPS,
        check_words={**check_words(), **_check_links()},
        **driver_context(request),
    )


def _check_links() -> dict[str, str]:
    names = {
        "renew_href": "help_certificate",
        "list_href": "help_certificate",
        "clock_href": "help_failures",
        "login_href": "login",
    }
    return {key: reverse(f"portal:{name}") for key, name in names.items()}
