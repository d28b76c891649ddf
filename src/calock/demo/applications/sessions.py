"""The sample applications' own logins: a cookie, and in memory what is known of its person."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response


@dataclass
class Visitor:
    """One browser at the application."""

    site: str = ""
    begun: dict[str, str] = field(default_factory=dict)
    """Of a login that is under way: state, nonce, verifier."""
    person: dict[str, str] = field(default_factory=dict)
    """What the page shows of who logged in; empty when there is none."""
    session: str = ""
    """How the platform names this login when it ends it: ``sid``, or the CAS ticket."""
    hint: str = ""
    """The ID token, for logging out."""


class Visitors:
    """All browsers. ``cookie``: its name, since both applications share one host's cookies in a demonstration."""

    def __init__(self, cookie: str) -> None:
        self.cookie = cookie
        self._known: dict[str, Visitor] = {}

    def of(self, request: Request) -> Visitor:
        """The browser that asks; an empty one when it is new."""
        return self._known.get(request.cookies.get(self.cookie, ""), Visitor())

    def remember(self, response: Response, visitor: Visitor) -> Response:
        """Under a new cookie each time: a value from before the login is worth nothing after it."""
        value = secrets.token_urlsafe(32)
        self._known = {key: known for key, known in self._known.items() if known is not visitor}
        self._known[value] = visitor
        response.set_cookie(self.cookie, value, httponly=True, samesite="lax")
        return response

    def forget(self, site: str, session: str) -> int:
        """End the logins that the platform calls so; how many there were."""
        ended = [key for key, known in self._known.items() if session and known.session == session and known.site == site]
        for key in ended:
            del self._known[key]
        return len(ended)

    def leave(self, visitor: Visitor) -> None:
        self._known = {key: known for key, known in self._known.items() if known is not visitor}
