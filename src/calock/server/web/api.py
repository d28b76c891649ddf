"""The frame of every JSON call: method, size, content type, typed body in, JSON out. Refusals become answers in the middleware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

import msgspec
from django.http import HttpRequest, HttpResponse

from calock.core.refusals import Reason, Refusal
from calock.server.web.http import SiteRequest

MAX_BODY = 64 * 1024
Body = TypeVar("Body", bound=msgspec.Struct)
ProviderCode = Annotated[str, msgspec.Meta(pattern=r"^[-\w]{0,50}\Z")]
"""A provider's code as a page sends it, empty for none: it is looked up, and PostgreSQL answers a NUL with an error."""
_encoder = msgspec.json.Encoder()


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of request and answer bodies. Unknown fields are ignored: nothing is assigned that is not named."""


def json_body(request: HttpRequest, kind: type[Body]) -> Body:
    """The request's body as ``kind``.

    Raises:
        Refusal: REQUEST_MALFORMED (not JSON by its content type or its text, wrong types), REQUEST_TOO_LARGE.
    """
    if request.content_type != "application/json":
        raise Refusal(Reason.REQUEST_MALFORMED, f"content type {(request.content_type or '')[:60]!r}")
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isdecimal() and int(length) > MAX_BODY:
        raise Refusal(Reason.REQUEST_TOO_LARGE, f"{length[:12]} bytes")
    try:
        text = request.read(MAX_BODY + 1)
    except OSError as error:
        raise Refusal(Reason.REQUEST_MALFORMED, "the body could not be read") from error
    if len(text) > MAX_BODY:
        raise Refusal(Reason.REQUEST_TOO_LARGE, f"more than {MAX_BODY} bytes")
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.REQUEST_MALFORMED, str(error)[:200]) from error


def reply(value: Any, status: int = 200) -> HttpResponse:
    """A JSON answer that no cache keeps."""
    return HttpResponse(
        _encoder.encode(value), content_type="application/json", status=status, headers={"Cache-Control": "no-store"}
    )


def call(*methods: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Mark a view as a JSON call that takes only ``methods``."""

    def wrap(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                raise Refusal(Reason.REQUEST_MALFORMED, f"{request.method} is not one of {', '.join(methods)}")
            return view(cast(SiteRequest, request), *args, **kwargs)

        return guarded

    return wrap
