"""Send a stored package: whole or in part, resumable, under its right name (RFC 9110 clauses 13 and 14, RFC 6266)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BufferedReader

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from calock.server.downloads import store
from calock.server.downloads.models import DriverPackage
from calock.server.downloads.ranges import Part, RangeUnsatisfiableError, part_for
from calock.server.web.file_part import FilePart
from calock.server.web.http import SiteRequest

_CHUNK = 256 * 1024


class _Bytes:
    """The bytes of one part of a file, for callers that cannot send it by its path."""

    def __init__(self, file: BufferedReader, part: Part) -> None:
        self._file, self._part = file, part

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._part.start)
        left = self._part.length
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise OSError("the stored file became shorter while it was sent")
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()


class Sending(StreamingHttpResponse):
    """A part of a stored file. ``calock serve`` sends ``file_part``; iterating gives the same bytes."""

    def __init__(self, file: BufferedReader, part: Part) -> None:
        super().__init__(_Bytes(file, part), content_type="application/zip", status=206 if part.partial else 200)
        self.file_part = FilePart(file, part.start, part.stop)


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


def _disposition(package: DriverPackage) -> str:
    """Under its right name, and under one in ASCII for tools that do not read ``filename*`` (RFC 6266 appendix D)."""
    header = content_disposition_header(as_attachment=True, filename=package.file_name) or "attachment"
    if "filename*=" not in header:
        return header
    plain = re.sub(r"[^\w.-]", "_", f"{package.code}-{package.version}-{package.os}-{package.arch}.zip", flags=re.ASCII)
    return header.replace("attachment;", f'attachment; filename="{plain}";', 1)


def _begins_download(part: Part) -> bool:
    """The whole file, asked for from its beginning. The rest of one that broke off, or a look at its end, begins none."""
    return part.start == 0 and part.ends_file


def send(request: SiteRequest, package: DriverPackage, *, begun: Callable[[], None]) -> HttpResponseBase:
    """Answer a GET or HEAD for ``package``. ``begun`` is called when a download of the whole file begins.

    Raises:
        Refusal: PACKAGE_DAMAGED.
    """
    response: HttpResponseBase
    if _not_modified(request, package):
        response = HttpResponse(status=304)
        del response["Content-Type"]
    else:
        try:
            response = _send_part(request, package, _wanted(request, package), begun)
        except RangeUnsatisfiableError:
            response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{package.size}"})
    response["ETag"] = _etag(package)
    response["Last-Modified"] = http_date(_modified(package))
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _send_part(request: SiteRequest, package: DriverPackage, part: Part, begun: Callable[[], None]) -> HttpResponseBase:
    file = store.open_checked(package.sha256, package.size)
    response: HttpResponseBase
    if request.method == "HEAD":
        file.close()
        response = HttpResponse(content_type="application/zip")
    else:
        response = Sending(file, part)
        if _begins_download(part):
            begun()
    if part.partial:
        response["Content-Range"] = part.content_range
    response["Content-Length"] = str(part.length)
    response["Content-Disposition"] = _disposition(package)
    return response
