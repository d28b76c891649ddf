from __future__ import annotations

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    name = "calock.server.sessions"
    label = "calock_sessions"  # django.contrib.sessions owns the plain label
