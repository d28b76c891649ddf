"""CA providers (CA 服务商) and the keys that identify them. A CA is its key (SPKI SHA-256), never its name.

Saving a row through the ORM seals it (``seal.py``) and raises the register's revision, which every process looks at.
``QuerySet.update`` and ``bulk_create`` do not: a row changed that way is refused as tampered with. Use the services or ``save()``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models, transaction

from calock.server.providers import seal


class ProviderState(models.TextChoices):
    ENABLED = "enabled", "启用"
    SUSPENDED = "suspended", "暂停"


class CaState(models.TextChoices):
    PENDING = "pending", "待确认"
    RECOGNISED = "recognised", "已互认"
    SUSPENDED = "suspended", "暂停"
    WITHDRAWN = "withdrawn", "已撤回"


class RegisterDamagedError(RuntimeError):
    """The register's rows are not those that this server sealed."""


class RegisterState(models.Model):
    """One row: the revision that every process compares with its copy, and the seal over all rows."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    revision = models.PositiveBigIntegerField(default=0)
    mac = models.CharField(max_length=64)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="one_register"),)

    def __str__(self) -> str:
        return f"revision {self.revision}"


def register_macs() -> list[str]:
    """MACs of all rows of the register as they are stored now."""
    return [mac for model in (Provider, CaRecord, BundleKey) for mac in model.objects.order_by().values_list("mac", flat=True)]


class _Sealed(models.Model):
    """A row of the register. Saving or deleting it seals it and the register anew, in one transaction.

    Raises:
        RegisterDamagedError: the register was not intact before this change; sealing it would hide that.
    """

    version = models.PositiveIntegerField(
        default=1, editable=False, help_text="raised by every change; a form shows the one it changes"
    )
    mac = models.CharField(max_length=64, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        with transaction.atomic():
            state = open_register()
            if not self._state.adding:
                self.version += 1
            self.mac = self.sealed_mac()
            if update_fields is not None:
                update_fields = {*update_fields, "mac", "version"}
            super().save(*args, update_fields=update_fields, **kwargs)
            close_register(state)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            state = open_register()
            deleted = super().delete(*args, **kwargs)
            close_register(state)
        return deleted

    def sealed_mac(self) -> str:
        raise NotImplementedError


def open_register() -> RegisterState:
    """Lock the register for a change and check that it is the one we sealed.

    Raises:
        RegisterDamagedError: rows were added, removed or put back outside this server.
    """
    state = RegisterState.objects.select_for_update().filter(pk=1).first()
    macs = register_macs()
    if state is None:
        if macs:
            raise RegisterDamagedError("the register has rows but no seal")
        state, _ = RegisterState.objects.get_or_create(pk=1, defaults={"mac": seal.register_mac(0, [])})
    elif not seal.register_is_intact(state, macs):
        raise RegisterDamagedError("the register's seal does not fit its rows")
    return state


_changes_here = 0


def changes_here() -> int:
    """How often this process changed the register: it need not wait for the next look at the seal to see its own change."""
    return _changes_here


def close_register(state: RegisterState) -> None:
    """Seal the register as it is now, under the next revision."""
    global _changes_here  # noqa: PLW0603 - a counter of this process; a lost update only costs a later look
    _changes_here += 1
    state.revision += 1
    state.mac = seal.register_mac(state.revision, register_macs())
    state.save()


class Provider(_Sealed):
    """One certificate authority this platform recognises, and its rules."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField("代码", unique=True)
    name = models.CharField("CA 服务商", max_length=100, help_text="列表中显示的名称，如：山西CA互认平台")
    short_name = models.CharField("简称", max_length=100, help_text="选择框中显示的名称，如：山西 CA")
    legal_name = models.CharField("法人名称", max_length=200, blank=True)
    state = models.CharField("状态", max_length=16, choices=ProviderState.choices, default=ProviderState.ENABLED)
    sites = models.JSONField("认可的站点", default=list, help_text="codes of the sites that recognise it")
    rules = models.JSONField(
        "规则", default=dict, help_text="calock.core.policy.Policy as JSON: algorithms, EKU, identity rules, freshness"
    )
    hotline = models.CharField("服务热线", max_length=64, blank=True)
    website = models.URLField("网站", blank=True)
    renew_url = models.URLField("续期网址", blank=True)
    unlock_url = models.URLField("解锁网址", blank=True)
    allow_expired_binding = models.BooleanField("允许绑定已过期证书", default=False)
    order = models.PositiveIntegerField("显示次序", default=100)

    class Meta:
        ordering = ("order", "code")
        verbose_name = verbose_name_plural = "CA 服务商"

    def __str__(self) -> str:
        return self.name

    def sealed_mac(self) -> str:
        return seal.provider_mac(self)


class CaRecord(_Sealed):
    """One CA certificate of a provider: an anchor (``anchor=True``) or a recognised intermediate."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="ca_records", verbose_name="CA 服务商")
    group = models.CharField("CA 组", max_length=64, help_text="CA group: records of one CA over its key roll-overs")
    anchor = models.BooleanField("信任锚", default=False)
    spki_sha256 = models.CharField("公钥 SHA-256", max_length=64, unique=True)
    certificate = models.BinaryField()
    subject = models.CharField("主题", max_length=500)
    state = models.CharField("状态", max_length=16, choices=CaState.choices, default=CaState.PENDING)
    not_before = models.DateTimeField("生效时间")
    not_after = models.DateTimeField("到期时间")
    changed_at = models.DateTimeField("变更时间", auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = "CA 证书"

    def __str__(self) -> str:
        return self.subject

    def sealed_mac(self) -> str:
        return seal.ca_record_mac(self)


class SourceKind(models.TextChoices):
    CRL = "crl", "CRL"
    OCSP = "ocsp", "OCSP"


class RevocationSource(models.Model):
    """Where revocation data of one CA key comes from. Only these addresses are ever fetched."""

    ca_record = models.ForeignKey(CaRecord, on_delete=models.CASCADE, related_name="revocation_sources", verbose_name="CA 证书")
    kind = models.CharField("类型", max_length=8, choices=SourceKind.choices)
    url = models.URLField("地址", max_length=500)
    private_network = models.BooleanField(
        "内网地址", default=False, help_text="the operator says that this host is in a private range"
    )
    mac = models.CharField(max_length=64, editable=False)
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

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        if update_fields is None:
            # a job that stores what it fetched names its fields, and so never seals an address somebody changed
            self.mac = seal.source_mac(self)
        super().save(*args, update_fields=update_fields, **kwargs)


class BundleKey(_Sealed):
    """An Ed25519 key whose bundles this server takes over. Pinned by two operators, retired by one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField("名称", max_length=100)
    key_id = models.CharField("公钥 SHA-256", max_length=64, unique=True)
    public_key = models.CharField("公钥", max_length=64, help_text="raw Ed25519 public key, hex")
    retired = models.BooleanField("已停用", default=False)
    last_made_at = models.DateTimeField("最近导入的签发时间", null=True, blank=True, help_text="an older bundle is refused")
    pinned_at = models.DateTimeField("固定时间", auto_now_add=True)

    class Meta:
        verbose_name = verbose_name_plural = "互认包签名公钥"

    def __str__(self) -> str:
        return self.name

    def sealed_mac(self) -> str:
        return seal.bundle_key_mac(self)
