"""What an application was told about a person, in which session; and the request that it made while the person logs in."""

from __future__ import annotations

import base64
import hashlib
import uuid

from django.conf import settings
from django.db import models

from calock.server.applications.models import Application
from calock.server.sessions.models import Session


class PendingRequest(models.Model):
    """An application's request that waits until its person has proved who they are. It ends with its answer, or by age."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    protocol = models.CharField(max_length=8)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.protocol} {self.pk}"


class Grant(models.Model):
    """One entry of a person into an application. Whatever was issued for it is good only as long as it and its session last."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="grants")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants")
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="grants")
    protocol = models.CharField(max_length=8)
    issuer = models.CharField(max_length=300, help_text="origin of the site on which the person is logged in")
    scope = models.CharField(max_length=200, blank=True)
    acr = models.CharField(max_length=64)
    amr = models.JSONField(default=list)
    auth_time = models.DateTimeField(help_text="newest proof of that level")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=("session", "application"), name="grant_by_session"),)

    def __str__(self) -> str:
        return f"{self.application_id} {self.account_id} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def sid(self) -> str:
        """The session as this application knows it: the same for each of its grants, and another for every other application."""
        digest = hashlib.sha256(f"calock:sid:{self.session_id}:{self.application_id}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()
