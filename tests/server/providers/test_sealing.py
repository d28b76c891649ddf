"""One change of several rows: read and checked once, sealed whole, and never together with what somebody else wrote meanwhile."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from worlds.register import make_world

from calock.core.refusals import Reason, Refusal
from calock.server.providers import rollback_guard
from calock.server.providers.models import CaRecord, Provider, RegisterState, RevocationSource, open_register
from calock.server.providers.trust import check_at_start, forget_register


@pytest.fixture
def world(transactional_db):
    """Committed, as on a running platform."""
    forget_register()
    return make_world()


@pytest.fixture
def rows(world):
    return [world.provider, world.anchor, world.intermediate, RevocationSource.objects.get()]


class UndoneError(Exception):
    """Raised to have a block rolled back."""


def whole():
    """The seal fits all rows, and no other revision than the database's was remembered."""
    forget_register()
    check_at_start()
    assert rollback_guard.newest().revision == revision()


def revision() -> int:
    return RegisterState.objects.get().revision


def damaged():
    return pytest.raises(Refusal, match=f"^{Reason.REGISTER_DAMAGED}")


def require_damaged() -> None:
    """The next change finds that the seal does not fit."""
    with transaction.atomic(), damaged():
        open_register()


def undone(*rows, open_first: bool = False) -> None:
    """Change rows in a block that is rolled back."""
    with suppress(UndoneError), transaction.atomic():
        if open_first:
            open_register()
        for row in rows:
            row.save()
        raise UndoneError


def test_the_macs_are_read_once_in_a_transaction_however_many_rows_it_changes(rows):
    before = revision()
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        open_register()
        for row in rows * 3:
            row.save()
    reads = [query["sql"] for query in queries if " WHERE " not in query["sql"] and query["sql"].startswith("SELECT")]
    assert len(reads) == 3  # one for each kind of row
    assert sum(query["sql"].startswith("SELECT") and "registerstate" in query["sql"] for query in queries) == 1
    assert revision() == before + 12
    whole()


def test_a_transaction_is_remembered_once(rows, monkeypatch):
    written, real = [], rollback_guard.remember
    monkeypatch.setattr(rollback_guard, "remember", lambda found, **named: (written.append(found.revision), real(found, **named)))
    with transaction.atomic():
        open_register()
        for row in rows:
            row.save()
        assert written == []
    assert written == [revision()]


@pytest.mark.parametrize("open_first", [True, False], ids=["opened-within", "opened-before"])
def test_what_a_savepoint_took_back_is_in_no_seal(rows, open_first):
    with transaction.atomic():
        if not open_first:
            open_register()
            rows[0].save()
        undone(rows[1], rows[0], open_first=open_first)
        Provider.objects.get().save()
        undone(CaRecord.objects.first())
        RevocationSource.objects.get().save()
    whole()


def test_what_a_transaction_took_back_is_in_no_seal(rows):
    before = revision()
    undone(*rows, open_first=True)
    assert revision() == before
    Provider.objects.get().save()
    whole()


def test_rows_added_deleted_and_changed_in_one_transaction(world):
    with transaction.atomic():
        open_register()
        new = RevocationSource(ca_record=world.anchor, kind="crl", url="http://crl.example/root.crl")
        new.save()
        new.private_network = True
        new.save()
        world.anchor.save()
        world.intermediate.delete()  # and its source
    assert RevocationSource.objects.get() == new
    whole()


def test_a_row_that_fails_to_be_written_leaves_the_rest_whole(world):
    with transaction.atomic():
        open_register()
        world.provider.save()
        with pytest.raises(IntegrityError):
            Provider(pk=world.provider.pk, code="other").save()
        world.anchor.save()
    whole()


def behind(row, **values) -> None:
    """As with SQL."""
    assert type(row)._base_manager.filter(pk=row.pk).update(**values) == 1


def test_what_is_written_behind_it_meanwhile_is_not_sealed_along(world):
    with transaction.atomic():
        open_register()
        world.provider.save()
        behind(world.intermediate, anchor=True, mac="0" * 64)
        world.anchor.save()
        with damaged():
            CaRecord.objects.get(pk=world.intermediate.pk).save()
    require_damaged()


def test_a_row_put_back_meanwhile_with_its_former_seal_is_neither_saved_nor_sealed(world):
    former = {"rules": world.provider.rules, "version": world.provider.version, "mac": world.provider.mac}
    with transaction.atomic():
        open_register()
        world.provider.rules = {"grace_days": 1}
        world.provider.save()
        behind(world.provider, **former)
        assert Provider.objects.get().is_intact()
        with damaged():
            Provider.objects.get().save()
        world.anchor.save()
    require_damaged()


@pytest.mark.parametrize("act", ["deleted", "added"])
def test_a_deletion_seals_nothing_that_somebody_else_deleted_or_added(world, act):
    with transaction.atomic():
        open_register()
        if act == "deleted":
            RevocationSource.objects.all().delete()
            with damaged():
                world.anchor.delete()
            transaction.set_rollback(True)
            return
        RevocationSource.objects.bulk_create(
            [RevocationSource(ca_record=world.intermediate, kind="crl", url="http://evil.example/")]
        )
        world.anchor.delete()
    require_damaged()


def test_a_seal_that_was_changed_meanwhile_is_not_written_over(world):
    with transaction.atomic():
        open_register()
        RegisterState.objects.update(revision=99)
        with damaged():
            world.provider.save()
        transaction.set_rollback(True)
