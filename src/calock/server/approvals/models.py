"""A decision that takes two operators: what one proposed, and what another decided about exactly that."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from calock.server.tools import seals

LIFE = timedelta(days=7)  # after this a proposal must be made anew: what was true then may not be now


class ApprovalState(models.TextChoices):
    PENDING = "pending", "待复核"
    APPROVED = "approved", "已通过"
    REJECTED = "rejected", "已驳回"
    CANCELLED = "cancelled", "已撤销"


class ApprovalQuerySet(models.QuerySet["Approval"]):
    def open_at(self, now: datetime) -> ApprovalQuerySet:
        """Still waiting for a second operator."""
        return self.filter(state=ApprovalState.PENDING, proposed_at__gt=now - LIFE)


class Approval(models.Model):
    """What was proposed, in which words and when, never changes afterwards; ``mac`` shows that it did not."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField("事项", max_length=40)
    target = models.CharField(max_length=64, db_index=True, help_text="id of what it is about")
    target_version = models.PositiveIntegerField(default=0, help_text="version of the target that the proposer saw")
    summary = models.CharField("内容", max_length=300)
    payload = models.JSONField(default=dict)
    reason = models.CharField("理由", max_length=200)
    state = models.CharField("状态", max_length=16, choices=ApprovalState.choices, default=ApprovalState.PENDING)
    version = models.PositiveIntegerField(default=1)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="approvals_proposed", verbose_name="提出人"
    )
    proposed_at = models.DateTimeField("提出时间")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="approvals_decided",
        verbose_name="复核人",
    )
    decided_at = models.DateTimeField("复核时间", null=True, blank=True)
    note = models.CharField("复核意见", max_length=200, blank=True)
    mac = models.CharField(max_length=64, editable=False)

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        ordering = ("-proposed_at",)
        verbose_name = verbose_name_plural = "双人复核"
        constraints = (
            # the database decides here as well: no operator approves their own proposal
            models.CheckConstraint(
                condition=~Q(state=ApprovalState.APPROVED) | (Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by"))),
                name="two_people_approve",
            ),
            models.UniqueConstraint(
                fields=("kind", "target"), condition=Q(state=ApprovalState.PENDING), name="one_open_approval_per_target"
            ),
        )

    def __str__(self) -> str:
        return self.summary

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) over what is to be decided: shown to the second operator, sent back by the button, audited."""
        return hashlib.sha256(self._content()).hexdigest()

    @property
    def closes_at(self) -> datetime:
        return self.proposed_at + LIFE

    def seal(self) -> None:
        self.mac = self.expected_mac()

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac("approval", self._content())

    def is_intact(self) -> bool:
        return seals.fits(self.mac, "approval", self._content())

    def _content(self) -> bytes:
        proposed = self.proposed_at.astimezone(UTC).isoformat(timespec="microseconds")  # a later moment would prolong its life
        content = [
            str(self.pk),
            self.kind,
            self.target,
            self.target_version,
            self.payload,
            self.reason,
            str(self.proposed_by_id),
            self.summary,
            proposed,
        ]
        return seals.canonical(content)
