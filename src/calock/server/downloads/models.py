"""The driver-package catalogue behind every download link."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from calock.wire.package import version_key


class PackageState(models.TextChoices):
    DRAFT = "draft", "草稿"
    PUBLISHED = "published", "已发布"
    WITHDRAWN = "withdrawn", "已撤回"


class PackageQuerySet(models.QuerySet["DriverPackage"]):
    def published(self) -> PackageQuerySet:
        return self.filter(state=PackageState.PUBLISHED)

    def for_site(self, site: str) -> list[DriverPackage]:
        """Published packages that this site offers, the newest version of each code, system and architecture."""
        newest: dict[tuple[str, str, str], DriverPackage] = {}
        for package in self.published().prefetch_related("providers").order_by("title", "os", "arch"):
            if package.offered_by(site):
                kind = (package.code, package.os, package.arch)
                if kind not in newest or newest[kind].order < package.order:
                    newest[kind] = package
        return list(newest.values())

    def newest_like(self, package: DriverPackage) -> DriverPackage | None:
        """The newest published version of the same code, system and architecture; None when there is none."""
        same = self.published().filter(code=package.code, os=package.os, arch=package.arch)
        return max(same, key=lambda other: other.order, default=None)


class DriverPackage(models.Model):
    """One downloadable driver file. The file lies in the store under its SHA-256, addressed by id, never by a name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField("代码", help_text="e.g. shanxi-huren; the same over versions and systems")
    title = models.CharField("名称", max_length=100, help_text="e.g. 山西互认驱动")
    providers = models.ManyToManyField("providers.Provider", related_name="driver_packages", blank=True)
    sites = models.JSONField(default=list, help_text="codes of the sites that offer it; none: every site")
    os = models.CharField("系统", max_length=16, help_text="linux, windows, macos")
    arch = models.CharField("架构", max_length=16, help_text="x86_64, arm64")
    version = models.CharField("版本", max_length=32)
    file_name = models.CharField("文件名", max_length=150)
    size = models.PositiveBigIntegerField("大小")
    sha256 = models.CharField(max_length=64)
    sm3 = models.CharField(max_length=64)
    manifest = models.TextField(
        help_text="the signed manifest inside the file, exactly as signed: names every file with its SHA-256"
    )
    signature = models.TextField(help_text="Base64 of the Ed25519 signature over the manifest")
    changes = models.TextField(blank=True)
    state = models.CharField("状态", max_length=16, choices=PackageState.choices, default=PackageState.DRAFT)
    released_at = models.DateTimeField("发布时间", null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=200, blank=True)
    downloads = models.PositiveBigIntegerField("下载次数", default=0, help_text="complete downloads")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[DriverPackage]] = models.Manager.from_queryset(PackageQuerySet)()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("code", "os", "arch", "version"), name="one_file_per_code_system_version"),)
        ordering = ("code", "os", "arch", "-released_at")
        verbose_name = verbose_name_plural = "CA 驱动包"

    def __str__(self) -> str:
        return f"{self.title} {self.version} {self.os}/{self.arch}"

    @property
    def order(self) -> tuple[int, ...]:
        """Value to compare versions by."""
        return version_key(self.version)

    def offered_by(self, site: str) -> bool:
        return not self.sites or site in self.sites


class WeeklyDownloads(models.Model):
    """How many complete downloads of a package one week began: rows name no person, so they stay."""

    package = models.ForeignKey(DriverPackage, on_delete=models.CASCADE, related_name="weeks")
    monday = models.DateField(help_text="first day of the week, in the server's time zone")
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("package", "monday"), name="one_count_a_week"),)
        ordering = ("-monday",)

    def __str__(self) -> str:
        return f"{self.monday} {self.count}"
