"""Things that rooms name once at start-up, and others find by their codes."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Coded(Protocol):
    """What has a code of its own."""

    @property
    def code(self) -> str: ...


Thing = TypeVar("Thing", bound=Coded)


class Registry(Generic[Thing]):
    """``what``: the things in words, for the error about two of one code."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.things: dict[str, Thing] = {}

    def register(self, thing: Thing) -> None:
        """Name a thing; the same one may be named again.

        Raises:
            ValueError: the code is taken by another one.
        """
        if self.things.get(thing.code, thing) != thing:
            raise ValueError(f"two {self._what} are called {thing.code}")
        self.things[thing.code] = thing

    def named(self, code: str) -> Thing | None:
        return self.things.get(code)

    def all(self) -> tuple[Thing, ...]:
        return tuple(self.things.values())
