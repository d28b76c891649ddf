"""Who asks, from where, when: what services need to know of a request without knowing HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from calock.server.sessions.known_browsers import UNKNOWN, KnownBrowser
from calock.server.sessions.models import Session
from calock.server.tools.throttle import Sender, address_key


@dataclass(frozen=True, slots=True)
class RequestContext:
    """``browser`` is the SHA-256 of the pre-login cookie, empty when the browser has none.

    ``at`` is the time of the clock that all machines share. ``own_at`` is that of this machine's, by which certificates and
    revocation data are judged; None when it is the same.
    """

    site: str
    origin: str
    ip: str | None
    user_agent: str
    browser: str
    session: Session | None
    at: datetime
    own_at: datetime | None = None
    known_browser: KnownBrowser = UNKNOWN

    @property
    def judged_at(self) -> datetime:
        """The moment at which certificates must be valid."""
        return self.own_at or self.at

    @property
    def sender(self) -> Sender:
        """As whom limits count this request: its session; else a browser in which somebody logged in before; else its address."""
        if self.session is not None:
            return Sender(f"session {self.session.digest}")
        if self.known_browser.is_known():
            return Sender(f"browser {self.known_browser.id}")
        return Sender(f"{self.browser} at {address_key(self.ip)}", ceiling=address_key(self.ip))
