from __future__ import annotations

from django.urls import path, register_converter

from calock.server.downloads import views


class SystemConverter:
    """One word of a package's system: ``linux``, ``x86_64``."""

    regex = "[a-z0-9_]{1,16}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(SystemConverter, "system")
app_name = "downloads"
urlpatterns = [
    path("<uuid:package_id>/", views.file, name="file"),
    path("release/<slug:code>/<system:os>/<system:arch>/", views.release, name="release"),
]
