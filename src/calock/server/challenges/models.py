"""Challenges that were used. Issuing one writes nothing; using one inserts its digest, and the second insert fails."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class SpentChallenge(models.Model):
    digest = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of the challenge text")
    spent_at = models.DateTimeField(
        db_default=Now(), db_index=True, help_text="by the database's clock; rows are swept a day later"
    )

    def __str__(self) -> str:
        return self.digest
