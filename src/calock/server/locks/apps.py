from __future__ import annotations

from django.apps import AppConfig


class LocksConfig(AppConfig):
    name = "calock.server.locks"
    label = "locks"
