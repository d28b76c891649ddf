"""Render one page of the portal: which page it is decides what the navigation marks."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from calock.server.http import SiteRequest
from calock.server.providers.models import Provider, ProviderState
from calock.server.sites.profile import Profile


def page(request: SiteRequest, template: str, current: str, *, section: str = "", status: int = 200, **context: Any) -> HttpResponse:
    """``current`` is the page's name; ``section`` the navigation entry it belongs to when it has none itself."""
    return render(request, f"pages/{template}.html", {"current": current, "section": section, **context}, status=status)


def site_providers(site: Profile) -> list[Provider]:
    """Enabled providers this site recognises, in the profile's order, then their own."""
    rows = [row for row in Provider.objects.filter(state=ProviderState.ENABLED) if site.code in row.sites]
    wanted = {code: position for position, code in enumerate(site.providers)}
    chosen = [row for row in rows if not wanted or row.code in wanted]
    return sorted(chosen, key=lambda row: wanted.get(row.code, 0))

