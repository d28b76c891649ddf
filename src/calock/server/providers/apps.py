from __future__ import annotations

from django.apps import AppConfig


class ProvidersConfig(AppConfig):
    name = "calock.server.providers"

    def ready(self) -> None:
        from calock.server.providers import decisions, links, register_rows, sealed, sources  # noqa: PLC0415 - models load first

        sealed.on_commit(register_rows.remember_committed)
        decisions.register_kinds()
        links.register_kinds()
        sources.register_kinds()
