"""Challenges that were used. Issuing one writes nothing; using one inserts its digest, and the second insert fails."""

from __future__ import annotations

from django.db import models


class SpentChallenge(models.Model):
    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the challenge text")
    expires_at = models.DateTimeField(db_index=True, help_text="rows past this are swept")

    def __str__(self) -> str:
        return self.digest
