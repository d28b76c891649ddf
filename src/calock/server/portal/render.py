"""Render one page of the portal: which page it is decides what the navigation marks. And addresses that are no page."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from calock.server.web.http import SiteRequest
from calock.server.web.links import portal_page

View = Callable[..., HttpResponseBase]


def page(
    request: SiteRequest, template: str, current: str, *, section: str = "", status: int = 200, **context: Any
) -> HttpResponse:
    """``current`` is the page's name; ``section`` the navigation entry it belongs to when it has none itself."""
    return render(request, f"pages/{template}.html", {"current": current, "section": section, **context}, status=status)


def post_only(name: str) -> Callable[[View], View]:
    """An address that only acts: who asks for it with GET sees the page ``name``, on which its form stands.

    A refused form is shown at this address, and choosing another language there, or sending the address once more, asks for it so.
    """

    def decorate(view: View) -> View:
        acting = require_POST(view)

        @wraps(view)
        def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return HttpResponseRedirect(portal_page(name)) if request.method == "GET" else acting(request, *args, **kwargs)

        return shown

    return decorate
