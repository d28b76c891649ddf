"""The scripts' descriptions of what the driver says and takes are the driver's own."""

from __future__ import annotations

import msgspec
import pytest
from worlds.script_types import difference, interfaces

from calock.agent import status, update_page
from calock.wire import driver, token

MESSAGES = [
    kind
    for kind in vars(driver).values()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not kind.__name__.startswith("_")
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda kind: kind.__name__)
def test_messages_between_page_and_driver(message: type[msgspec.Struct]) -> None:
    assert difference(message, interfaces("wire.d.ts")[message.__name__]) == []


def test_no_message_is_described_that_the_driver_does_not_know() -> None:
    described = set(interfaces("wire.d.ts")) - {"Calls"}
    assert described == {kind.__name__ for kind in MESSAGES}
    assert token.AuthToken in MESSAGES


@pytest.mark.parametrize("message", [status.OwnLock, status.View, update_page.PackageView], ids=lambda kind: kind.__name__)
def test_messages_of_the_drivers_own_pages(message: type[msgspec.Struct]) -> None:
    assert difference(message, interfaces("driver-pages.d.ts")[message.__name__]) == []
