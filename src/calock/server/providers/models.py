"""CA providers (CA 服务商) and the keys that identify them. A CA is its key (SPKI SHA-256), never its name.

Saving a row through the ORM seals it and raises the register's revision (``sealed.py``), which every process looks at.
``QuerySet.update``, ``QuerySet.delete`` and ``bulk_create`` do not: what was changed that way is refused as tampered with. Use the
services, ``save()`` and ``delete()``.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from django.core.validators import MaxValueValidator
from django.db import models

from calock.server.providers.seal import moment
from calock.server.providers.sealed import RegisterState, Sealed, Versioned, changes_here, open_register
from calock.server.providers.validators import ADDRESS, CODE, MAX_LINK, MAX_ORDER, MAX_SOURCE, ONE_LINE

__all__ = [
    "CaRecord", "CaState", "Provider", "ProviderState", "RegisterState", "RevocationSource", "Role", "SourceKind",
    "changes_here", "open_register",
]  # fmt: skip


class ProviderState(models.TextChoices):
    ENABLED = "enabled", "启用"
    SUSPENDED = "suspended", "暂停"


class CaState(models.TextChoices):
    PENDING = "pending", "待确认"
    RECOGNISED = "recognised", "已互认"
    SUSPENDED = "suspended", "暂停"
    WITHDRAWN = "withdrawn", "已撤回"


class Role(models.TextChoices):
    """What a CA certificate is here for. A CRL signer's key is certified for CRLs alone (RFC 5280 clause 4.2.1.3, cRLSign)."""

    ANCHOR = "anchor", "信任锚"
    INTERMEDIATE = "intermediate", "中间 CA"
    CRL_SIGNER = "crl_signer", "CRL 签发证书"


class Provider(Versioned):
    """One certificate authority this platform recognises, and its rules."""

    KIND = "provider"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField("代码", unique=True, validators=[CODE])
    name = models.CharField("CA 服务商", max_length=100, validators=[ONE_LINE], help_text="列表中显示的名称，如：山西CA互认平台")
    short_name = models.CharField("简称", max_length=100, validators=[ONE_LINE], help_text="选择框中显示的名称，如：山西 CA")
    legal_name = models.CharField("法人名称", max_length=200, blank=True, validators=[ONE_LINE])
    state = models.CharField("状态", max_length=16, choices=ProviderState.choices, default=ProviderState.ENABLED)
    sites = models.JSONField("认可的站点", default=list, help_text="codes of the sites that recognise it")
    rules = models.JSONField(
        "规则", default=dict, help_text="calock.core.policy.Policy as JSON: algorithms, EKU, identity rules, freshness"
    )
    hotline = models.CharField("服务热线", max_length=64, blank=True, validators=[ONE_LINE])
    website = models.URLField("网站", max_length=MAX_LINK, blank=True, validators=[ADDRESS])
    renew_url = models.URLField("续期网址", max_length=MAX_LINK, blank=True, validators=[ADDRESS])
    unlock_url = models.URLField("解锁网址", max_length=MAX_LINK, blank=True, validators=[ADDRESS])
    allow_expired_binding = models.BooleanField("允许绑定已过期证书", default=False)
    order = models.PositiveIntegerField("显示次序", default=100, validators=[MaxValueValidator(MAX_ORDER)])

    class Meta:
        ordering = ("order", "code")
        verbose_name = verbose_name_plural = "CA 服务商"

    def __str__(self) -> str:
        return self.name

    def sealed_fields(self) -> list[object]:
        """What makes a provider trusted, and how."""
        return [
            str(self.pk), self.code, str(self.state), self.sites, self.rules, self.allow_expired_binding, self.version,
        ]  # fmt: skip


class CaRecord(Versioned):
    """One CA certificate of a provider: an anchor (``anchor=True``) or a recognised intermediate.

    Its key may stand under other providers too, on other sites (``shared_keys.py``).
    """

    KIND = "ca"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="ca_records", verbose_name="CA 服务商")
    group = models.CharField(
        "CA 组", max_length=64, validators=[ONE_LINE], help_text="CA group: records of one CA over its key roll-overs"
    )
    anchor = models.BooleanField("信任锚", default=False)
    crl_signer = models.BooleanField(
        "仅签发 CRL", default=False, help_text="a key certified for CRLs alone: never an anchor, never an issuer of locks"
    )
    spki_sha256 = models.CharField("公钥 SHA-256", max_length=64, db_index=True)
    certificate = models.BinaryField()
    subject = models.CharField("主题", max_length=500)
    state = models.CharField("状态", max_length=16, choices=CaState.choices, default=CaState.PENDING)
    not_before = models.DateTimeField("生效时间")
    not_after = models.DateTimeField("到期时间")
    # when it last was; by whom is in the audit trail. Unknown for what happened before these columns were there.
    recognised_at = models.DateTimeField("互认时间", null=True, blank=True)
    suspended_at = models.DateTimeField("暂停时间", null=True, blank=True)
    withdrawn_at = models.DateTimeField("撤回时间", null=True, blank=True)
    changed_at = models.DateTimeField("变更时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "CA 证书"
        constraints = (
            models.CheckConstraint(condition=~models.Q(anchor=True, crl_signer=True), name="a_crl_signer_is_no_anchor"),
            models.UniqueConstraint(fields=("provider", "spki_sha256"), name="one_record_per_provider_and_key"),
        )

    def __str__(self) -> str:
        return self.subject

    @property
    def role(self) -> Role:
        return Role.ANCHOR if self.anchor else Role.CRL_SIGNER if self.crl_signer else Role.INTERMEDIATE

    def enter(self, state: CaState, at: datetime) -> None:
        """Take a state, with the moment it was taken; nothing is saved."""
        moments = {CaState.RECOGNISED: "recognised_at", CaState.SUSPENDED: "suspended_at", CaState.WITHDRAWN: "withdrawn_at"}
        resumed = self.state == CaState.SUSPENDED and state == CaState.RECOGNISED
        if self.state != state and state in moments and not resumed:
            setattr(self, moments[state], at)
        self.state = state

    def sealed_fields(self) -> list[object]:
        """One CA certificate, whose it is, its use, its state and since when."""
        return [
            str(self.pk),
            str(self.provider_id),
            self.group,
            self.anchor,
            self.crl_signer,
            self.spki_sha256,
            hashlib.sha256(bytes(self.certificate)).hexdigest(),
            str(self.state),
            moment(self.recognised_at),
            moment(self.suspended_at),
            moment(self.withdrawn_at),
            self.version,
        ]


class SourceKind(models.TextChoices):
    CRL = "crl", "CRL"
    OCSP = "ocsp", "OCSP"


class RevocationSource(Sealed):
    """Where revocation data of one CA key comes from. Only these addresses are ever fetched.

    The addresses are the operators' and sealed; what fetching brought is the jobs', written often and sealed by nobody: that data
    carries its CA's signature.
    """

    KIND = "source"
    UNSEALED = frozenset({"last_fetched_at", "last_ok_at", "last_error", "this_update", "next_update", "crl_number", "sha256"})

    ca_record = models.ForeignKey(CaRecord, on_delete=models.CASCADE, related_name="revocation_sources", verbose_name="CA 证书")
    kind = models.CharField("类型", max_length=8, choices=SourceKind.choices)
    url = models.URLField("地址", max_length=MAX_SOURCE, validators=[ADDRESS])
    private_network = models.BooleanField(
        "内网地址", default=False, help_text="the operator says that this host is in a private range"
    )
    last_fetched_at = models.DateTimeField("最近获取", null=True, blank=True)
    last_ok_at = models.DateTimeField("最近成功", null=True, blank=True)
    last_error = models.CharField("最近错误", max_length=300, blank=True)
    this_update = models.DateTimeField(null=True, blank=True)
    next_update = models.DateTimeField("下次更新", null=True, blank=True)
    crl_number = models.CharField(max_length=64, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("ca_record", "kind", "url"), name="one_row_per_source"),)
        verbose_name = verbose_name_plural = "吊销信息来源"

    def __str__(self) -> str:
        return f"{self.kind} {self.url}"

    def sealed_fields(self) -> list[object]:
        """Where revocation data may come from. Signatures cover what fetching brings."""
        return [str(self.ca_record_id), str(self.kind), self.url, self.private_network]
