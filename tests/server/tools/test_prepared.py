"""A query that is put together once answers as the same query put together anew."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Exists, OuterRef
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from worlds.rows import account, supplier

from calock.server.accounts.models import Account
from calock.server.notices.models import Notice, NoticeKind
from calock.server.tools.prepared import prepared

pytestmark = pytest.mark.django_db


def told(who, since):
    """Notices with their account, its organisation (or none), and whether there is an older one."""
    older = Notice.objects.filter(account=OuterRef("account"), created_at__lt=OuterRef("created_at"))
    rows = Notice.objects.filter(account=who, created_at__gt=since).select_related("account__organisation")
    return rows.defer("account__password").annotate(again=Exists(older)).order_by("created_at")


def everything_of(notices):
    return [
        (notice.pk, notice.kind, notice.facts, notice.created_at, notice.dismissed_at, notice.again, notice.account,
         notice.account.created_at, notice.account.organisation)
        for notice in notices
    ]  # fmt: skip


def test_each_execution_answers_for_its_own_values_as_the_query_itself_would():
    people, now = [account("li", "李", organisation=supplier()), account("wang", "王")], timezone.now()
    for number, person in enumerate([*people, *people]):
        Notice.objects.create(
            account=person, kind=NoticeKind.LOCK_BOUND, facts={"n": number, "who": ["我"]}, created_at=now - timedelta(days=number)
        )
    ready = prepared(told)
    for person in (*people, *people):
        for days in (1, 9):
            since = now - timedelta(days=days)
            with CaptureQueriesContext(connection) as asked:
                found = everything_of(ready(person.pk, since))
            assert len(asked) == 1
            assert found == everything_of(told(person.pk, since))
            assert len(found) == (2 if days == 9 else 1 if person.username == "li" else 0)


def test_a_value_is_never_a_part_of_the_statement():
    named = prepared(lambda name: Account.objects.filter(name=name))
    account("li", "李")
    for hostile in ("' OR 1=1 --", "%s", "李'; DROP TABLE accounts_account; --"):
        assert named(hostile) == []
    assert [person.username for person in named("李")] == ["li"]


def test_values_alone_come_as_they_are_asked_for():
    named = prepared(lambda name: Account.objects.filter(username=name).values_list("pk", "created_at"))
    person = account("li", "李")
    assert named.first("li") == (person.pk, person.created_at)
    assert named.first("%s") is None


def test_a_found_row_can_be_changed_and_saved():
    named = prepared(lambda name: Account.objects.filter(username=name))
    account("li", "李")
    found = named.first("li")
    assert found is not None
    found.name = "王芳"
    found.save()
    assert [person.name for person in named("li")] == ["王芳"]


def test_a_query_may_have_another_form_for_what_is_not_given():
    firm = supplier()
    account("li", "李", organisation=firm)
    member, alone = account("wang", "王", organisation=firm), account("zhao", "赵")
    seen = prepared(lambda who, organisation: Account.objects.overseen(who, organisation).order_by("username"))
    for _ in range(2):
        assert [person.username for person in seen(alone.pk, firm.pk)] == ["li", "wang", "zhao"]
        assert [person.username for person in seen(alone.pk, None)] == ["zhao"]
        assert [person.username for person in seen(member.pk, None)] == ["wang"]
