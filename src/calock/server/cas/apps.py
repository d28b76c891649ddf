from __future__ import annotations

from django.apps import AppConfig


class CasConfig(AppConfig):
    name = "calock.server.cas"

    def ready(self) -> None:
        from calock.server.cas import logout  # noqa: PLC0415 - models load first

        logout.register()
