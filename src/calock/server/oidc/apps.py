from __future__ import annotations

from django.apps import AppConfig


class OidcConfig(AppConfig):
    name = "calock.server.oidc"
    label = "oidc"
