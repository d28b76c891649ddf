"""Which requests may reach the driver. All others get one empty refusal that does not even name the program.

Connections of other users never come this far (``serving.OwnUserListener``). In this order, before a byte of any body is read:
``Host`` names this loopback address (so DNS rebinding fails); the browser's ``Origin`` is exactly one of the configured ones; the
method, the content type and our own header are such that no plain form, image or script could have sent it.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calock.agent.rate import TokenBucket
from calock.agent.replies import error_reply
from calock.core.refusals import Reason
from calock.wire import driver as wire

ORIGIN_KEY = "calock.origin"
"""Where the guard leaves the attested origin in the ASGI scope."""
CONTROL_HEADER = "x-calock-control"
CERTIFICATE_PATH = "/certificate"
"""The driver's page about its own certificate, linked from the status page."""
Headers = dict[str, list[str]]

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    b"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = (
    (b"content-security-policy", _POLICY),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def _headers(scope: Scope) -> Headers:
    found: Headers = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return found


def _one(headers: Headers, name: str) -> str:
    """The value of a header that stands there exactly once, else the empty text."""
    values = headers.get(name, [])
    return values[0] if len(values) == 1 else ""


def _hosts(port: int) -> frozenset[str]:
    return frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})


def _scheme(scope: Scope) -> str:
    """``https`` for what came over TLS, WebSockets included."""
    return "https" if scope["scheme"] in ("https", "wss") else "http"


class Guard:
    """ASGI middleware around the whole driver."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: Iterable[str],
        port: int,
        tls_port: int = 0,
        requests_per_second: int = 20,
    ) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = {"http": _hosts(port), "https": _hosts(tls_port) if tls_port else frozenset[str]()}
        self._rate = TokenBucket(burst=3 * requests_per_second, per_second=requests_per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        status = self._judge(scope, headers)
        if status:
            await _refuse(scope, send, status)
            return
        origin = _one(headers, "origin")
        scope[ORIGIN_KEY] = origin
        api = self.is_api(scope["path"])
        if origin in self._origins and api:
            send = _with_headers(send, _cors(origin))
        if not self._rate.take(origin):
            await _answer(scope, receive, send, Reason.TOO_MANY_ATTEMPTS, "too many requests")
        elif scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _preflight(headers, send)
        elif scope["type"] == "http" and not self.well_formed(scope, headers):
            await _answer(scope, receive, send, Reason.REQUEST_MALFORMED, "POST, application/json and X-Calock: 1")
        else:
            await self._app(scope, receive, _with_headers(send, _ALWAYS + (() if api else _PAGE_HEADERS)))

    def is_api(self, path: str) -> bool:
        """Whether pages of the configured platforms may ask for this path; all others are the driver's own pages."""
        return path.startswith("/v1/")

    def _judge(self, scope: Scope, headers: Headers) -> int:
        """0: go on. Otherwise the status of the empty refusal."""
        host = _one(headers, "host")
        if host not in self._hosts[_scheme(scope)]:
            return 421
        allowed = self.allowed_api(scope, headers) if self.is_api(scope["path"]) else self._allowed_page(scope, headers, host)
        return 0 if allowed else 403

    def origin_allowed(self, headers: Headers) -> bool:
        """Whether the browser's one ``Origin`` is exactly a configured one."""
        return _one(headers, "origin") in self._origins

    def allowed_api(self, scope: Scope, headers: Headers) -> bool:
        """Whether this request for a platform's path may come in."""
        origin = _one(headers, "origin")
        if scope["type"] == "websocket":
            own = f"{_scheme(scope)}://{_one(headers, 'host')}"
            return scope["path"] == wire.EVENTS_PATH and (origin in self._origins or origin == own)
        return origin in self._origins

    def well_formed(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request that may come in has the form that no simple request of a foreign page can have."""
        return _well_formed(scope, headers)

    def _allowed_page(self, scope: Scope, headers: Headers, host: str) -> bool:
        """Judge the driver's own pages: top-level navigation and same-origin requests, never another's frame, image or script."""
        if scope["type"] == "websocket":
            return False
        path, method = scope["path"], scope["method"]
        origin, site = _one(headers, "origin"), _one(headers, "sec-fetch-site")
        navigates = _one(headers, "sec-fetch-mode") == "navigate" and _one(headers, "sec-fetch-dest") == "document"
        if path == wire.WINDOW_PATH:
            return method == "POST" and origin in self._origins and navigates
        if path == "/status/launch":
            return method == "POST" and CONTROL_HEADER in headers and not origin and not site
        if method == "POST":
            return origin == f"{_scheme(scope)}://{host}" and site in ("same-origin", "")
        if method != "GET":
            return False
        typed = path == "/" and navigates and site in ("none", "same-origin")
        linked = path == CERTIFICATE_PATH and navigates and site == "same-origin"
        return typed or linked or (path.startswith("/ui/") and site == "same-origin")


def _well_formed(scope: Scope, headers: Headers) -> bool:
    """Whether a request that may come in has the form no simple request can have."""
    if scope["method"] == "GET":
        return not scope["path"].startswith("/v1/")
    kind = _one(headers, "content-type").split(";")[0].strip().lower()
    if scope["path"] == wire.WINDOW_PATH:
        return kind == "application/x-www-form-urlencoded"
    return scope["method"] == "POST" and kind == "application/json" and _one(headers, wire.HEADER.lower()) == "1"


def _cors(origin: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"access-control-allow-origin", origin.encode()), (b"vary", b"Origin"))


def _with_headers(send: Send, extra: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return wrapped


async def _preflight(headers: Headers, send: Send) -> None:
    extra = [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"content-type, x-calock"),
        (b"access-control-max-age", b"600"),
    ]
    if "access-control-request-private-network" in headers:  # old Chromium (before 142) asked; harmless now
        extra.append((b"access-control-allow-private-network", b"true"))
    await send({"type": "http.response.start", "status": 204, "headers": extra})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, send: Send, status: int) -> None:
    """Refuse a request that may not come in: always the same empty answer."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b""})


async def _answer(scope: Scope, receive: Receive, send: Send, reason: Reason, detail: str) -> None:
    """Refuse a request of an allowed page, with the reason."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await error_reply(reason, detail)(scope, receive, send)
