from __future__ import annotations

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    name = "calock.server.approvals"
    label = "approvals"
    verbose_name = "双人复核"
