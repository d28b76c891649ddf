"""An object store that speaks as much S3 as heads need: versions, deletion marks, locks, conditions; it checks signatures.

The signature is computed anew from what arrived, by the rules of AWS Signature Version 4 and not by the library that signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET, REGION = "AKHEADS", "s3cret/of+heads", "cn-north-1"


class Version(NamedTuple):
    number: str
    body: bytes | None
    """None: a deletion mark."""
    mode: str
    until: str
    written: datetime


class Store(ThreadingHTTPServer):
    """``lockable`` as its bucket is; ``forgets_locks``: takes the headers and does nothing.

    ``locks_until``: the end that it gives locks itself; ``listing``: said instead of a real list.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, list[Version]] = {}
        self.lockable, self.forgets_locks, self.locks_until, self.listing = True, False, "", b""
        self.place = f"s3+http://127.0.0.1:{self.server_port}/audit/heads/?region={REGION}&days=3650"

    def put(self, key: str, body: bytes | None, mode: str = "", until: str = "") -> None:
        """Also what somebody with the key does: another version, or with None a deletion mark."""
        versions = self.objects.setdefault(key, [])
        versions.append(Version(f"v{len(versions)}", body, mode, until, datetime.now(UTC)))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Store

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.is_signed(body):
            return
        key = urlsplit(self.path).path.removeprefix("/audit/")
        mode, until = self.headers.get("x-amz-object-lock-mode", ""), self.headers.get("x-amz-object-lock-retain-until-date", "")
        if mode and not self.server.lockable:
            self.refuse(400, "InvalidRequest")
        elif self.headers["Content-MD5"] != base64.b64encode(hashlib.md5(body).digest()).decode():
            self.refuse(400, "BadDigest")
        elif self.headers["If-None-Match"] == "*" and self.newest(key).body is not None:
            self.refuse(412, "PreconditionFailed")
        else:
            self.server.put(key, body, *(("", "") if self.server.forgets_locks else (mode, self.server.locks_until or until)))
            self.answer(200, b"")

    def do_GET(self) -> None:
        if not self.is_signed(b""):
            return
        path, asked = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if path == "/audit":
            self.answer(200, self.server.listing or self.listed(asked))
            return
        key = path.removeprefix("/audit/")
        versions = [one for one in self.server.objects.get(key, []) if one.number == asked.get("versionId", one.number)]
        found = versions[-1] if versions else self.newest("")
        if found.body is None:
            self.refuse(404, "NoSuchKey")
        else:
            locks = {"x-amz-object-lock-mode": found.mode, "x-amz-object-lock-retain-until-date": found.until}
            written = {"Last-Modified": format_datetime(found.written, usegmt=True)}
            self.answer(200, found.body, written | {name: value for name, value in locks.items() if value})

    def newest(self, key: str) -> Version:
        return self.server.objects.get(key, [Version("", None, "", "", datetime.now(UTC))])[-1]

    def listed(self, asked: dict[str, str]) -> bytes:
        """Keys in order, the versions of each newest first, behind the marks."""
        after = (asked.get("key-marker", ""), asked.get("version-id-marker"))
        all_rows = [(key, one) for key in sorted(self.server.objects) for one in reversed(self.server.objects[key])]
        marks = [(key, one.number) for key, one in all_rows]
        start = marks.index(after) + 1 if after in marks else sum(key <= after[0] for key, _ in marks)
        rows = [row for row in all_rows[start:] if row[0].startswith(asked["prefix"])]
        page, more = rows[: int(asked["max-keys"])], len(rows) > int(asked["max-keys"])
        said = "".join(
            f"<{'Version' if one.body is not None else 'DeleteMarker'}><Key>{escape(key)}</Key><VersionId>{one.number}</VersionId>"
            f"</{'Version' if one.body is not None else 'DeleteMarker'}>"
            for key, one in page
        )
        if more:
            key, one = page[-1]
            said += f"<NextKeyMarker>{key}</NextKeyMarker><NextVersionIdMarker>{one.number}</NextVersionIdMarker>"
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return (
            f'<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{said}{truncated}</ListVersionsResult>'.encode()
        )

    def is_signed(self, body: bytes) -> bool:
        given = dict(part.strip().split("=", 1) for part in self.headers["Authorization"].partition(" ")[2].split(","))
        key, day, *scope = given["Credential"].split("/")
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        names = given["SignedHeaders"].split(";")
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in names)
        payload = hashlib.sha256(body).hexdigest()
        canonical = "\n".join((self.command, path, "&".join(sorted(query.split("&"))), headers, ";".join(names), payload))
        moment = self.headers["X-Amz-Date"]
        text = "\n".join(("AWS4-HMAC-SHA256", moment, "/".join((day, *scope)), hashlib.sha256(canonical.encode()).hexdigest()))
        secret = f"AWS4{SECRET}".encode()
        for part in (day, *scope):
            secret = hmac.digest(secret, part.encode(), "sha256")
        asked = {name for name in self.headers if name.lower().startswith("x-amz-")} | {"host"}
        fresh = abs((datetime.now(UTC) - datetime.strptime(moment, "%Y%m%dT%H%M%S%z")).total_seconds()) < 900
        good = (
            (key, scope) == (KEY, [REGION, "s3", "aws4_request"])
            and {name.lower() for name in asked} <= set(names)
            and self.headers["X-Amz-Content-SHA256"] == payload
            and hmac.compare_digest(hmac.digest(secret, text.encode(), "sha256").hex(), given["Signature"])
        )
        if not (good and fresh):
            self.refuse(403, "SignatureDoesNotMatch")
        return good and fresh

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode())

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass
