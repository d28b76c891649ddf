from __future__ import annotations

from django.apps import AppConfig


class OidcConfig(AppConfig):
    name = "calock.server.oidc"

    def ready(self) -> None:
        from calock.server.oidc import backchannel  # noqa: PLC0415 - models load first

        backchannel.register()
