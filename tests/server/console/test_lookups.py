"""A list's address asks for nothing but what its own sieves offer (SEC02, SEC12, A101)."""

from __future__ import annotations

import pytest
from django.contrib import admin
from worlds.browser import console_client

from calock.server.audit.events import Event
from calock.server.console.audit_admin import SubjectFilter
from calock.server.console.lists import ReadOnlyAdmin

pytestmark = pytest.mark.django_db

LISTS = {f"{model._meta.app_label}/{model._meta.model_name}": item for model, item in admin.site._registry.items()}


def paths(model, depth: int = 2):
    """Every column of the model and of the models it leads to, with every lookup that Django knows for it."""
    for field in model._meta.get_fields():
        if field.is_relation and field.related_model is not None and depth:
            for path in paths(field.related_model, depth - 1):
                yield f"{field.name}__{path}"
        if hasattr(field, "get_lookups"):
            yield field.name
            yield from (f"{field.name}__{lookup}" for lookup in field.get_lookups())


def own(item: ReadOnlyAdmin) -> set[str]:
    return {name for sieve in item.list_filter for name in getattr(sieve, "parameters", None) or (sieve.parameter_name,)}


def test_there_are_lists_and_all_are_ours():
    assert len(LISTS) == 7
    assert all(isinstance(item, ReadOnlyAdmin) for item in LISTS.values())


def test_every_subject_of_the_trail_may_be_asked_for():
    assert {event.partition(":")[0] for event in Event} == set(SubjectFilter.subjects)


@pytest.mark.parametrize("address", LISTS)
def test_no_column_may_be_asked_for(address):
    """Every column × lookup, two relations deep: so many that the rule is asked, not the page."""
    item, allowed = LISTS[address], own(LISTS[address])
    asked = set(paths(item.model))
    assert len(asked) > 100
    assert {path for path in asked if item.lookup_allowed(path, "x")} <= allowed


SECRET = (
    "accounts/account/?password__regex=^argon2",
    "accounts/account/?password__startswith=a",
    "accounts/account/?sessions__digest__startswith=a",
    "accounts/account/?password_codes__digest__startswith=a",
    "organisations/organisation/?members__password__startswith=a",
    "locks/lock/?keys__key_sha256__startswith=a",
    "locks/lock/?certificates__holder_hmac__startswith=a",
    "locks/binding/?account__password__regex=^a",
    "audit/auditevent/?mac__startswith=a",
    "audit/auditevent/?details__contains=a",
    "audit/auditevent/?user_agent__regex=^(a%2B)%2B$",
    "downloads/driverpackage/?signature__startswith=a",
    "accounts/account/?_to_field=password",
    "accounts/account/?role__exact=operator",
    "accounts/account/?since=1h&state__in=active",
)


@pytest.mark.parametrize("address", SECRET)
def test_a_question_about_a_hidden_column_is_refused(world, first, address):
    assert first.get(f"/console/{address}").status_code == 400


def test_what_the_sieves_offer_works(world, first, member):
    for address, hit in (
        ("accounts/account/?role=member", True),
        ("accounts/account/?role=operator", False),
        ("accounts/account/?role=nonsense", True),
        ("accounts/account/?state=active&role=member", True),
    ):
        answer = first.get(f"/console/{address}")
        assert answer.status_code == 200
        assert ("cssbjgys02" in answer.content.decode()) == hit, address


def test_a_member_learns_nothing_either(member):
    assert console_client(member).get("/console/accounts/account/?password__regex=a").status_code == 404
