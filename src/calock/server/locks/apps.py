from __future__ import annotations

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils import timezone


class LocksConfig(AppConfig):
    name = "calock.server.locks"

    def ready(self) -> None:
        from calock.server.locks.unrecognised import end_unrecognised_sessions  # noqa: PLC0415 - models load first
        from calock.server.providers.enforcement import register_dependents  # noqa: PLC0415 - same

        register_dependents(end_unrecognised_sessions)
        post_migrate.connect(_begin_under_seal, sender=self)


def _begin_under_seal(*, using: str, **_: object) -> None:
    """A database without accounts is new: all its rows are under seal from the first one. Each start notes what is so."""
    from calock.server.accounts.models import Account, SealedSince  # noqa: PLC0415 - models load first
    from calock.server.accounts.sealed_rows import all_sealed  # noqa: PLC0415 - same

    if SealedSince._meta.db_table not in connections[using].introspection.table_names():  # noqa: SLF001 - Django's public name for it
        return  # only some apps were migrated so far
    if not Account.objects.using(using).exists():
        SealedSince.objects.using(using).get_or_create(defaults={"at": timezone.now()})
    all_sealed()
