from __future__ import annotations

from django.apps import AppConfig


class ReceiptsConfig(AppConfig):
    name = "calock.server.receipts"

    def ready(self) -> None:
        from calock.server.receipts import positions, timestamps  # noqa: PLC0415 - models load first

        positions.register()
        timestamps.register()
