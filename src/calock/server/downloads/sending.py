"""Send a stored package: whole or in part, resumable, under its right name (RFC 9110 clauses 13 and 14, RFC 6266)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from calock.server.downloads import store
from calock.server.downloads.models import DriverPackage
from calock.server.downloads.ranges import Part, RangeUnsatisfiableError, part_for
from calock.server.downloads.slots import Slot
from calock.server.web.http import SiteRequest

_CHUNK = 256 * 1024


class Sending:
    """The bytes of one response. ``finished`` is called when the last of them has been handed over, and only then."""

    def __init__(self, file: BinaryIO, part: Part, slot: Slot, finished: Callable[[], None]) -> None:
        self._file, self._part, self._slot, self._finished = file, part, slot, finished

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._part.start)
        left = self._part.length
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise OSError("the stored file became shorter while it was sent")
            left -= len(chunk)
            yield chunk
        self._finished()

    def close(self) -> None:
        self._file.close()
        self._slot.release()


def _etag(package: DriverPackage) -> str:
    return f'"{package.sha256}"'


def _modified(package: DriverPackage) -> int:
    return int((package.released_at or package.created_at).timestamp())


def _not_modified(request: SiteRequest, package: DriverPackage) -> bool:
    tags = request.headers.get("If-None-Match")
    if tags is not None:
        return tags.strip() == "*" or _etag(package) in (tag.strip().removeprefix("W/") for tag in tags.split(","))
    since = parse_http_date_safe(request.headers.get("If-Modified-Since", ""))
    return since is not None and _modified(package) <= since


def _wanted(request: SiteRequest, package: DriverPackage) -> Part:
    """Range counts only while If-Range, when given, still names these very bytes: a strong tag or the exact date."""
    condition = request.headers.get("If-Range", "").strip()
    same = not condition or condition == _etag(package) or parse_http_date_safe(condition) == _modified(package)
    return part_for(request.headers.get("Range") if same and request.method == "GET" else None, package.size)


def _is_download(part: Part) -> bool:
    """Whole, or the open end of a resumed one. Asking for the last few bytes alone is none."""
    return part.ends_file and (part.start == 0 or part.length >= part.size // 1000)


def send(request: SiteRequest, package: DriverPackage, *, finished: Callable[[], None]) -> HttpResponseBase:
    """Answer a GET or HEAD for ``package``. ``finished`` is called after a complete download.

    Raises:
        Refusal: PACKAGE_DAMAGED, SERVER_BUSY.
    """
    response: HttpResponseBase
    if _not_modified(request, package):
        response = HttpResponse(status=304)
        del response["Content-Type"]
    else:
        try:
            response = _send_part(request, package, _wanted(request, package), finished)
        except RangeUnsatisfiableError:
            response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{package.size}"})
    response["ETag"] = _etag(package)
    response["Last-Modified"] = http_date(_modified(package))
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _send_part(request: SiteRequest, package: DriverPackage, part: Part, finished: Callable[[], None]) -> HttpResponseBase:
    slot = Slot(request.client_ip)
    try:
        file = store.open_checked(package.sha256, package.size)
    except BaseException:
        slot.release()
        raise
    response: HttpResponseBase
    if request.method == "HEAD":
        file.close()
        slot.release()
        response = HttpResponse(content_type="application/zip")
    else:
        counted = finished if _is_download(part) else lambda: None
        response = StreamingHttpResponse(Sending(file, part, slot, counted), content_type="application/zip")
        response.status_code = 206 if part.partial else 200
    if part.partial:
        response["Content-Range"] = part.content_range
    response["Content-Length"] = str(part.length)
    response["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=package.file_name) or "attachment"
    return response
