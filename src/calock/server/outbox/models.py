"""What is to be sent later: written in the act's own transaction, so that neither exists without the other."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q

OPEN = Q(done_at__isnull=True, failed_at__isnull=True)
"""Neither sent nor given up."""


class MessageQuerySet(models.QuerySet["Message"]):
    def waiting(self) -> MessageQuerySet:
        """Still to be sent, the next one first."""
        return self.filter(OPEN).order_by("due_at", "id")

    def due(self, at: datetime) -> MessageQuerySet:
        return self.waiting().filter(due_at__lte=at)

    def failed(self) -> MessageQuerySet:
        """Given up, the latest first."""
        return self.filter(failed_at__isnull=False).order_by("-failed_at")


class Message(models.Model):
    """One thing to send. ``body`` holds ids and technical values: the rest, and secrets, are read when it is sent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False, help_text="receivers tell repetitions by it")
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=200, help_text="what it is about; no second one is open for the same")
    body = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="not before; while somebody sends it, when another may try")
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = verbose_name_plural = "待发消息"
        constraints = (models.UniqueConstraint(fields=("kind", "key"), condition=OPEN, name="one_open_message_per_key"),)
        indexes = (
            models.Index(fields=("kind", "due_at"), condition=OPEN, name="messages_due"),
            models.Index(fields=("-failed_at",), condition=Q(failed_at__isnull=False), name="messages_failed"),
            models.Index(fields=("done_at",), condition=Q(done_at__isnull=False), name="messages_done"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
