"""Organisations: suppliers, purchasers, agencies, regulators. A member belongs to one; an expert to none."""

from __future__ import annotations

import uuid

from django.db import models


class OrganisationKind(models.TextChoices):
    SUPPLIER = "supplier", "供应商"
    PURCHASER = "purchaser", "采购单位"
    AGENCY = "agency", "采购代理机构"
    REGULATOR = "regulator", "财政/监管部门"


class OrganisationState(models.TextChoices):
    ACTIVE = "active", "正常"
    DISABLED = "disabled", "停用"


class Organisation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=OrganisationKind.choices)
    name = models.CharField("单位名称", max_length=200)
    uscc = models.CharField("统一社会信用代码", max_length=18, unique=True, help_text="GB 32100-2015, 18 characters")
    state = models.CharField(max_length=16, choices=OrganisationState.choices, default=OrganisationState.ACTIVE)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "单位"

    def __str__(self) -> str:
        return self.name
