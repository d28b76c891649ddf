"""What the status page asks about newer versions. Nothing is fetched or installed before the user presses its button."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from calock.agent.replies import EmptyRequest, json_reply, read_message
from calock.agent.service import Service
from calock.agent.status import StatusPage
from calock.agent.update import Update, check, installed_packages
from calock.core.refusals import Reason, Refusal


class _Install(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str


class PackageView(msgspec.Struct, frozen=True):
    """One installed package. ``newer`` is the version that can be had, empty when there is none or it could not be asked."""

    code: str
    title: str
    version: str
    newer: str
    changes: str
    size: int
    problem: str


def _start(command: Sequence[str]) -> None:
    quiet = subprocess.DEVNULL
    subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603 - our own module


class UpdatePage:
    """Endpoints behind the status page's session."""

    def __init__(self, service: Service, status: StatusPage, *, start: Callable[[Sequence[str]], None] = _start) -> None:
        self._service, self._status, self._start = service, status, start
        self._found: dict[str, Update] = {}

    async def look(self, request: Request) -> Response:
        """Ask each package's own platform."""
        self._status.require_session(request)
        await read_message(request, EmptyRequest)
        return json_reply({"packages": await asyncio.to_thread(self._look)})

    def _look(self) -> list[PackageView]:
        views = []
        for installed in installed_packages():
            update, problem = None, ""
            try:
                update = check(installed)
            except Refusal as refusal:
                problem = refusal.reason.value
            if update:
                self._found[installed.code] = update
            views.append(
                PackageView(
                    code=installed.code,
                    title=installed.title,
                    version=installed.version,
                    newer=update.offered.version if update else "",
                    changes=update.offered.changes if update else "",
                    size=update.release.size if update else 0,
                    problem=problem,
                )
            )
        return views

    async def install(self, request: Request) -> Response:
        """Start the update of one package that was shown to have one, as a program of its own: it replaces this one."""
        self._status.require_session(request)
        code = (await read_message(request, _Install)).code
        if code not in self._found:
            raise Refusal(Reason.NOT_FOUND, "no newer version was shown")
        self._start([sys.executable, "-I", "-m", "calock.agent.update", "--install", code])
        return json_reply({"started": True})

    def routes(self) -> list[BaseRoute]:
        wrap = self._service.endpoint
        return [
            Route("/status/updates", wrap(self.look), methods=["POST"]),
            Route("/status/updates/install", wrap(self.install), methods=["POST"]),
        ]
