from __future__ import annotations

from django.apps import AppConfig


class EgressConfig(AppConfig):
    name = "calock.server.egress"

    def ready(self) -> None:
        from calock.server.egress import decisions  # noqa: PLC0415 - models load first

        decisions.register_kinds()
