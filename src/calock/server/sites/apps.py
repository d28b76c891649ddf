from __future__ import annotations

from django.apps import AppConfig


class SitesConfig(AppConfig):
    name = "calock.server.sites"
    label = "calock_sites"  # django.contrib.sites owns the plain label
