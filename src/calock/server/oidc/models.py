"""What the OpenID provider keeps: its signing keys, codes and tokens. Of what it hands out it keeps SHA-256 alone."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from calock.server.grants.models import Bearer, Grant


class KeyState(models.TextChoices):
    NEXT = "next"
    CURRENT = "current"
    PREVIOUS = "previous"
    RETIRED = "retired"


class SigningKey(models.Model):
    """A key of one site that signs ID tokens. ``sealed`` is the private key under a key of the server's secret."""

    kid = models.CharField(max_length=43, primary_key=True)
    site = models.CharField(max_length=32)
    alg = models.CharField(max_length=8)
    state = models.CharField(max_length=10, choices=KeyState.choices)
    sealed = models.BinaryField()
    created_at = models.DateTimeField()
    state_since = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("site", "alg", "state"), condition=~Q(state=KeyState.RETIRED), name="one_key_of_each_state"
            ),
        )

    def __str__(self) -> str:
        return f"{self.site} {self.alg} {self.state} {self.kid}"


class Code(Bearer):
    """An authorization code, good once, for a minute."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="codes")
    redirect_uri = models.CharField(max_length=500)
    nonce = models.CharField(max_length=200, blank=True)
    code_challenge = models.CharField(max_length=43)
    resource = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)


class Token(Bearer):
    """An opaque access token, or a refresh token; ``parent`` is the refresh token whose place this one took."""

    class Kind(models.TextChoices):
        ACCESS = "access"
        REFRESH = "refresh"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="tokens")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=200)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, help_text="of a refresh token: when another took its place")
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:16]}"


class SpentAssertion(models.Model):
    """A client assertion that was used: its id is good once (RFC 7523 clause 3)."""

    digest = models.CharField(max_length=64, primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.digest[:16]
