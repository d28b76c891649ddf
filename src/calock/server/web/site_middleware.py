"""Host header → site. Everything that depends on "which address are we" reads it from here, never from the request."""

from __future__ import annotations

import logging
from typing import cast

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from calock.core.refusals import Reason, Refusal
from calock.server.sites.practice import BARE_LOOPBACK, is_loopback_name
from calock.server.sites.profile import Profile
from calock.server.sites.registry import site_for_host, sites
from calock.server.tools import throttle
from calock.server.web import refusals
from calock.server.web.client_address import client_address, watch
from calock.server.web.http import SiteRequest

DEFAULT_PORTS = {"http": "80", "https": "443"}

log = logging.getLogger("calock.server")


def _split(host: str) -> tuple[str, str]:
    """Name and port of a Host header that Django found well-formed."""
    name, separator, port = host.rpartition(":")
    name, port = (name, port) if separator and port.isdigit() else (host, "")
    return name.removesuffix("."), port


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
    scheme = "http" if settings.CALOCK.insecure_http else "https"
    if not is_loopback_name(name):
        port = settings.CALOCK.public_port  # never the header's: another port of this host is another origin
    return site, f"{scheme}://{name}" + ("" if port in ("", DEFAULT_PORTS[scheme]) else f":{port}")


class SiteMiddleware(MiddlewareMixin):
    """Sets ``request.site``, ``request.site_origin``, ``request.client_ip``; an unknown host is refused with 421.

    The Host header is written anew as the site's own: what compares it with ``Origin`` later must not see another spelling of it
    (a port that the scheme has anyway, a final dot), as some proxies send.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        site_request = cast(SiteRequest, request)
        peer = request.META.get("REMOTE_ADDR", "")
        address = client_address(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""))
        watch.see(peer, address)
        site_request.client_ip = address.ip
        try:
            host = request.get_host()
            found = resolve(host)
        except DisallowedHost:
            found = None
        if found is None:
            return refusals.answer(site_request, Refusal(Reason.HOST_UNKNOWN, "no site has this host name"), site_known=False)
        site_request.site, site_request.site_origin = found
        # TLS ends in front of us; whether a browser came by https is the configuration's word, not a header's
        scheme, _, own_host = site_request.site_origin.partition("://")
        request.META["wsgi.url_scheme"], request.META["HTTP_HOST"] = scheme, own_host
        if _split(host)[1] not in (_split(own_host)[1], DEFAULT_PORTS[scheme], "") and throttle.first_this_minute("host", None):
            log.warning("Host is %r where %r was expected: browsers at that address are refused", host[:100], own_host)
        return None
