"""Lists that operators uploaded: checked, decided about by two of them, and written batch by batch."""

from __future__ import annotations

import json
import uuid
import zlib
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models

from calock.server.imports.columns import ImportKind
from calock.server.tools import encryption

KIND_WORDS = {ImportKind.ORGANISATIONS: "单位", ImportKind.ACCOUNTS: "账户", ImportKind.BINDINGS: "绑定"}
SEALED = ("lines", "check", "result")
"""What of a part is encrypted, each in a column of its own."""
LIFE = timedelta(days=7)
"""How long an uploaded list waits to be decided about; then its lines are erased."""


class RunState(models.TextChoices):
    CHECKING = "checking", "预检中"
    CHECKED = "checked", "已预检，待提出"
    PROPOSED = "proposed", "待复核"
    RUNNING = "running", "导入中"
    DONE = "done", "已完成"
    DISCARDED = "discarded", "已删除"


OPEN_STATES = (RunState.CHECKING, RunState.CHECKED, RunState.PROPOSED)


class ImportRun(models.Model):
    """One uploaded list. Its lines are in parts, each as large as one transaction."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField("内容", max_length=16, choices=list(KIND_WORDS.items()))
    name = models.CharField("文件", max_length=100)
    sha256 = models.CharField(max_length=64)
    lines = models.PositiveIntegerField("行数")
    checked = models.JSONField(default=dict, help_text="how many lines would be new, changed, same, error")
    written = models.JSONField(default=dict, help_text="how many were")
    state = models.CharField("状态", max_length=16, choices=RunState.choices, default=RunState.CHECKING)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name="上传人")
    uploaded_at = models.DateTimeField("上传时间", db_index=True)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    finished_at = models.DateTimeField("完成时间", null=True)

    class Meta:
        ordering = ("-uploaded_at",)
        verbose_name = verbose_name_plural = "数据导入"

    def __str__(self) -> str:
        return f"{self.get_kind_display()}：{self.name}"

    def closes_at(self) -> datetime:
        return self.uploaded_at + LIFE


class ImportPart(models.Model):
    """Lines of one transaction, and what becomes of each. All of it is encrypted: names, and hashes of passwords."""

    run = models.ForeignKey(ImportRun, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    sealed_lines = models.BinaryField(help_text="empty once it is written or discarded")
    sealed_check = models.BinaryField(null=True)
    sealed_result = models.BinaryField(null=True)

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("run", "number"), name="one_part_per_number"),)

    def __str__(self) -> str:
        return f"{self.run_id} {self.number}"

    def seal(self, what: str, values: Any) -> None:
        """Keep ``values``; ``what`` is one of SEALED."""
        packed = zlib.compress(json.dumps(values, ensure_ascii=False).encode())
        setattr(self, f"sealed_{what}", encryption.encrypt(packed, "imports", self.about(what)))

    def opened(self, what: str) -> Any:
        """What was kept; an empty list for nothing.

        Raises:
            NotOpenedError: it was changed, or sealed under another secret.
        """
        sealed = getattr(self, f"sealed_{what}")
        return json.loads(zlib.decompress(encryption.decrypt(bytes(sealed), "imports", self.about(what)))) if sealed else []

    def about(self, what: str) -> str:
        """What is authenticated along with a column."""
        return f"{self.run_id} {self.number} {what}"
