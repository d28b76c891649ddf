from __future__ import annotations

from django.apps import AppConfig


class OutboxConfig(AppConfig):
    name = "calock.server.outbox"
    label = "outbox"
    verbose_name = "待发消息"
