"""Every address: the JSON interface, then the portal's pages and the console where they exist."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/", include("calock.server.challenges.urls")),
    path("api/", include("calock.server.login.urls")),
    path("api/", include("calock.server.locks.urls")),
    path("api/", include("calock.server.portal.site_api")),
    path("downloads/", include("calock.server.downloads.urls")),
    path("console/", admin.site.urls),
    path("", include("calock.server.oidc.urls")),
    path("cas/", include("calock.server.cas.urls")),
    path("auth/", include("calock.server.gate.urls")),
    path("", include("calock.server.portal.urls")),
]

handler400 = "calock.server.web.errors.bad_request"
handler403 = "calock.server.web.errors.permission_denied"
handler404 = "calock.server.web.errors.not_found"
handler500 = "calock.server.web.errors.server_error"
