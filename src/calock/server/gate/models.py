"""Browsers that may pass a reverse proxy: the cookie that the application's host keeps, and whose it is."""

from __future__ import annotations

from django.db import models

from calock.server.grants.models import Bearer, Grant


class Pass(Bearer):
    """The cookie of one browser. It is good as long as its grant and the session behind it."""

    grant = models.OneToOneField(Grant, on_delete=models.CASCADE, related_name="gate_pass")
