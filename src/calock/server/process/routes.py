"""Which kind of work a request is: the bulkhead whose threads answer it, and how large its body may be."""

from __future__ import annotations

from calock.server.process.bulkheads import Bulkhead
from calock.server.sessions.cookies import known_browser_id, session_cookie
from calock.server.web.uploads import ANYBODY

MAX_BODY = ANYBODY
"""Bytes of a body that is read before anybody works on it."""
UPLOADS = "/console/"
"""Only operators send more than MAX_BODY, and only here; ``BoundedUploads`` refuses everybody else before a byte is read."""
REST = 9.0
"""How many times as long as a wrong password took no other is judged: a tenth of a core in each process for whoever guesses."""
_READING = frozenset({"GET", "HEAD"})
_PASSWORDS = frozenset({"/login/", "/password/", "/password/code/", "/password/forgotten/", "/confirm/"})
_PREFIXES = (
    ("/static/", "static"),
    ("/downloads/", "downloads"),
    ("/console/", "console"),
    *((path, "applications") for path in ("/oidc/token", "/oidc/userinfo", "/oidc/introspect", "/oidc/revoke", "/auth/check")),
    *((path, "applications") for path in ("/cas/serviceValidate", "/cas/p3/serviceValidate")),
)


def make_bulkheads() -> dict[str, Bulkhead]:
    """The bulkheads of one server process. Each thread may open a database connection: docs/operations.md has their sum."""
    sizes = {
        # name: (threads, places to wait)
        "logins": (4, 96),  # the JSON interface: challenges, answers of locks, bindings
        "passwords": (1, 8),  # each is 20 ms of a core for the hash
        "known_passwords": (1, 8),  # in browsers that saw a login before: strangers who guess take nothing from those
        "pages": (3, 48),  # of people who are logged in
        "public": (2, 96),  # of everybody else
        "applications": (3, 192),  # what their servers ask, many people behind one address
        "console": (2, 16),
        "uploads": (1, 1),  # operators' files, read while they arrive
        "downloads": (1, 32),  # the look at the catalogue; the file itself needs no thread
        "static": (1, 96),
        "refusals": (1, 64),  # the page that says that there is no room
    }
    rests = {"passwords": REST, "known_passwords": REST}
    return {
        name: Bulkhead(name, threads=threads, waiting=waiting, rest=rests.get(name, 0.0))
        for name, (threads, waiting) in sizes.items()
    }


def bulkhead_of(method: str, path: str, cookies: str, *, streamed: bool) -> str:
    """The name of the bulkhead for a request; ``cookies`` is its Cookie header, ``streamed`` says that its body is an upload."""
    if streamed:
        return "uploads"
    if path.startswith("/api/"):
        return "public" if method in _READING else "logins"
    if method == "POST" and path in _PASSWORDS:
        return "known_passwords" if known_browser_id(cookies) else "passwords"
    for prefix, name in _PREFIXES:
        if path.startswith(prefix):
            return name
    return "pages" if f"{session_cookie()}=" in cookies else "public"


def shares_of(address: str, cookies: str) -> tuple[str, ...]:
    """Whose shares of the places a request takes: its address's and a known browser's, whose cookie many addresses may send."""
    return tuple(filter(None, (address, known_browser_id(cookies))))


def is_upload(path: str) -> bool:
    """Whether a body above MAX_BODY may be read while it arrives."""
    return path.startswith(UPLOADS)
