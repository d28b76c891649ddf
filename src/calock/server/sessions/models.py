"""Our own session row: whose, on which site, by which lock, from where, until when. Ended, not deleted."""

from __future__ import annotations

from datetime import UTC

from django.conf import settings
from django.db import models

from calock.server.tools import seals


class SessionMethod(models.TextChoices):
    PASSWORD = "password", "账号密码"
    CA = "ca", "CA 锁"


class Session(models.Model):
    """``digest`` is the SHA-256 of the first cookie's 256 bits, ``token`` that of the last: a stolen table opens no session."""

    digest = models.CharField(max_length=64, primary_key=True)
    token = models.CharField(max_length=64, null=True, editable=False, help_text="null until a later proof gave another cookie")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sessions")
    site = models.CharField(max_length=32)
    method = models.CharField(max_length=16, choices=SessionMethod.choices)
    lock = models.ForeignKey("locks.Lock", null=True, blank=True, on_delete=models.PROTECT, related_name="sessions")
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    authenticated_at = models.DateTimeField(help_text="the newer of the two proofs below")
    password_proved_at = models.DateTimeField(null=True, blank=True, help_text="last proof by password")
    lock_proved_at = models.DateTimeField(null=True, blank=True, help_text="last proof by a lock of the account")
    # no index: read with the session alone, and an index would be written at every login
    proved_lock = models.ForeignKey(
        "locks.Lock", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False, help_text="that lock"
    )
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=40, blank=True)

    class Meta:
        indexes = (models.Index(fields=("account", "-created_at")),)
        # partial, so that a login writes nothing into it
        constraints = (models.UniqueConstraint(fields=("token",), condition=models.Q(token__isnull=False), name="one_token"),)

    def __str__(self) -> str:
        return f"{self.account_id} {self.site} {self.created_at:%Y-%m-%d %H:%M}"

    def seal(self) -> None:
        """Cover whose session it is and what was proved in it: with both somebody could write themselves into the console."""
        self.mac = self.expected_mac()

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac("session", self._sealed_content())

    def is_intact(self) -> bool:
        """Asked by every request that shows its cookie: what somebody wrote into the database is no session."""
        return seals.fits(self.mac, "session", self._sealed_content())

    def _sealed_content(self) -> bytes:
        times = (self.created_at, self.expires_at, self.password_proved_at, self.lock_proved_at)
        moments = [at.astimezone(UTC).isoformat(timespec="microseconds") if at else "" for at in times]
        return seals.canonical([
            self.digest, str(self.account_id), self.site, str(self.method), str(self.lock_id or ""), str(self.proved_lock_id or ""),
            *moments, *([self.token] if self.token else []),
        ])  # fmt: skip
