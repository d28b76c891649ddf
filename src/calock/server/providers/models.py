"""CA providers (CA 服务商) and the keys that identify them. A CA is its key (SPKI SHA-256), never its name."""

from __future__ import annotations

import uuid

from django.db import models


class ProviderState(models.TextChoices):
    ENABLED = "enabled", "启用"
    SUSPENDED = "suspended", "暂停"


class CaState(models.TextChoices):
    PENDING = "pending", "待确认"
    RECOGNISED = "recognised", "已互认"
    SUSPENDED = "suspended", "暂停"
    WITHDRAWN = "withdrawn", "已撤回"


class Provider(models.Model):
    """One certificate authority this platform recognises, and its rules."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField(unique=True)
    name = models.CharField("CA 服务商", max_length=100, help_text="as shown in lists, e.g. 山西CA互认平台")
    short_name = models.CharField(max_length=100, help_text="as shown in selects, e.g. 山西 CA")
    state = models.CharField(max_length=16, choices=ProviderState.choices, default=ProviderState.ENABLED)
    sites = models.JSONField(default=list, help_text="codes of the sites that recognise it")
    rules = models.JSONField(
        default=dict, help_text="calock.core.policy.Policy as JSON: algorithms, EKU, identity rules, freshness"
    )
    hotline = models.CharField(max_length=64, blank=True)
    renew_url = models.URLField(blank=True)
    unlock_url = models.URLField(blank=True)
    allow_expired_binding = models.BooleanField("允许绑定已过期证书", default=False)
    order = models.PositiveIntegerField(default=100)

    class Meta:
        ordering = ("order", "code")
        verbose_name = verbose_name_plural = "CA 服务商"

    def __str__(self) -> str:
        return self.name


class CaRecord(models.Model):
    """One CA certificate of a provider: an anchor (``anchor=True``) or a recognised intermediate."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="ca_records")
    group = models.CharField(max_length=64, help_text="CA group: records of one CA over its key roll-overs")
    anchor = models.BooleanField(default=False)
    spki_sha256 = models.CharField(max_length=64, unique=True)
    certificate = models.BinaryField()
    subject = models.CharField(max_length=500)
    state = models.CharField(max_length=16, choices=CaState.choices, default=CaState.PENDING)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "CA 证书"

    def __str__(self) -> str:
        return self.subject


class SourceKind(models.TextChoices):
    CRL = "crl", "CRL"
    OCSP = "ocsp", "OCSP"


class RevocationSource(models.Model):
    """Where revocation data of one CA key comes from. Only these addresses are ever fetched."""

    ca_record = models.ForeignKey(CaRecord, on_delete=models.CASCADE, related_name="revocation_sources")
    kind = models.CharField(max_length=8, choices=SourceKind.choices)
    url = models.URLField(max_length=500)
    private_network = models.BooleanField(default=False, help_text="the operator says that this host is in a private range")
    last_fetched_at = models.DateTimeField(null=True, blank=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    this_update = models.DateTimeField(null=True, blank=True)
    next_update = models.DateTimeField(null=True, blank=True)
    crl_number = models.CharField(max_length=64, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("ca_record", "kind", "url"), name="one_row_per_source"),)
        verbose_name = verbose_name_plural = "吊销信息来源"

    def __str__(self) -> str:
        return f"{self.kind} {self.url}"
