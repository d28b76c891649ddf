from __future__ import annotations

from django.apps import AppConfig


class LoginConfig(AppConfig):
    name = "calock.server.login"
    label = "login"
