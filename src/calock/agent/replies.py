"""Reading requests and writing answers: bounded and typed."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire
from calock.wire.statuses import status_of

T = TypeVar("T")
BODY_SECONDS = 5.0


class EmptyRequest(msgspec.Struct, frozen=True):
    """A request without fields: ``{}``."""


def json_reply(message: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(message), status, media_type="application/json")


def error_of(refusal: Refusal) -> wire.DriverError:
    left = refusal.facts.get("tries_left")
    return wire.DriverError(reason=refusal.reason, detail=refusal.detail, tries_left=left if isinstance(left, int) else None)


def error_reply(reason: Reason, detail: str) -> Response:
    return refusal_reply(Refusal(reason, detail))


def refusal_reply(refusal: Refusal) -> Response:
    return json_reply(wire.ErrorReply(error=error_of(refusal)), status_of(refusal.reason))


async def read_body(request: Request) -> bytearray:
    """Read at most ``MAX_BODY`` bytes within ``BODY_SECONDS``.

    Raises:
        Refusal: REQUEST_TOO_LARGE, REQUEST_MALFORMED (too slow, or gone).
    """
    body = bytearray()
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or int(announced[:20]) > wire.MAX_BODY:
        raise Refusal(Reason.REQUEST_TOO_LARGE, f"at most {wire.MAX_BODY} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > wire.MAX_BODY:
                    raise Refusal(Reason.REQUEST_TOO_LARGE, f"at most {wire.MAX_BODY} bytes")
    except TimeoutError as error:
        raise Refusal(Reason.REQUEST_MALFORMED, "the body did not arrive in time") from error
    except ClientDisconnect as error:
        raise Refusal(Reason.REQUEST_MALFORMED, "the page went away") from error
    return body


async def read_message(request: Request, kind: type[T]) -> T:
    """Read one JSON message. The raw body, which may hold a PIN, is overwritten.

    Raises:
        Refusal: as ``read_body``; REQUEST_MALFORMED with the place but never the content.
    """
    body = await read_body(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.REQUEST_MALFORMED, _place(error)) from None
    finally:
        body[:] = bytes(len(body))


def _place(error: Any) -> str:
    """Say what was wrong without quoting what was sent."""
    text = str(error) if isinstance(error, msgspec.ValidationError) else ""
    return text[:120] if text.startswith(("Expected", "Object", "Invalid")) else "not the JSON that was expected"
