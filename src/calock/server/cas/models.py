"""Service tickets: good once, for ten seconds, for one service."""

from __future__ import annotations

from django.db import models

from calock.server.grants.models import Bearer, Grant


class ServiceTicket(Bearer):
    """The ticket itself stays for single logout, where it is the session's name.

    Used, it opens nothing, and after ten seconds nothing makes it new.
    """

    ticket = models.CharField(max_length=64)
    grant = models.OneToOneField(Grant, on_delete=models.CASCADE, related_name="ticket")
    service = models.CharField(max_length=1000)
    renewed = models.BooleanField(help_text="the person proved themselves for this very ticket")
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
