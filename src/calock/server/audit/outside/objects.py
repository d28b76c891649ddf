"""Heads in an object store that speaks S3, each locked for years (Object Lock, mode COMPLIANCE): nobody deletes or replaces it.

``s3+https://host/bucket/folder/?region=R&days=N``. The bucket must have Object Lock. A head that does not come back locked for all
of these days counts as not taken. Somebody with the key can put another version or a deletion mark over a head; when heads are
read back, the first version of each is what counts. Requests are signed by AWS Signature Version 4.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urlencode
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from calock.server.audit.outside.addresses import PORTS, SECONDS, Heads, Key, PlaceError, Sender, keeping
from calock.server.audit.outside.speaking import Answer, Headers, Web, speaking
from calock.server.tools.bounded import Deadline

MODE = "COMPLIANCE"
"""The lock that no account of the store can lift; GOVERNANCE gives way to whoever has a permission for it."""
AT_ONCE = 50
"""Versions in one answer."""
_IS_THERE = (409, 412)
_CLOCKS = timedelta(days=1)
"""By which a lock may be shorter: the end is of our clock, the day it was written of the store's."""
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,60})</Code>")


class _Version(NamedTuple):
    key: str
    version: str


def put(parts: SplitResult, heads: Heads, by: Sender, deadline: Deadline) -> Iterator[Heads]:
    """Bring heads there: each once it lies there, locked.

    Raises:
        OSError: the next one was not taken.
    """
    with speaking(parts, _signing(parts, by), deadline) as web:
        for seq, line in heads:
            _put(web, f"{parts.path}{seq:012}.json", line.encode(), days=keeping(parts).days)
            yield [(seq, line)]


def _put(web: Web, path: str, head: bytes, *, days: int) -> None:
    _ask(web, "PUT", path, head, accepted=(200, *_IS_THERE))
    lies = _ask(web, "GET", path)
    if lies.body != head:  # by somebody else; another machine would have brought the same
        raise PlaceError(f"{path} holds another head")
    if lies.headers.get("x-amz-object-lock-mode") != MODE:
        raise PlaceError(f"{path} is not locked, or the key may not see whether it is (s3:GetObjectRetention)")
    if _locked_for(lies) < timedelta(days=days) - _CLOCKS:
        raise PlaceError(f"{path} is locked for less than {days} days")


def _locked_for(lies: Answer) -> timedelta:
    """From when it was written, here or by another machine, to the end of its lock."""
    try:
        until = datetime.fromisoformat(lies.headers.get("x-amz-object-lock-retain-until-date", ""))
        return until - parsedate_to_datetime(lies.headers.get("last-modified", ""))
    except (TypeError, ValueError) as error:
        raise PlaceError("it does not say when a head was written, or until when it is locked") from error


def got(parts: SplitResult, since: int, by: Sender) -> Iterator[str]:
    """What lies there from head ``since`` on, of each the first version before later ones.

    Raises:
        OSError: it does not answer as it should.
    """
    deadline = Deadline(SECONDS)  # for each answer
    with speaking(parts, _signing(parts, by), deadline) as web:
        for version in _oldest_first(_versions(web, parts, since, deadline)):
            deadline.renew()
            lies = _ask(web, "GET", f"/{_bucket(parts)}/{version.key}?{_query(versionId=version.version)}")
            yield lies.body.decode(errors="replace")


def _oldest_first(versions: Iterator[_Version]) -> Iterator[_Version]:
    """A store lists a key's versions newest first."""
    of_key: list[_Version] = []
    for version in versions:
        if of_key and of_key[-1].key != version.key:
            yield from reversed(of_key)
            of_key.clear()
        of_key.append(version)
    yield from reversed(of_key)


def _versions(web: Web, parts: SplitResult, since: int, deadline: Deadline) -> Iterator[_Version]:
    folder = parts.path.removeprefix(f"/{_bucket(parts)}/")
    # one earlier than asked for: stores do not agree whether the key at the mark is told
    marks = {"key-marker": f"{folder}{since - 2:012}.json"} if since > 2 else {}
    goes_on = True
    while goes_on:
        deadline.renew()
        asked = {"versions": "", "prefix": folder, "max-keys": str(AT_ONCE), **marks}
        listed = _ask(web, "GET", f"/{_bucket(parts)}?{_query(**asked)}")
        try:
            page = fromstring(listed.body, forbid_dtd=True)
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise PlaceError("its list of versions cannot be read") from error
        for found in page.iterfind("{*}Version"):
            key = found.findtext("{*}Key") or ""
            number = re.fullmatch(rf"{re.escape(folder)}(\d{{12}})\.json", key)
            if number and int(number[1]) >= since:
                yield _Version(key, found.findtext("{*}VersionId") or "null")
        goes_on = page.findtext("{*}IsTruncated") == "true"
        seen, marks = marks, _further(page.findtext)
        if goes_on and marks == seen:
            raise PlaceError("its list of versions does not go on")


def _ask(web: Web, method: str, path: str, body: bytes | None = None, *, accepted: Sequence[int] = (200,)) -> Answer:
    """As ``Web.ask``; an error says the store's own code too, such as ``InvalidRequest`` where the bucket has no Object Lock."""
    answer = web.ask(method, path, body, accepted=range(200, 600))
    if answer.status in accepted:
        return answer
    code = _CODE.search(answer.body)
    raise PlaceError(f"answered {method} with status {answer.status}" + (f", {code[1].decode()}" if code else ""))


def _further(text: Callable[[str], str | None]) -> dict[str, str]:
    """Where the list goes on."""
    named = {"key-marker": text("{*}NextKeyMarker"), "version-id-marker": text("{*}NextVersionIdMarker")}
    return {name: mark for name, mark in named.items() if mark}


def _bucket(parts: SplitResult) -> str:
    return parts.path.split("/")[1]


def _query(**given: str) -> str:
    return urlencode(sorted(given.items()), quote_via=quote, safe="-_.~")


def _signing(parts: SplitResult, by: Sender) -> Headers:
    # loaded only where an object store is named: half a second and 20 MB
    from botocore.auth import S3SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    key, kept = by.key or Key("", ""), keeping(parts)
    signer = S3SigV4Auth(Credentials(key.id, key.secret), "s3", kept.region)
    scheme = parts.scheme.removeprefix("s3+")
    port = "" if parts.port in (None, PORTS[scheme]) else f":{parts.port}"
    host = f"{parts.hostname}{port}"

    def made(method: str, path: str, body: bytes | None) -> Mapping[str, str]:
        headers = {"Host": host, **(_locked(body, kept.days) if body is not None else {})}
        request = AWSRequest(method, f"{scheme}://{host}{path}", headers, body or b"")
        signer.add_auth(request)
        return dict(request.headers.items())

    return made


def _locked(head: bytes, days: int) -> dict[str, str]:
    until = datetime.now(UTC) + timedelta(days=days)
    return {
        "Content-Type": "application/json",
        "Content-MD5": base64.b64encode(hashlib.md5(head, usedforsecurity=False).digest()).decode(),  # a lock asks for it
        "If-None-Match": "*",
        "x-amz-object-lock-mode": MODE,
        "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
