"""Organisations: suppliers, purchasers, agencies, regulators. A member belongs to one; an expert to none."""

from __future__ import annotations

import re
import uuid

from django.db import models
from django.db.models import Q


class OrganisationKind(models.TextChoices):
    SUPPLIER = "supplier", "供应商"
    PURCHASER = "purchaser", "采购单位"
    AGENCY = "agency", "采购代理机构"
    REGULATOR = "regulator", "财政/监管部门"


class OrganisationState(models.TextChoices):
    ACTIVE = "active", "正常"
    DISABLED = "disabled", "停用"
    MERGED = "merged", "已并入其他单位"


class OrganisationQuerySet(models.QuerySet["Organisation"]):
    def named(self, words: str) -> OrganisationQuerySet:
        """Organisations with this 统一社会信用代码, or these words in their name; former codes and names count as well."""
        if re.fullmatch(r"[0-9A-Za-z]{8,18}", words):
            code = words.upper()
            own, former = Q(uscc__startswith=code), OrganisationName.objects.filter(uscc__startswith=code)
        else:
            own, former = Q(name__icontains=words), OrganisationName.objects.filter(name__icontains=words)
        return self.filter(own | Q(pk__in=former.values("organisation")))


class Organisation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=OrganisationKind.choices)
    name = models.CharField("单位名称", max_length=200, db_index=True)
    uscc = models.CharField("统一社会信用代码", max_length=18, unique=True, help_text="GB 32100-2015, 18 characters")
    state = models.CharField(max_length=16, choices=OrganisationState.choices, default=OrganisationState.ACTIVE)
    enabled_at = models.DateTimeField(null=True, blank=True, help_text="last time; sessions of before do not count again")
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="absorbed")
    lock_only = models.BooleanField(null=True, blank=True, help_text="with a bound lock no password login; null: as the site says")
    version = models.PositiveIntegerField(default=1, db_default=1, help_text="raised by every change of name, code or merger")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OrganisationQuerySet.as_manager()

    class Meta:
        verbose_name = verbose_name_plural = "单位"
        constraints = (
            models.CheckConstraint(
                condition=Q(state="merged", merged_into__isnull=False) | (~Q(state="merged") & Q(merged_into__isnull=True)),
                name="merged_into_another",
            ),
        )

    def __str__(self) -> str:
        return self.name


class OrganisationName(models.Model):
    """A name and code that an organisation had before; what it is called now stands in its own row."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="former_names")
    name = models.CharField("曾用名", max_length=200, db_index=True)
    uscc = models.CharField("曾用统一社会信用代码", max_length=18, db_index=True)
    since = models.DateTimeField("启用时间")
    until = models.DateTimeField("停用时间")

    class Meta:
        ordering = ("-until",)
        verbose_name = verbose_name_plural = "曾用名"

    def __str__(self) -> str:
        return f"{self.name} ({self.uscc})"
