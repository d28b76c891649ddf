"""Append-only audit rows with a MAC each. Written in the transaction of the act they describe."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def update(self, **kwargs: Any) -> NoReturn:  # noqa: ARG002 - Django's signature
        raise TypeError("audit rows are append-only")

    def delete(self) -> NoReturn:
        raise TypeError("audit rows are append-only")

    def delete_archived(self) -> int:
        """Rows that an archive holds; the row that says so keeps the trail whole. Returns how many."""
        return super().delete()[0]


class AuditEventManager(models.Manager["AuditEvent"].from_queryset(AuditEventQuerySet)):  # type: ignore[misc]
    pass


class AuditEvent(models.Model):
    id = models.BigAutoField(primary_key=True)
    number = models.CharField(max_length=26, unique=True, help_text="what a user reads to the hotline")
    at = models.DateTimeField(db_index=True)
    event = models.CharField(max_length=64, db_index=True)
    reason = models.CharField(max_length=48, blank=True, db_index=True)
    site = models.CharField(max_length=32, blank=True)
    # plain ids, no foreign keys: an audit row outlives what it speaks of
    actor = models.UUIDField(null=True, db_index=True)
    subject = models.UUIDField(null=True, db_index=True)
    organisation = models.UUIDField(null=True, db_index=True)
    lock = models.UUIDField(null=True, db_index=True)
    provider = models.CharField(max_length=50, blank=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True)
    details = models.JSONField(default=dict)
    mac = models.CharField(max_length=64)

    objects: ClassVar[AuditEventManager] = AuditEventManager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("ip", "-id"), name="audit_by_address"),)
        verbose_name = verbose_name_plural = "审计记录"

    def __str__(self) -> str:
        return f"{self.number} {self.event}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("audit rows are append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:  # noqa: ARG002 - Django's signature
        raise TypeError("audit rows are append-only")


class AuditSeal(models.Model):
    """One batch of rows under one signed root. The same head also stands in a file outside the database."""

    seq = models.PositiveBigIntegerField(primary_key=True)
    first_id = models.PositiveBigIntegerField()
    last_id = models.PositiveBigIntegerField()
    leaves = models.BinaryField(help_text="for each row its id (8 octets) and its leaf hash (32): names the row that changed")
    head = models.TextField(help_text="the signed head, one line of JSON")
    sealed_at = models.DateTimeField()

    class Meta:
        ordering = ("seq",)

    def __str__(self) -> str:
        return f"{self.seq}: {self.first_id}-{self.last_id}"
