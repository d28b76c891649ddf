"""Output of the command: complete or not at all, in any encoding of the stream."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

UNJUDGED = 3
"""Exit status after an error of calock's own: there is no verdict."""
UNWRITTEN = 4
"""Exit status when the answer could not be written."""


class OutputError(Exception):
    """Standard output takes nothing; the text says why."""


def prepare() -> None:
    """Escape characters that a stream's encoding cannot hold (Chinese names under ASCII) instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def holds_any_character() -> bool:
    """Whether standard output's encoding is one of Unicode's."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def show(text: str) -> None:
    """Print on standard output, at once.

    Raises:
        OutputError: it is closed, or full.
        BrokenPipeError: its reader went away.
    """
    stream = sys.stdout
    if stream is None:
        raise OutputError("standard output is closed")
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # ValueError: closed
        _give_up()
        raise OutputError(f"standard output: {getattr(error, 'strerror', None) or error}") from error


def complain(text: str) -> None:
    """Print one line on standard error, if there is one: the exit status says the same."""
    if sys.stderr is None:
        return
    with suppress(OSError, ValueError):
        sys.stderr.write(" ".join(text.split()) + "\n")
        sys.stderr.flush()


def _give_up() -> None:
    """Discard what is still in the stream's buffer, so that the interpreter does not write it at exit."""
    with suppress(OSError, ValueError):
        number = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
