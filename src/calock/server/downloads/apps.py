from __future__ import annotations

from django.apps import AppConfig


class DownloadsConfig(AppConfig):
    name = "calock.server.downloads"

    def ready(self) -> None:
        from calock.server.downloads import decisions  # noqa: PLC0415 - models load first

        decisions.register_kinds()
