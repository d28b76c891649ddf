"""The console: Django's admin for lists, our own pages for everything that changes something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone, translation

from calock.server.approvals.models import Approval
from calock.server.console.access import gate
from calock.server.console.lists import ReadOnlyAdmin
from calock.server.console.navigation import navigation

LEFT_OUT = {"login", "logout", "password_change", "password_change_done", "view_on_site", "autocomplete"}
"""Addresses of Django's admin that the platform has its own pages for, or needs not at all."""


class OperatorSite(AdminSite):
    site_header = site_title = index_title = "运营控制台"
    enable_nav_sidebar = False

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Lists of ours alone: Django's page for groups would write rows that no service knows, without an audit row."""
        if admin_class is not None and issubclass(admin_class, ReadOnlyAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether ``guarded`` let this request in: Django asks several times for one page."""
        return getattr(request, "entered_console", False)

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if (elsewhere := gate(request)) is not None:
                return elsewhere
            request.entered_console = True  # type: ignore[attr-defined]
            translation.activate(settings.LANGUAGE_CODE)  # for this request: the console has Chinese words only, and says so
            shown: HttpResponseBase = inner(request, *args, **kwargs)
            shown.headers["Content-Language"] = settings.LANGUAGE_CODE
            return shown

        return guarded

    def get_urls(self) -> list[URLResolver | URLPattern]:
        from calock.server.console.pages import imports, urls  # noqa: PLC0415 - pages need the site's models

        kept = [url for url in super().get_urls() if getattr(url, "name", None) not in LEFT_OUT]
        own = [path(route, self.admin_view(view), name=name) for route, view, name in (*urls.PAGES, *imports.PAGES)]
        return [*own, *kept]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:  # noqa: ARG002 - Django's signature
        return []  # navigation.py is the menu

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        waiting = Approval.objects.open_at(timezone.now()).count()
        return {
            **super().each_context(request),
            "navigation": navigation(request.path_info, waiting=waiting),
            "waiting": waiting,
        }

    def app_index(  # type: ignore[override]
        self,
        request: HttpRequest,
        app_label: str,  # noqa: ARG002 - Django's signature
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - same
    ) -> HttpResponse:
        return self.index(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]  # noqa: ARG002
        return HttpResponseRedirect(reverse("admin:dashboard"))
