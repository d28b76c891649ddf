"""Arguments and files of the ``explain`` commands. An argument that cannot be used ends the command with one line and status 2."""

from __future__ import annotations

import argparse
import codecs
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from calock.cli.output import show
from calock.core.policy import Policy, PolicyError, json_value
from calock.core.verdict import Step

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

MAX_FILE = 256 * 1024 * 1024
"""Octets; a CRL of a million entries has about 40 MB."""


class UsageError(Exception):
    """An argument that cannot be used; the text is the line for the person who typed it."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and whose help is printed as everything is."""

    def error(self, message: str) -> NoReturn:
        hint = " (it goes before --anchors and the other lists of files)" if message.endswith(": FILE") else ""
        raise UsageError(message + hint)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:  # noqa: ARG002 - argparse's signature
        show(self.format_help())


def read_file(name: str) -> bytes:
    """Contents of a named file, ``-`` = standard input.

    Raises:
        UsageError: it cannot be read, or has more than 256 MiB.
    """
    try:
        if name == "-":
            if sys.stdin is None:
                raise UsageError("cannot read -: standard input is closed")
            data = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_FILE:
        raise UsageError(f"{name} has more than {MAX_FILE // 1024 // 1024} MiB")
    return data


def as_utf8(data: bytes) -> bytes:
    """Text without the mark that editors and PowerShell put before it, UTF-16 as UTF-8."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    return data.removeprefix(codecs.BOM_UTF8)


def require_one_reader(names: Iterable[str | None], *, taken: bool) -> None:
    """Check that at most one argument names standard input. ``taken``: it is read for something that no argument names.

    Raises:
        UsageError: more than one.
    """
    if taken + sum(name == "-" for name in names) > 1:
        raise UsageError("standard input (-) can be read for one thing only" + (", and holds the answer" if taken else ""))


def moment(text: str) -> datetime:
    """ISO 8601 as an aware datetime; UTC when it names no zone."""
    try:
        value = datetime.fromisoformat(text)
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 moment such as 2026-11-22T08:00:00Z") from error


def steps(text: str) -> frozenset[Step]:
    """``gate,path,…`` as steps."""
    allowed = {"gate", "path", "revocation", "profile", "identity"}
    chosen = {part.strip() for part in text.split(",") if part.strip()}
    if not chosen or not chosen <= allowed:
        raise argparse.ArgumentTypeError("a list of gate, path, revocation, profile, identity is wanted")
    return frozenset(Step(name) for name in chosen)


def origin(text: str) -> str:
    """``https://host[:port]`` exactly as a browser writes an origin; http only for this computer itself."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    loopback = host in ("127.0.0.1", "localhost", "::1") or host.endswith(".localhost")
    shown = f"[{host}]" if ":" in host else host
    written = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
    if not host or text != written or not text.isascii() or parts.scheme not in (("https", "http") if loopback else ("https",)):
        raise argparse.ArgumentTypeError(f"{text!r} is not an origin such as https://host or https://host:8443")
    if port == {"https": 443, "http": 80}[parts.scheme]:
        raise argparse.ArgumentTypeError(f"browsers leave the scheme's own port out: write {parts.scheme}://{shown}")
    return text


def policy(name: str | None) -> tuple[Policy | None, bool]:
    """Policy from a JSON file, and whether it says how revocation is to be treated.

    Raises:
        UsageError: not readable, not JSON, or not a policy.
    """
    if name is None:
        return None, False
    try:
        value = json_value(read_file(name))
        return Policy.from_json(value), isinstance(value, dict) and "revocation" in value
    except (ValueError, RecursionError) as error:
        kind = "" if isinstance(error, PolicyError) else "not JSON: "
        raise UsageError(f"{name}: {kind}{error}") from error
