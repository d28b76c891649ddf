"""Host header → site. Everything that depends on "which address are we" reads it from here, never from the request."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from calock.core.refusals import Reason, Refusal
from calock.server.sites.profile import Profile
from calock.server.sites.registry import site_for_host, sites
from calock.server.web import refusals
from calock.server.web.http import SiteRequest

BARE_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def _split(host: str) -> tuple[str, str]:
    """Name and port of a Host header that Django found well-formed."""
    name, separator, port = host.rpartition(":")
    return (name, port) if separator and port.isdigit() else (host, "")


def _is_loopback_name(name: str) -> bool:
    return name in BARE_LOOPBACK or name.endswith(".localhost")


def _loopback_site() -> Profile | None:
    """The default site answers on a bare loopback address as long as it still has its practice names."""
    default = next(profile for profile in sites().values() if profile.default)
    return default if settings.CALOCK.insecure_http or any(host.endswith(".localhost") for host in default.hosts) else None


def resolve(host: str) -> tuple[Profile, str] | None:
    """The site of a Host header and the site's origin; None when no site has that host.

    A public name has the configured port. Loopback names have any port: they are a demonstration on this very computer.
    """
    name, port = _split(host.lower())
    site = site_for_host(name) or (_loopback_site() if name in BARE_LOOPBACK else None)
    if site is None:
        return None
    scheme, default_port = ("http", "80") if settings.CALOCK.insecure_http else ("https", "443")
    if not _is_loopback_name(name):
        port = settings.CALOCK.public_port  # never the header's: another port of this host is another origin
    return site, f"{scheme}://{name}" + ("" if port in ("", default_port) else f":{port}")


def client_ip(request: HttpRequest) -> str | None:
    """The peer's address; behind a listed proxy the last address that is not itself a listed proxy."""
    trusted = settings.CALOCK.trusted_proxies
    chain = [request.META.get("REMOTE_ADDR", "")]
    if chain[0] in trusted:
        chain = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")] + chain
    peer = next((part for part in reversed(chain) if part not in trusted), chain[-1])
    try:
        return str(ipaddress.ip_address(peer))
    except ValueError:
        return None


class SiteMiddleware:
    """Sets ``request.site``, ``request.site_origin``, ``request.client_ip``; an unknown host is refused with 421."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        site_request = cast(SiteRequest, request)
        site_request.client_ip = client_ip(request)
        try:
            found = resolve(request.get_host())
        except DisallowedHost:
            found = None
        if found is None:
            return refusals.answer(site_request, Refusal(Reason.HOST_UNKNOWN, "no site has this host name"), site_known=False)
        site_request.site, site_request.site_origin = found
        # TLS ends in front of us; whether a browser came by https is the configuration's word, not a header's
        request.META["wsgi.url_scheme"] = site_request.site_origin.partition(":")[0]
        return self.get_response(request)
