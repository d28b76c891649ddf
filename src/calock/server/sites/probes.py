"""What load balancers and monitoring ask, by address rather than by name: whether this process answers, and whether all is well.

``/healthz``: 200 as long as the process answers. ``/readyz``: 200 when this machine does all of its work, else 503 with one line
for each problem. A stranger may read both, so they name jobs and nothing else.
"""

from __future__ import annotations

import time

from django.db import Error as DatabaseError
from django.http import HttpResponse

from calock.core.refusals import Refusal
from calock.server.jobs.health import problems
from calock.server.providers.trust import current_register

KEPT = 1.0
"""Seconds for which an answer is given again: a damaged register is read anew at each look, and anybody may ask."""


class Probes:
    """The probes of one process."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._until = float("-inf")

    def answer(self, path: str) -> HttpResponse | None:
        """The answer when ``path`` is a probe's."""
        if path == "/healthz":
            return _plain(["ok"], 200)
        if path != "/readyz":
            return None
        if time.monotonic() >= self._until:
            self._lines = _problems()
            self._until = time.monotonic() + KEPT
        return _plain(self._lines, 503) if self._lines else _plain(["ok"], 200)


def _problems() -> list[str]:
    found = [problem.line for problem in problems()]
    try:
        current_register()
    except Refusal:
        found.append("register: damaged")
    except DatabaseError:
        found.append("database: no answer")
    return found


def _plain(lines: list[str], status: int) -> HttpResponse:
    text = "".join(f"{line}\n" for line in lines)
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=status, headers={"Cache-Control": "no-store"})
