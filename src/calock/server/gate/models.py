"""Browsers that may pass a reverse proxy: the cookie that the application's host keeps, and whose it is."""

from __future__ import annotations

from django.db import models

from calock.server.grants.models import Grant


class Pass(models.Model):
    """``digest`` is the SHA-256 of the cookie's value. It is good as long as its grant and the session behind it."""

    digest = models.CharField(max_length=64, primary_key=True)
    grant = models.OneToOneField(Grant, on_delete=models.CASCADE, related_name="gate_pass")

    def __str__(self) -> str:
        return self.digest[:16]
