"""Rows under the register's seal: how each change of one is sealed, counted and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.apps import apps
from django.db import connection, models, transaction
from django.utils import timezone

from calock.server.providers import rollback_guard, seal
from calock.server.providers.seal import RegisterDamagedError
from calock.server.tools.rekeying import Rekeyed
from calock.server.tools.seals import is_newest


class RegisterState(models.Model):
    """One row: the revision that every process compares with its copy, and the seal over all rows."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    revision = models.PositiveBigIntegerField(default=0)
    mac = models.CharField(max_length=64)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="one_register"),)

    def __str__(self) -> str:
        return f"revision {self.revision}"


class Sealed(models.Model):
    """A row of the register. Saving or deleting it seals it and the register anew, in one transaction.

    Raises:
        RegisterDamagedError: the register, or this row of it, was not intact before this change; sealing it would hide that.
    """

    UNSEALED: ClassVar[frozenset[str]] = frozenset()
    """Fields that no seal covers: saving nothing but these, by ``update_fields``, is no change of the register."""
    SEAL: ClassVar[frozenset[str]] = frozenset({"mac"})
    """Fields that saving writes by itself."""

    KIND: ClassVar[str]
    """Which kind of row this is, as the seal says it."""

    mac = models.CharField(max_length=64, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        if update_fields is not None and self.UNSEALED.issuperset(update_fields := set(update_fields)):
            super().save(*args, update_fields=update_fields, **kwargs)
            return
        with transaction.atomic():
            register = open_register()
            replaced: set[str] = set()
            if self._state.adding:
                kwargs["force_insert"] = True  # what it would take the place of is not looked at
            else:
                replaced = self._intact_mac(register)
                self._count_change()
            self.mac = self.sealed_mac()
            if update_fields is not None:
                update_fields = {*update_fields, *self.SEAL}
            super().save(*args, update_fields=update_fields, **kwargs)
            register.seal(register.macs - replaced | {self.mac})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            register = open_register()
            deleted = super().delete(*args, **kwargs)
            left = register.macs.intersection(register_macs())
            if len(register.macs) - len(left) != deleted[0]:
                raise RegisterDamagedError("other rows went with the one that was deleted")
            register.seal(left)
        return deleted

    def sealed_fields(self) -> list[object]:
        """What the seal covers, in a fixed order."""
        raise NotImplementedError

    def sealed_mac(self) -> str:
        """The MAC that fits what the row says now."""
        return seal.mac(self.KIND, self.sealed_fields())

    def is_intact(self) -> bool:
        """Whether the row says what was sealed."""
        return seal.fits(self.mac, self.KIND, self.sealed_fields())

    @classmethod
    def stored(cls, key: object) -> Sealed | None:
        found: Sealed | None = cls._base_manager.filter(pk=key).first()
        return found

    @classmethod
    def stored_macs(cls) -> list[str]:
        return list(cls._base_manager.order_by().values_list("mac", flat=True))

    @classmethod
    def stored_values(cls) -> list[tuple[object, ...]]:
        """What every row says, but for what no seal covers: equal values, equal rows."""
        names = [field.attname for field in cls._meta.concrete_fields if field.attname not in cls.UNSEALED]
        found = cls._base_manager.order_by("pk").values_list(*names)
        return [tuple(bytes(value) if isinstance(value, memoryview) else value for value in row) for row in found]

    @classmethod
    def seal_stored(cls) -> None:
        """Give every row the MAC of what it says now: for the owner's command alone, who compared the list."""
        for row in cls._base_manager.select_for_update():
            cls._base_manager.filter(pk=row.pk).update(mac=row.sealed_mac())

    @classmethod
    def seal_anew(cls, macs: frozenset[str]) -> tuple[frozenset[str], list[str]]:
        """Give rows that an older key sealed the newest key's MAC: the register's MACs then, and which rows do not fit theirs."""
        failed = []
        for row in cls._base_manager.all():
            if not row.is_intact():
                failed.append(f"{cls.KIND} {row.pk}")
            elif not is_newest(row.mac):
                new = row.sealed_mac()
                cls._base_manager.filter(pk=row.pk).update(mac=new)
                macs = macs - {row.mac} | {new}
        return macs, failed

    def _intact_mac(self, register: OpenRegister) -> set[str]:
        """What somebody wrote into this row is not to be sealed along with a change of another of its fields."""
        stored = self.stored(self.pk)
        if stored is None:
            return set()
        if stored.mac not in register.macs or not stored.is_intact():
            raise RegisterDamagedError(f"{self._meta.model_name} {self.pk} is not the one that was sealed")
        return {stored.mac}

    def _count_change(self) -> None:
        """Raise the version, where there is one."""


class Versioned(Sealed):
    """A row that people change in forms."""

    SEAL = frozenset({"mac", "version"})

    version = models.PositiveIntegerField(
        default=1, editable=False, help_text="raised by every change; a form shows the one it changes"
    )

    class Meta:
        abstract = True

    def _count_change(self) -> None:
        self.version += 1


def sealed_models() -> list[type[Sealed]]:
    """Whose rows the register's seal covers."""
    return [model for model in apps.get_app_config("providers").get_models() if issubclass(model, Sealed)]


def rekey_register() -> Rekeyed:
    """Seal the register under the newest key, as its next revision.

    Raises:
        RegisterDamagedError: it is not the one that was sealed; then nothing is.
    """
    found = Rekeyed("register")
    with transaction.atomic():
        register = open_register()
        macs = register.macs
        for model in sealed_models():
            macs, failed = model.seal_anew(macs)
            found.failed += failed
        found.done = len(macs - register.macs)
        if found.done:
            register.seal(macs)
    return found


def register_macs() -> list[str]:
    """MACs of all rows of the register as they are stored now."""
    return [mac for model in sealed_models() for mac in model.stored_macs()]


@dataclass(frozen=True, slots=True)
class OpenRegister:
    """The register as the transaction under way holds it locked, and has left it so far.

    It lies among what is to be done on commit. Django drops it from there together with the transaction, or the savepoint, that put
    it there: the last one that is left says how the rows stand.
    """

    revision: int
    macs: frozenset[str]
    """Of all rows."""
    block: tuple[str | None, ...]
    """Savepoints of the block that opened it."""
    changed: bool = False

    def __call__(self) -> None:
        """On commit."""
        if self.changed:
            _remember(self.revision)

    def seal(self, macs: frozenset[str]) -> None:
        """Seal the rows as they are now, under the next revision, and remember that revision once it is committed.

        Raises:
            RegisterDamagedError: the seal in the database is not the one this change began from.
        """
        global _changes_here  # noqa: PLW0603 - a counter of this process; a lost update only costs a later look
        _changes_here += 1
        now = OpenRegister(self.revision + 1, macs, self.block, changed=True)
        before = RegisterState.objects.filter(pk=1, revision=self.revision)
        if not before.update(revision=now.revision, mac=seal.register_mac(now.revision, macs), changed_at=timezone.now()):
            raise RegisterDamagedError("the register's seal is not the one that this change began from")
        transaction.on_commit(now, robust=True)


def open_register() -> OpenRegister:
    """Lock the register for a change and check that it is the one we sealed last; once in a transaction.

    A transaction that changes several rows calls this before it locks any of them: then two such never wait for each other, and
    none of the changes reads the rows again.

    Raises:
        RegisterDamagedError: rows were added, removed or put back outside this server.
    """
    register = _opened_before()
    if register is None:
        register = OpenRegister(*_checked(), tuple(connection.savepoint_ids))
        transaction.on_commit(register, robust=True)
    return register


def _opened_before() -> OpenRegister | None:
    """The register when the block that opened it, or one within it, is still under way."""
    for _, act, *_ in reversed(connection.run_on_commit):
        if isinstance(act, OpenRegister):
            return act if tuple(connection.savepoint_ids[: len(act.block)]) == act.block else None
    return None


def _checked() -> tuple[int, frozenset[str]]:
    """Revision and MACs of the rows, from under the lock."""
    floor = rollback_guard.newest()
    state = RegisterState.objects.select_for_update().filter(pk=1).first()
    macs = register_macs()
    rollback_guard.check((state.revision, state.mac) if state else None, floor)
    if state is None:
        if macs:
            raise RegisterDamagedError("the register has rows but no seal")
        state, _ = RegisterState.objects.get_or_create(pk=1, defaults={"mac": seal.register_mac(0, [])})
    elif not seal.register_is_intact(state.revision, state.mac, macs):
        raise RegisterDamagedError("the register's seal does not fit its rows")
    return state.revision, frozenset(macs)


_changes_here = 0


def changes_here() -> int:
    """How often this process changed the register: it need not wait for the next look at the seal to see its own change."""
    return _changes_here


def on_commit(remember: Callable[[int], None]) -> None:
    """Name, at start-up, what is told each revision once it is committed."""
    global _remember  # noqa: PLW0603 - set once
    _remember = remember


def _nobody(revision: int) -> None:
    raise AssertionError(f"revision {revision} is remembered by nothing: the application is not set up")


_remember: Callable[[int], None] = _nobody
