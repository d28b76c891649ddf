from __future__ import annotations

from django.apps import AppConfig


class ApplicationsConfig(AppConfig):
    name = "calock.server.applications"

    def ready(self) -> None:
        from calock.server.applications import services  # noqa: PLC0415 - models load first

        services.register_kinds()
