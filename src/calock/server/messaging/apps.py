from __future__ import annotations

from django.apps import AppConfig


class MessagingConfig(AppConfig):
    name = "calock.server.messaging"

    def ready(self) -> None:
        from calock.server.messaging import kinds  # noqa: PLC0415 - models load first

        kinds.register()
