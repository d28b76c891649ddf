"""Public keys of those whose packages this platform offers: who can publish a page must not thereby publish a program."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from calock.wire.package import load_key

FILE = "package-keys.txt"


def package_keys(path: Path | None = None) -> tuple[str, ...]:
    """Keys from ``package-keys.txt`` in the data directory: one Base64 Ed25519 key per line, ``#`` starts a comment.

    No file, no keys: then nothing can be uploaded. Unreadable lines count for nothing.
    """
    path = path or settings.CALOCK.data / FILE
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return ()
    keys = []
    for line in lines:
        text = line.partition("#")[0].strip()
        try:
            load_key(text)
        except ValueError:
            continue
        keys.append(text)
    return tuple(keys)
