"""Queries that are written out once: they find what the ORM finds, whatever is asked next."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.db.models import CharField, UUIDField
from django.test.utils import CaptureQueriesContext

from calock.server.accounts.models import Account
from calock.server.tools.prepared import Parameter, Prepared

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


def test_a_row_is_the_one_that_the_orm_gives_with_what_belongs_to_it(lock_world):
    by_key = Prepared(lambda: Account.objects.select_related("organisation").filter(pk=Parameter("key", UUIDField())))
    for account in (lock_world.member, lock_world.colleague, lock_world.operator):
        stored = Account.objects.select_related("organisation").get(pk=account.pk)
        with CaptureQueriesContext(connection) as queries:
            found = by_key.first(key=account.pk)
            assert found is not None
            assert (vars(found) | {"_state": None}) == (vars(stored) | {"_state": None})
            assert found.organisation == stored.organisation
        assert len(queries) == 1
    assert by_key.first(key=uuid.uuid4()) is None


def test_a_found_row_can_be_changed_and_saved(lock_world):
    by_key = Prepared(lambda: Account.objects.filter(pk=Parameter("key", UUIDField())))
    found = by_key.first(key=lock_world.member.pk)
    assert found is not None
    found.name = "王芳"
    found.save()
    again = by_key.first(key=lock_world.member.pk)
    assert again is not None
    assert again.name == "王芳"


def test_values_alone_come_as_they_are_asked_for(lock_world):
    names = Prepared(
        lambda: Account.objects.filter(username=Parameter("name", CharField()), state="active").values_list("pk", "created_at")
    )
    assert names.first(name=lock_world.member.username) == (lock_world.member.pk, lock_world.member.created_at)
    assert names.first(name="' OR 1=1 --") is None
    assert names.first(name="%s") is None
