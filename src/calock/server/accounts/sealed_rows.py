"""Rows under seal: what somebody writes into the database without the server's secret gives nobody a lock or a password.

A row that a login relies on carries a MAC over the columns that say who gets in. It is made where the row is saved and looked at
where the row is used (GB/T 22239-2019, 8.1.4.7: integrity). ``QuerySet.update`` makes none: what it changed there is not believed.

Rows of a version before have none, and one that still runs beside this one writes more of them. They are believed until the
server's owner has had all rows sealed (``calock manage sealed_rows seal``) and :class:`SealedSince` says so; a new database says
so from the start. Each machine that saw it once notes it below ``CALOCK_DATA``: who takes the row away changes nothing there.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import structlog
from django.conf import settings
from django.db import models, transaction

from calock.core.refusals import Reason, Refusal
from calock.server.tools import seals
from calock.server.tools.files import make_folder, make_once
from calock.server.tools.keys import Purpose

log = structlog.get_logger(__name__)

_seen = False
"""Whether this process knows that all rows are sealed."""


class SealedSince(models.Model):
    """Its one row says that every row is sealed. It needs no MAC: with it less is believed, not more."""

    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


def note() -> Path:
    """Where this machine keeps that it saw it."""
    return Path(settings.CALOCK.data) / "rows.sealed"


def all_sealed() -> bool:
    """Whether a row without a seal that fits is no longer believed."""
    if _seen:
        return True
    found = _is_noted() or SealedSince.objects.exists()
    if found:
        transaction.on_commit(_remember)  # not before: what this transaction wrote may yet be rolled back
    return found


def _is_noted() -> bool:
    try:
        return note().exists()
    except OSError as error:  # a folder that cannot be read stops no login: the database says it as well
        log.error("sealed_rows_note_unread", error=str(error))  # noqa: TRY400 - the text says it all
        return False


def _remember() -> None:
    global _seen  # noqa: PLW0603 - the state of this process
    _seen = True
    try:
        make_folder(note().parent)
        make_once(note(), b"")
    except OSError as error:
        log.error("sealed_rows_not_noted", error=str(error))  # noqa: TRY400 - the text says it all


def forget() -> None:
    """Be a new machine: between tests."""
    global _seen  # noqa: PLW0603 - the state of this process
    _seen = False
    note().unlink(missing_ok=True)


class SealedRow(models.Model):
    """A row whose ``mac`` covers what :meth:`sealed_content` says."""

    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    PURPOSE: ClassVar[Purpose]
    SEALED: ClassVar[frozenset[str]]
    """The fields that the seal covers."""

    class Meta:
        abstract = True

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save and seal: what the database has, with the changes. The caller may hold older values of other columns.

        Raises:
            Refusal: as :meth:`require_believed`, when the stored row is not the one we wrote: sealing it would hide that.
        """
        if self._state.adding or kwargs.get("force_insert"):
            self.mac = self.expected_mac()
            super().save(*args, update_fields=update_fields, **kwargs)
            return
        named = None if update_fields is None else {self._meta.get_field(name).name for name in update_fields}
        changed = self.SEALED if named is None else self.SEALED & named
        with transaction.atomic():
            if changed:
                self.mac = self._stored_with(changed).expected_mac()
            super().save(*args, update_fields=named | {"mac"} if named and changed else named, **kwargs)

    def save_closed(self, update_fields: Iterable[str]) -> None:
        """Save what only takes power away. A row that somebody changed takes it too, keeps its seal, and is refused as before."""
        with transaction.atomic():
            if self._stored().is_believed():
                self.save(update_fields=update_fields)
            else:
                super().save(update_fields=update_fields)

    def sealed_content(self) -> bytes:
        raise NotImplementedError

    def is_an_operators(self) -> bool:
        """Whether it was under seal before all others were."""
        return False

    def is_intact(self) -> bool:
        """Whether the row is the one that this server wrote."""
        return seals.fits(self.mac, self.PURPOSE, self.sealed_content())

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac(self.PURPOSE, self.sealed_content())

    def is_believed(self) -> bool:
        """Whether it may be used: intact, or perhaps written by the version before."""
        return self.is_intact() or not (self.is_an_operators() or all_sealed())

    def require_believed(self) -> None:
        """Raise when it may not be used.

        Raises:
            Refusal: RECORD_DAMAGED, OPERATOR_DAMAGED.
        """
        if not self.is_believed():
            raise damaged(self, operator=self.is_an_operators())

    def _stored_with(self, changed: Iterable[str]) -> Self:
        stored = self._stored()
        stored.require_believed()
        for name in changed:
            field = cast("models.Field[Any, Any]", self._meta.get_field(name))
            setattr(stored, field.attname, getattr(self, field.attname))
        return stored

    def _stored(self) -> Self:
        return type(self)._base_manager.select_for_update(no_key=True).get(pk=self.pk)  # noqa: SLF001 - Django's public name for it


def damaged(row: SealedRow, *, operator: bool, lock: uuid.UUID | None = None) -> Refusal:
    """The refusal of a row that may not be used."""
    reason = Reason.OPERATOR_DAMAGED if operator else Reason.RECORD_DAMAGED
    what = f"{row._meta.model_name} {row.pk}"  # noqa: SLF001 - Django's public name for it
    return Refusal(reason, f"{what} is not the one that was sealed", about={"lock": lock} if lock else {})
