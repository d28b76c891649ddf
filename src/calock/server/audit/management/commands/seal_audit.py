"""``calock manage seal_audit``: seal what is not sealed yet, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from calock.server.audit.heads import heads_path
from calock.server.audit.sealing import seal_audit


class Command(BaseCommand):
    help = "Seal audit rows and write the signed heads to files of CALOCK_DATA; the jobs process does this every minute."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        at = timezone.now()
        sealed = seal_audit(at=at)
        self.stdout.write(f"{sealed} rows sealed; heads in {heads_path(at)}")
