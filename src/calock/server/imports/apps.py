from __future__ import annotations

from django.apps import AppConfig


class ImportsConfig(AppConfig):
    name = "calock.server.imports"

    def ready(self) -> None:
        from calock.server.imports import runs  # noqa: PLC0415 - models load first

        runs.register_kinds()
