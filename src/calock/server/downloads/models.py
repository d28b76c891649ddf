"""The driver-package catalogue behind every download link."""

from __future__ import annotations

import uuid

from django.db import models


class PackageState(models.TextChoices):
    DRAFT = "draft", "草稿"
    PUBLISHED = "published", "已发布"
    WITHDRAWN = "withdrawn", "已撤回"


class DriverPackage(models.Model):
    """One downloadable driver file. The file lies in the store under its SHA-256, addressed by id, never by a name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField(help_text="e.g. shanxi-huren; the same over versions and systems")
    title = models.CharField(max_length=100, help_text="e.g. 山西互认驱动")
    providers = models.ManyToManyField("providers.Provider", related_name="driver_packages", blank=True)
    sites = models.JSONField(default=list)
    os = models.CharField(max_length=16, help_text="linux, windows, macos")
    arch = models.CharField(max_length=16, help_text="x86_64, arm64")
    version = models.CharField(max_length=32)
    file_name = models.CharField(max_length=150)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    sm3 = models.CharField(max_length=64)
    signature = models.TextField(blank=True, help_text="base64 detached signature over the file")
    changes = models.TextField(blank=True)
    state = models.CharField(max_length=16, choices=PackageState.choices, default=PackageState.DRAFT)
    released_at = models.DateTimeField(null=True, blank=True)
    downloads = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("code", "os", "arch", "version"), name="one_file_per_code_system_version"),)
        ordering = ("code", "os", "arch", "-released_at")
        verbose_name = verbose_name_plural = "CA 驱动"

    def __str__(self) -> str:
        return f"{self.title} {self.version} {self.os}/{self.arch}"
