"""The loopback endpoint that pages of existing CA middleware post to: ``POST /synctl``.

``{"url", "clsid", "func", "param", "token"}`` -> ``{"retVal"}`` and, after SOF_Login, ``token``. ``url`` is what the page claims
and is ignored: the origin is the browser's. Off unless ``[compat] synctl = true``; the same checks as everywhere else in the
driver, except for our own header, which those pages do not send: their JSON content type already needs a preflight.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from calock.agent.compat import cert_info
from calock.agent.compat.call import Parameter, Value
from calock.agent.compat.functions import Functions, UnknownFunctionError
from calock.agent.guard import ORIGIN_KEY, Guard, Headers
from calock.agent.replies import json_reply, read_message
from calock.agent.service import Service
from calock.core.refusals import Reason, Refusal

SYNCTL_PATH: Final = "/synctl"
MODULE_PATH: Final = "/compat/sof.js"
_PATHS: Final = frozenset({SYNCTL_PATH, MODULE_PATH})
XTX_CLASS_ID: Final = "3F367B74-92D9-4C5E-AB93-234F8A91D5E6"
"""Pages of this middleware family number certificate items their own way."""


class SynctlRequest(msgspec.Struct, frozen=True):
    """One call as existing pages send it. Unknown fields are ignored: pages of several vendors add their own."""

    func: str
    param: tuple[Parameter, ...] = ()
    clsid: str = ""
    token: str = ""


class SynctlReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """``retVal`` under the name the pages read."""

    value: Value = msgspec.field(name="retVal")
    token: str = ""


class CompatGuard(Guard):
    """The driver's guard for these two paths: same user, exact Host, exact Origin, then the form of the request."""

    def is_api(self, path: str) -> bool:
        return path in _PATHS

    def allowed_api(self, scope: Scope, headers: Headers) -> bool:
        return scope["type"] == "http" and self.origin_allowed(headers)

    def well_formed(self, scope: Scope, headers: Headers) -> bool:
        if scope["path"] == MODULE_PATH:
            return bool(scope["method"] == "GET")
        kinds = headers.get("content-type", [])
        return scope["method"] == "POST" and len(kinds) == 1 and kinds[0].split(";")[0].strip().lower() == "application/json"


def compat_app(service: Service) -> Starlette:
    """Make the application behind ``CompatGuard``."""
    functions = Functions(service.table, service.operations, service.require_rate)

    async def synctl(request: Request) -> Response:
        message = await read_message(request, SynctlRequest)
        numbering: cert_info.Numbering = "xtx" if message.clsid.upper() == XTX_CLASS_ID else "gm"
        try:
            reply = await functions.call(
                request.scope[ORIGIN_KEY], message.func, message.param, numbering=numbering, token=message.token
            )
        except UnknownFunctionError:
            raise Refusal(Reason.NOT_FOUND, "no such function") from None
        return json_reply(SynctlReply(reply.value, reply.token))

    async def module(_: Request) -> Response:
        return Response(files("calock.agent.compat").joinpath("sof.js").read_bytes(), media_type="text/javascript")

    return Starlette(
        routes=[
            Route(SYNCTL_PATH, service.endpoint(synctl), methods=["POST"]),
            Route(MODULE_PATH, service.endpoint(module), methods=["GET"]),
        ]
    )


def with_compat(main: ASGIApp, service: Service, *, port: int, extra_port: int | None) -> ASGIApp:
    """Put the compatible endpoint beside the driver's own, on its port and, where configured, alone on another one."""
    app = compat_app(service)
    rate = service.config.requests_per_second
    beside = CompatGuard(app, origins=service.config.origins, port=port, requests_per_second=rate)
    alone = (
        CompatGuard(app, origins=service.config.origins, port=extra_port, requests_per_second=rate)
        if extra_port is not None
        else None
    )

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        if alone is not None and scope["type"] != "lifespan" and (scope.get("server") or ("", 0))[1] == extra_port:
            await alone(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] in _PATHS:
            await beside(scope, receive, send)
        else:
            await main(scope, receive, send)

    return choose
