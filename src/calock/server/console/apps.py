from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConsoleConfig(AppConfig):
    default = True
    name = "calock.server.console"

    def ready(self) -> None:
        from calock.server.console.decisions import (  # noqa: PLC0415 - models load first
            accounts,
            emergency_unbind,
            operators,
            organisations,
        )

        for decisions in (accounts, emergency_unbind, operators, organisations):
            decisions.register_kinds()


class ConsoleAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site in place of its own: ``@admin.register`` in any app lands in the console."""

    default = False
    default_site = "calock.server.console.site.OperatorSite"
