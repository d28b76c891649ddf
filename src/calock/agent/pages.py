"""The driver's own pages: static files shipped with it, ``$name`` replaced by escaped text. No inline script or style."""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from calock.core.refusals import Reason, Refusal

_FOLDER = Path(__file__).parent / "ui"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def page(name: str, **values: str) -> Response:
    """Fill one page; every value is escaped."""
    filled = Template(_read(name)).substitute({key: html.escape(value) for key, value in values.items()})
    return Response(filled, media_type="text/html; charset=utf-8")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    kind = _KINDS.get(Path(name).suffix)
    if kind is None or name not in {path.name for path in _FOLDER.iterdir()}:
        raise Refusal(Reason.NOT_FOUND, "no such file")
    return Response(_read(name), media_type=kind)


def static_route(endpoint: object) -> BaseRoute:
    """Route of the static files; ``endpoint`` wraps a handler as ``Service.endpoint`` does."""
    assert callable(endpoint)
    return Route("/ui/{name}", endpoint(_static), methods=["GET"])
