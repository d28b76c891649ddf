"""Refusals to answers, the CSRF rule that also asks for Origin, and the security headers that Django does not set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.http.response import HttpResponseBase, ResponseHeaders
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware

from calock.core.refusals import Reason, Refusal
from calock.server.web import refusals
from calock.server.web.http import SiteRequest

_FORBIDDEN = ("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "microphone", "midi", "payment", "usb")
PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in _FORBIDDEN)


class RefusalMiddleware:
    """Refusals become answers: those that views raise, and the gateway's, which had no room for the request.

    The gateway marks what it refuses: ``calock.refused`` in the environment is a ``Reason``. Its answer touches no database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        reason = request.META.get("calock.refused")
        if reason is None:
            return self.get_response(request)
        refusal = Refusal(reason, "refused before any work", {"seconds": request.META["calock.retry_after"]})
        return refusals.answer(cast(SiteRequest, request), refusal, audited=False)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Refusal):
            return refusals.answer(cast(SiteRequest, request), exception)
        return None


class CsrfMiddleware(CsrfViewMiddleware):
    """An unsafe request must say that it comes from this very origin, and bring the token of its cookie, which is Django's check.

    Every browser of this decade sends ``Origin`` with a POST. Demanding it closes the door on ``text/plain`` forms and on
    clients that strip it. Source: OWASP ASVS 5.0, 3.5.1-3.5.3.
    """

    def process_view(
        self, request: HttpRequest, callback: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> HttpResponseForbidden | None:
        safe = request.method in ("GET", "HEAD", "OPTIONS", "TRACE")
        exempt = getattr(request, "_dont_enforce_csrf_checks", False) or getattr(callback, "csrf_exempt", False)
        origin = request.META.get("HTTP_ORIGIN", "")
        if not (safe or exempt) and origin != cast(SiteRequest, request).site_origin:
            return cast(HttpResponseForbidden, csrf_failure(request, f"Origin {origin[:100]!r}"))
        return super().process_view(request, callback, args, kwargs)


class AddressMiddleware(CommonMiddleware):
    """Sends who asks for an address without its final slash there, and tells an answer's length: Django's, after the view alone.

    What Django's looks at before the view (names of hosts and browsers that are not served) has no settings here.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Nothing."""


class HeadersMiddleware:
    """Headers of every response, refusals and static files included; personal pages are never kept by a cache.

    Those of Django's SecurityMiddleware and XFrameOptionsMiddleware too: a layer of the chain costs more than its headers.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        always = {
            "Permissions-Policy": PERMISSIONS_POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
            "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": settings.X_FRAME_OPTIONS,
        }
        self._always = ResponseHeaders(always)._store  # noqa: SLF001 - as below
        subdomains = "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
        self._only_https = f"max-age={settings.SECURE_HSTS_SECONDS}{subdomains}" if settings.SECURE_HSTS_SECONDS else ""

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        headers = response.headers
        policy = ("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)  # now: a test lets pages talk to other ports
        always = {**self._always, "content-security-policy": policy}
        headers._store = always | headers._store  # noqa: SLF001 - what Django has looked at once: else each, for each answer
        if self._only_https and request.is_secure():
            headers.setdefault("Strict-Transport-Security", self._only_https)
        if not request.path_info.startswith("/static/"):
            headers.setdefault("Cache-Control", "no-store" if getattr(request, "login_session", None) else "no-cache")
        return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's hook for a failed CSRF check."""
    return refusals.answer(cast(SiteRequest, request), Refusal(Reason.CSRF_FAILED, reason))
