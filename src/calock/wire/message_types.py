"""Prepare every message type once, before threads start.

msgspec works out a type's fields when it first decodes one, and puts the half-finished description on the class while it does. Two
threads that decode the first of a kind together can crash the process (seen in msgspec 0.22: SIGSEGV in one of four starts under
load). Once finished, a description is only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec


def describe_message_types() -> None:
    """Let msgspec finish the description of every type of ours that is imported by now. Called before threads start."""
    for kind in _below(msgspec.Struct):
        if kind.__module__.partition(".")[0] == "calock":
            with suppress(TypeError, NameError):  # core's results: never decoded, their annotations need not be at hand
                msgspec.json.Decoder(kind)


def _below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
