from __future__ import annotations

from django.apps import AppConfig


class ImportsConfig(AppConfig):
    name = "calock.server.imports"
    label = "imports"
    verbose_name = "数据导入"

    def ready(self) -> None:
        from calock.server.imports import runs  # noqa: PLC0415 - models load first

        runs.register_kinds()
