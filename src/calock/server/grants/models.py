"""What an application was told about a person, in which session; and the request that it made while the person logs in.

A grant, and whatever is shown for it, is sealed: who writes into the database without the server's secret neither makes an entry of
their own another person's, nor opens one with what is over. Whom a lock or a password logs in is no part of it: those rows are
sealed for operators alone.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from datetime import UTC, datetime
from typing import Any, Self

from django.conf import settings
from django.db import models

from calock.server.applications.models import Application
from calock.server.sessions.models import Session
from calock.server.tools import seals
from calock.server.tools.digests import digest


class PendingRequest(models.Model):
    """An application's request that waits until its person has proved who they are. It ends with its answer, or by age."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="+")
    protocol = models.CharField(max_length=8)
    parameters = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.protocol} {self.pk}"


LATER = frozenset({"mac", "used_at", "revoked_at"})
"""What is written into a row after it was issued; a seal covers everything else that it says."""


def _plain(value: object) -> object:
    """A column's value as it is sealed: the same before it is saved and after it was read."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, uuid.UUID) else value


class _Sealed(models.Model):
    """Covered by a seal, but for when it was used or revoked."""

    mac = models.CharField(max_length=64, default="", db_default="", editable=False)

    class Meta:
        abstract = True

    def seal(self) -> None:
        self.mac = self.expected_mac()

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac("grants", self._sealed_content())

    def is_intact(self) -> bool:
        return seals.fits(self.mac, "grants", self._sealed_content())

    def _sealed_content(self) -> bytes:
        raise NotImplementedError


class Grant(_Sealed):
    """One entry of a person into an application. Whatever was issued for it is good only as long as it and its session last."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="grants")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants")
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="grants")
    protocol = models.CharField(max_length=8)
    issuer = models.CharField(max_length=300, help_text="origin of the site on which the person is logged in")
    scope = models.CharField(max_length=200, blank=True)
    acr = models.CharField(max_length=64)
    amr = models.JSONField(default=list)
    auth_time = models.DateTimeField(help_text="newest proof of that level")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=("session", "application"), name="grant_by_session"),)

    def __str__(self) -> str:
        return f"{self.application_id} {self.account_id} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def sid(self) -> str:
        """The session as this application knows it: the same for each of its grants, and another for every other application."""
        digest = hashlib.sha256(f"calock:sid:{self.session_id}:{self.application_id}".encode()).digest()
        return base64.urlsafe_b64encode(digest[:24]).decode()

    def _sealed_content(self) -> bytes:
        moments = [_plain(at) for at in (self.auth_time, self.created_at)]
        return seals.canonical([
            str(self.pk), str(self.application_id), str(self.account_id), self.session_id, self.protocol, self.issuer, self.scope,
            self.acr, self.amr, *moments,
        ])  # fmt: skip


class Bearer(_Sealed):
    """A code, token, ticket or pass: what somebody shows for a grant.

    The seal ties it to that grant, for what it was issued for and until when: one that is over cannot be made good again. One that
    was used can be, until its time is over, by somebody who sees it and writes into the database: codes and tickets are short.
    """

    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of what is shown")
    grant_id: uuid.UUID
    grant: Any
    """Each kind has its own ``grant``."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.digest[:16]

    @classmethod
    def new(cls, text: str, **fields: Any) -> Self:
        """An unsaved row: that ``text`` is handed out, for ``grant`` and with whatever else its kind has."""
        row = cls(digest=digest(text), **fields)
        row.seal()
        return row

    def _sealed_content(self) -> bytes:
        issued = {field.name: getattr(self, field.attname) for field in self._meta.concrete_fields if field.name not in LATER}
        return seals.canonical([self._meta.label_lower, {name: _plain(value) for name, value in issued.items()}])
