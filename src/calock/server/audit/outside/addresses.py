"""What addresses of places outside look like, and whether one makes sense."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlsplit

SECONDS = 10.0
"""How long a place may take for one step."""
PORTS = {"syslog+udp": 514, "syslog+tcp": 601, "http": 80, "https": 443, "s3+http": 80, "s3+https": 443}
_BUCKET_AND_FOLDER = re.compile(r"/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([A-Za-z0-9._-]+/)*")
"""What is signed as it stands: nothing in it is ever written in another way."""
MOST_DAYS = 36_500
REGION = "us-east-1"
"""For the signature, where an address names none; stores that know no regions take this one."""
Heads = Sequence[tuple[int, str]]
"""Seals' numbers and the heads' lines."""


class PlaceError(OSError):
    """A place did not take or give a head; the text says what it answered."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and with what."""

    name: str
    """Short name of the machine's key: its file in a folder is called so."""
    token: str = ""
    """``Authorization: Bearer`` for a place that is reached by HTTP."""
    key: Key | None = None
    """For object stores."""


@dataclass(frozen=True, slots=True)
class Key:
    """An object store's access key."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the address of an object store says behind ``?``."""

    region: str

    days: int
    """How long nobody may delete or replace a head."""


def keeping(parts: SplitResult) -> Keeping:
    """Read ``region`` and ``days`` of an object store's address.

    Raises:
        ValueError: with the reason.
    """
    given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    named = dict(given)
    if len(named) < len(given) or not named.keys() <= {"region", "days"}:
        raise ValueError("an object store's address has days and region behind ?, each once, and nothing else")
    days, region = named.get("days", ""), named.get("region", REGION)
    if not (days.isdecimal() and days.isascii() and 1 <= int(days) <= MOST_DAYS):
        raise ValueError(f"an object store's address says for how many days a head is locked: ?days=3650 (1 to {MOST_DAYS})")
    if not re.fullmatch("[a-z0-9-]{1,40}", region):
        raise ValueError(f"{region!r} is no region")
    return Keeping(region, int(days))


def require_place(address: str, *, token: bool, key: bool = False) -> None:
    """Refuse what is no address of a place. ``token``, ``key``: there is one to be sent, or to sign with.

    Raises:
        ValueError: with the reason.
    """
    parts = urlsplit(address)
    if parts.scheme in ("file", "syslog+unix"):
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise ValueError(f"{address} has three slashes and a path behind {parts.scheme}:")
        return
    if parts.scheme not in PORTS:
        raise ValueError(f"{address!r} begins with none of file, syslog+udp, syslog+tcp, syslog+unix, https, http, s3+https")
    if parts.scheme.startswith("s3+"):
        _require_object_store(parts, key=key)
        return
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or parts.port == 0:
        raise ValueError(f"a place of {parts.scheme} is a host and a path, without user, ? and #")
    if token and parts.scheme == "http":
        raise ValueError("a token is sent over https only")


def _require_object_store(parts: SplitResult, *, key: bool) -> None:
    if not parts.hostname or parts.username is not None or parts.fragment or parts.port == 0:
        raise ValueError("an object store is a host, a bucket and a folder, without user and #")
    if not _BUCKET_AND_FOLDER.fullmatch(parts.path):
        raise ValueError("behind an object store's host stand a bucket, and a folder or none, of plain letters, with / at the end")
    keeping(parts)
    if not key:
        raise ValueError("an object store wants CALOCK_AUDIT_HEADS_S3_KEY_FILE")
