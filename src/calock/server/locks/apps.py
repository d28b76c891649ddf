from __future__ import annotations

from django.apps import AppConfig


class LocksConfig(AppConfig):
    name = "calock.server.locks"

    def ready(self) -> None:
        from calock.server.locks.unrecognised import end_unrecognised_sessions  # noqa: PLC0415 - models load first
        from calock.server.providers.enforcement import register_dependents  # noqa: PLC0415 - same

        register_dependents(end_unrecognised_sessions)
