"""The status page: what the driver sees, for the user who owns it. Opened by ``calock agent --open`` or the desktop entry.

Its data need a secret that only this user's programs can get: the launcher reads the driver's control secret from a file of
mode 0600, asks for a code, and opens the page with the code behind ``#``, where it goes to no server and no log. The code is good
once, for a minute.
"""

from __future__ import annotations

import hmac
import http.client
import secrets
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from calock import __version__
from calock.agent.backends.base import Consent
from calock.agent.guard import CONTROL_HEADER
from calock.agent.instance import read_running_instance
from calock.agent.locks import printable
from calock.agent.pages import page
from calock.agent.replies import EmptyRequest, json_reply, read_message
from calock.agent.service import Service
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire

CODE_SECONDS = 60.0
SESSION_HEADER = "x-calock-session"
MAX_SESSIONS = 16
STATUS_PAGE = "calock:status"
"""Stands for this page where handles are made per origin; no browser sends it."""


class _Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str


class OwnLock(msgspec.Struct, frozen=True, rename="camel"):
    """One certificate as its owner sees it: the chooser's view and the whole device serial."""

    info: wire.LockInfo
    serial: str
    label: str
    manufacturer: str


class View(msgspec.Struct, frozen=True, rename="camel"):
    """All data the page shows."""

    version: str
    package: str
    port: int
    tls: bool
    """Whether https was asked for: then the page links to ``/certificate``."""
    origins: tuple[str, ...]
    locks: tuple[OwnLock, ...]
    problems: tuple[wire.DriverProblem, ...]
    diagnosis: wire.Diagnosis


class StatusPage:
    """Endpoints of the status page."""

    def __init__(self, service: Service, *, control: str, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._service, self._control, self._port, self._clock = service, control, port, clock
        self._codes: dict[str, float] = {}
        self._sessions: list[str] = []

    def new_code(self) -> str:
        """Make a code that opens the page once."""
        now = self._clock()
        self._codes = {code: until for code, until in self._codes.items() if until > now}
        code = secrets.token_urlsafe(24)
        self._codes[code] = now + CODE_SECONDS
        return code

    def show(self) -> None:
        """Open the page in the user's browser."""
        threading.Thread(target=webbrowser.open, args=(address(self._port, self.new_code()),), daemon=True).start()  # may block

    async def index(self, request: Request) -> Response:  # noqa: ARG002 - the page does not depend on the request
        return page("status.html", version=__version__)

    async def launch(self, request: Request) -> Response:
        """Give a code to another program of this user."""
        if not _same(request.headers.get(CONTROL_HEADER, ""), self._control):
            raise Refusal(Reason.NOT_ALLOWED, "not this user's program")
        await read_message(request, EmptyRequest)
        return json_reply(_Code(self.new_code()))

    async def session(self, request: Request) -> Response:
        """Take the code, once, for a session secret."""
        code = (await read_message(request, _Code)).code
        if self._codes.pop(code, 0.0) <= self._clock():
            raise Refusal(Reason.SESSION_ENDED, "open the status page from the driver's menu entry")
        secret = secrets.token_urlsafe(32)
        self._sessions = [*self._sessions[-MAX_SESSIONS + 1 :], secret]
        return json_reply({"session": secret})

    def require_session(self, request: Request) -> None:
        """Only the page that this user's own program opened.

        Raises:
            Refusal: SESSION_ENDED.
        """
        given = request.headers.get(SESSION_HEADER, "")
        if not any(_same(given, secret) for secret in self._sessions):
            raise Refusal(Reason.SESSION_ENDED, "open the status page from the driver's menu entry")

    async def view(self, request: Request) -> Response:
        self.require_session(request)
        await read_message(request, EmptyRequest)
        service, table = self._service, self._service.table
        await table.refresh()
        listed = table.view(STATUS_PAGE)
        locks = tuple(
            OwnLock(
                info,
                printable(entry.record.serial, 64),
                printable(entry.record.label, 64),
                printable(entry.record.manufacturer, 64),
            )
            for info, entry in zip(listed.locks, table.entries(), strict=True)
        )
        config = service.config
        diagnosis = service.diagnose()
        view = View(__version__, config.package, self._port, config.tls, config.origins, locks, listed.problems, diagnosis)
        return json_reply(view)

    async def change_pin(self, request: Request) -> Response:
        self.require_session(request)
        message = await read_message(request, wire.ChangePinRequest)
        self._service.require_rate(STATUS_PAGE)
        consent: Consent = "released" if message.use_last_try else "window"
        operation = self._service.operations.change_pin(STATUS_PAGE, message, consent=consent)
        return json_reply(await self._service.while_asked(request, operation))

    def routes(self) -> list[BaseRoute]:
        wrap = self._service.endpoint
        return [
            Route("/", wrap(self.index), methods=["GET"]),
            Route("/status/launch", wrap(self.launch), methods=["POST"]),
            Route("/status/session", wrap(self.session), methods=["POST"]),
            Route("/status/view", wrap(self.view), methods=["POST"]),
            Route("/status/pin", wrap(self.change_pin), methods=["POST"]),
        ]


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())  # as octets: a header may hold any, texts must be ASCII


def address(port: int, code: str) -> str:
    """Address of the page, with its code where no server sees it."""
    return f"http://127.0.0.1:{port}/#{code}"


def ask_code(state: Path) -> tuple[int, str] | None:
    """Ask this user's running driver for ``(port, code)``; None when none answers."""
    note = read_running_instance(state)
    if note is None:
        return None
    connection = http.client.HTTPConnection("127.0.0.1", note.port, timeout=5)
    try:
        headers = {"Content-Type": "application/json", wire.HEADER: "1", CONTROL_HEADER: note.control}
        connection.request("POST", "/status/launch", b"{}", headers)
        response = connection.getresponse()
        return (note.port, msgspec.json.decode(response.read(4096), type=_Code).code) if response.status == 200 else None
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return None
    finally:
        connection.close()


def open_status_page(state: Path) -> bool:
    """Show the running driver's status page; False when it does not answer."""
    found = ask_code(state)
    return found is not None and webbrowser.open(address(*found))
