"""Applications that stand on this platform's login. A changed redirect address would give logins away, so rows are sealed."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

import msgspec
from django.db import models

from calock.core.refusals import Reason, Refusal
from calock.server.applications.wishes import Wish
from calock.server.tools import seals

OWN_ADDRESSES = ("cas_services", "gate_urls")
"""Fields of a wish whose addresses decide alone which application people are sent to, so that no two may have the same."""


def new_salt() -> str:
    return secrets.token_hex(32)


class ApplicationState(models.TextChoices):
    ENABLED = "enabled", "启用"
    SUSPENDED = "suspended", "停用"


class Application(models.Model):
    """One application. What it may do stands in ``wish``, which two operators decided about; a seal covers it with the state."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    client_id = models.CharField("应用标识", max_length=50, unique=True)
    site = models.CharField("站点", max_length=32)
    name = models.CharField("名称", max_length=100)
    state = models.CharField("状态", max_length=16, choices=ApplicationState.choices, default=ApplicationState.ENABLED)
    content = models.JSONField(default=dict, help_text="calock.server.applications.wishes.Wish")
    salt = models.CharField(max_length=64, default=new_salt, editable=False, help_text="of its own names for people (pairwise sub)")
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    mac = models.CharField(max_length=64, editable=False)

    _wish: Wish | None = None

    class Meta:
        ordering = ("site", "name")
        verbose_name = verbose_name_plural = "应用"

    def __str__(self) -> str:
        return self.name

    @property
    def wish(self) -> Wish:
        """What was decided about it. Judged once for each time that the row is read: a request asks often.

        Raises:
            Refusal: REGISTER_DAMAGED when somebody else than this server wrote the row.
        """
        if self._wish is None:
            if not self.is_intact():
                raise Refusal(Reason.REGISTER_DAMAGED, f"application {self.pk} is not the one that was sealed")
            self._wish = msgspec.convert(self.content, Wish)
        return self._wish

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        self._wish = None
        super().refresh_from_db(*args, **kwargs)

    def adopt(self, wish: Wish) -> None:
        """Let it be what was decided; the caller seals and saves."""
        self.content = msgspec.to_builtins(wish)
        self.client_id, self.site, self.name = wish.client_id, wish.site, wish.name

    def seal(self) -> None:
        self._wish = None
        self.mac = self.expected_mac()

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac("applications", self._sealed_content())

    def is_intact(self) -> bool:
        return seals.fits(self.mac, "applications", self._sealed_content())

    def _sealed_content(self) -> bytes:
        return seals.canonical([str(self.pk), self.client_id, self.site, str(self.state), self.content, self.salt, self.version])


class OwnAddress(models.Model):
    """An address below which people belong to one application, by CAS or the gate. The database lets no two have the same.

    It decides about nothing but that: whom people are sent to is read from the sealed row of the application.
    """

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="own_addresses")
    site = models.CharField(max_length=32)
    field = models.CharField(max_length=20, help_text="cas_services or gate_urls")
    address = models.CharField(max_length=500, help_text="without its last slash")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("site", "field", "address"), name="one_application_for_an_address"),)

    def __str__(self) -> str:
        return self.address
