from __future__ import annotations

from django.apps import AppConfig


class GrantsConfig(AppConfig):
    name = "calock.server.grants"

    def ready(self) -> None:
        from calock.server.grants import ending  # noqa: PLC0415 - models load first

        ending.listen()
