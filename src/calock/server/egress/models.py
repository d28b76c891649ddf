"""Addresses that this server may talk to, by purpose. What somebody wrote here without the server's key is not talked to."""

from __future__ import annotations

import uuid

from django.db import models

from calock.server.providers.validators import ADDRESS, MAX_SOURCE
from calock.server.tools import seals


class Destination(models.Model):
    """One address for one purpose. It is added by two operators, never changed, and removed by one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField("用途", max_length=40)
    url = models.URLField("地址", max_length=MAX_SOURCE, validators=[ADDRESS])
    private_network = models.BooleanField("内网地址", default=False)
    added_at = models.DateTimeField("添加时间")
    mac = models.CharField(max_length=64, editable=False)

    class Meta:
        ordering = ("purpose", "added_at")
        constraints = (models.UniqueConstraint(fields=("purpose", "url"), name="one_row_per_destination"),)
        verbose_name = verbose_name_plural = "出口地址"

    def __str__(self) -> str:
        return f"{self.purpose} {self.url}"

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac("egress", self._content())

    def is_intact(self) -> bool:
        return seals.fits(self.mac, "egress", self._content())

    def _content(self) -> bytes:
        return seals.canonical([str(self.pk), self.purpose, self.url, self.private_network])
