from __future__ import annotations

from django.apps import AppConfig


class ChallengesConfig(AppConfig):
    name = "calock.server.challenges"
    label = "challenges"
