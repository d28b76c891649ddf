"""Rows that many tests of a module start from, made once: in a transaction that stays open, each test in a savepoint inside it.

What a test does to the rows is undone with its savepoint, so each test finds them as they were made, and works on copies of the
objects. A test of the module that commits, or asks for other rows, never meets them: they are taken back before it starts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import pytest
from django.db import transaction
from pytest_django import DjangoDbBlocker

PREFIX = "kept_"
"""With which the names of fixtures begin that ``kept`` made."""

_open: dict[str, Callable[[], None]] = {}
"""What is kept now, each inside the one before, with the way to take it back."""


def kept(make: Callable[..., Any], *, params: Sequence[object] | None = None) -> Any:
    """A fixture that keeps what ``make`` writes; it gives a function that copies what ``make`` returned, for one test each.

    With ``params`` each test runs once for each of them, on what ``make`` writes when it is given that one.
    """

    @pytest.fixture(scope="module", params=params)
    def fixture(
        request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
    ) -> Iterator[Callable[[], Any]]:
        name = str(request.fixturename)
        with django_db_blocker.unblock(), ExitStack() as making:
            making.enter_context(transaction.atomic())
            made = make() if params is None else make(request.param)
            opened = making.pop_all()

        def undo() -> None:
            with django_db_blocker.unblock():
                transaction.set_rollback(True)
                opened.close()

        def for_this_test() -> Any:
            assert name in _open, f"{name} was taken back for another test of this module, which should have come later"
            return copy.deepcopy(made)

        _open[name] = undo
        yield for_this_test
        if name in _open:
            take_back()

    return fixture


def take_back() -> None:
    """Undo whatever is kept."""
    while _open:
        _open.popitem()[1]()


def wanted(item: pytest.Item) -> set[str]:
    return {name for name in getattr(item, "fixturenames", ()) if name.startswith(PREFIX)}


def _rows_of(item: pytest.Item) -> list[tuple[str, str]]:
    """The kept rows that it wants, by fixture and parameter."""
    params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return [(name, str(params.get(name))) for name in sorted(wanted(item))]


def commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return "transactional_db" in getattr(item, "fixturenames", ()) or bool(marker and marker.kwargs.get("transaction"))


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Within each module: tests on kept rows first, those on the same rows beside each other.

    Raises:
        pytest.UsageError: one commits; what it commits would be undone with the rows, and other connections would wait for both.
    """
    for item in items:
        if commits(item) and wanted(item):
            raise pytest.UsageError(f"{item.nodeid} commits: it cannot ask for rows that are kept for others")
    found: list[pytest.Item] = []
    for _, module in groupby(items, lambda item: item.path):
        found += sorted(module, key=lambda item: (not wanted(item), _rows_of(item)))
    return found


def make_room(item: pytest.Item) -> None:
    """Before a test: take back what it did not ask for."""
    if not wanted(item).issuperset(_open):
        take_back()
