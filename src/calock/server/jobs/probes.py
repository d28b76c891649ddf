"""What load balancers and monitoring ask, by address rather than by name: whether this process answers, and whether all is well.

``/healthz``: 200 as long as the process answers. ``/readyz``: 200 when this machine does all of its work, else 503 with one line
for each problem. A stranger may read both, so they name jobs and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from calock.core.refusals import Refusal
from calock.server.jobs.health import problems
from calock.server.locks.operator_seals import damaged as damaged_operators
from calock.server.providers.trust import current_register

KEPT = 1.0
"""Seconds for which an answer is given again: a damaged register is read anew at each look, and anybody may ask."""


class ProbeMiddleware:
    """Answers the probes of one process, before anything asks which site a request is for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._lines: list[str] = []
        self._until = float("-inf")

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == "/healthz":
            return _plain(["ok"], 200)
        if request.path_info == "/readyz":
            return self._ready()
        return self.get_response(request)

    def _ready(self) -> HttpResponse:
        if time.monotonic() >= self._until:
            self._lines = _problems()
            self._until = time.monotonic() + KEPT
        return _plain(self._lines, 503) if self._lines else _plain(["ok"], 200)


def _problems() -> list[str]:
    found = [problem.line for problem in problems()]
    try:
        current_register()
        if damaged_operators():
            found.append("operators: a row is not as it was sealed")
    except Refusal:
        found.append("register: damaged")
    except DatabaseError:
        found.append("database: no answer")
    return found


def _plain(lines: list[str], status: int) -> HttpResponse:
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=status, headers={"Cache-Control": "no-store"})
