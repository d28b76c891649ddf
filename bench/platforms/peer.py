"""What is asked of each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from serving import free_port

from platforms.ground import Browser, Ground


class MissingError(Exception):
    """A peer is not to be had here; the text says why."""


class Peer(ABC):
    """One of those that are compared."""

    name: str

    def __init__(self, ground: Ground) -> None:
        self.ground, self.port = ground, free_port()

    @property
    @abstractmethod
    def servers(self) -> str:
        """What nginx is told of it."""

    @abstractmethod
    def processes(self) -> list[int]:
        """All that works for it but nginx and PostgreSQL."""

    @abstractmethod
    def person(self, person: Any) -> Callable[[], None]:
        """A browser of this person's: each call is one login, which must succeed."""

    def by_certificate(self, person: Any, path: str, arrived: Callable[[str, Browser], bool]) -> Callable[[], None]:
        """Logins by one request with the person's certificate; ``arrived`` judges where the answer redirects to."""
        browser = Browser(self.port, self.ground.context(person))

        def log_in() -> None:
            browser.cookies.clear()
            with browser:
                status, headers, text = browser.ask("GET", path)
            self.require(status, 302, text)
            if not arrived(headers["Location"], browser):
                raise SystemExit(f"{self.name}: {headers}")

        return log_in

    def require(self, status: int, wanted: int, text: bytes) -> None:
        """End the script when an answer has another status."""
        if status != wanted:
            raise SystemExit(f"{self.name}: {status} {text[:2000]!r}")
