"""Render one page of the portal: which page it is decides what the navigation marks."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render

from calock.server.web.http import SiteRequest


def page(
    request: SiteRequest, template: str, current: str, *, section: str = "", status: int = 200, **context: Any
) -> HttpResponse:
    """``current`` is the page's name; ``section`` the navigation entry it belongs to when it has none itself."""
    return render(request, f"pages/{template}.html", {"current": current, "section": section, **context}, status=status)
