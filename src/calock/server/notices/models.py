"""What people must be told about their account: shown after the login until they have read it, and sent to their contacts.

Whoever writes a row has done enough: the background finds it and sends it (:mod:`calock.server.messaging`).
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q


class NoticeKind(models.TextChoices):
    """One kind, one sentence in ``words.py``. The value is stored: never rename one. A new one needs no migration."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a name
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    LOCK_BOUND = "lock_bound"
    LOCK_CLAIMED = "lock_claimed"
    LOCK_ACTIVATED = "lock_activated"
    LOCK_AWAITS = "lock_awaits"
    LOCK_RENEWED = "lock_renewed"
    LOCK_UNBOUND = "lock_unbound"
    LOCK_SUSPENDED = "lock_suspended"
    LOCK_RESUMED = "lock_resumed"
    MEMBER_LOCK_SUSPENDED = "member_lock_suspended"
    LOCK_ONLY_CHANGED = "lock_only_changed"
    ROLE_CHANGED = "role_changed"
    MOVED = "moved"
    NEW_COMPUTER = "new_computer"
    DRIVER_CHANGED = "driver_changed"
    LOCK_EXPIRES = "lock_expires"
    LOCK_EXPIRED = "lock_expired"
    LEFT = "left"
    CALENDAR_LINK = "calendar_link"
    NEW_PLACE = "new_place"
    CONTACT_ADDED = "contact_added"
    CONTACT_REMOVED = "contact_removed"
    CONTACT_TAKEN = "contact_taken"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def known(self) -> NoticeQuerySet:
        """Of kinds that this version has words for: a newer one beside it, on the same database, may write others."""
        return self.filter(kind__in=NoticeKind.values)

    def open_for(self, account_id: uuid.UUID) -> NoticeQuerySet:
        """Not dismissed yet, oldest first."""
        return self.known().filter(account=account_id, dismissed_at__isnull=True).order_by("created_at")


class Notice(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=40, help_text="a NoticeKind")
    facts = models.JSONField(default=dict, help_text="what the sentence needs: who, which lock, the audit row's number")
    created_at = models.DateTimeField()
    site = models.CharField(max_length=32, blank=True, default="", db_default="", help_text="where it happened; empty: nowhere")
    forwarded_at = models.DateTimeField(null=True, blank=True, help_text="when messages to the person's contacts were left")
    dismissed_at = models.DateTimeField(null=True, blank=True, help_text="when the person read it")

    objects = NoticeQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("account", "created_at"), condition=Q(dismissed_at__isnull=True), name="open_notices"),
            models.Index(fields=("account", "-created_at"), name="notices_of_account"),
            models.Index(fields=("created_at",), condition=Q(forwarded_at__isnull=True), name="notices_to_forward"),
            models.Index(fields=("dismissed_at",), condition=Q(dismissed_at__isnull=False), name="notices_dismissed"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.created_at:%Y-%m-%d %H:%M}"

    def dismiss(self, at: datetime) -> None:
        type(self).objects.filter(pk=self.pk, dismissed_at__isnull=True).update(dismissed_at=at)
