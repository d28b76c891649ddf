from __future__ import annotations

from django.apps import AppConfig


class DownloadsConfig(AppConfig):
    name = "calock.server.downloads"
    label = "downloads"
