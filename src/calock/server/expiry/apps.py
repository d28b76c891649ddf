from __future__ import annotations

from django.apps import AppConfig


class ExpiryConfig(AppConfig):
    name = "calock.server.expiry"
    label = "expiry"
