"""Static files under names with a hash once they were collected; under their own names before, in tests and development."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from whitenoise.storage import CompressedManifestStaticFilesStorage

from calock.server.tools.files import replacing

MARK = "collected.sha256"
"""A digest of what the collected files were made of and what they were: among them, which are public, once they are whole."""

_HASHED = re.compile(r".*\.([0-9a-f]{12})(?:\.[^.]*)?")
"""A name with what ``ManifestFilesMixin.file_hash`` says of the content."""


class Storage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # no type information published
    """``calock serve`` has them collected before it serves; a process that never did still shows pages."""

    manifest_strict = False

    support_js_module_import_aggregation = True
    """What a module imports has a hash in its name too, so that browsers keep all of them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._addresses: dict[str, str] = {}

    def stored_name(self, name: str) -> str:
        if not self.hashed_files:
            return name
        stored: str = super().stored_name(name)
        return stored

    def url(self, name: str, force: bool = False) -> str:
        """Worked out once for each file and process: a page has forty of them, and collected files stay as they are."""
        if force or not self.hashed_files:
            return str(super().url(name, force))
        address = self._addresses.get(name)
        if address is None:
            address = self._addresses[name] = str(super().url(name))
        return address


def collect() -> None:
    """Collect all static files into STATIC_ROOT; where those of these very sources lie there unchanged nothing is done.

    Hashing and compressing takes a third of a start; reading both sides again takes a fiftieth.

    Raises:
        OSError: a file cannot be read or written.
    """
    mark = Path(settings.STATIC_ROOT, MARK)
    sources = _digest((path, source.path(path)) for finder in get_finders() for path, source in finder.list([]))
    if not mark.exists() or mark.read_bytes() != _mark(sources):
        mark.unlink(missing_ok=True)
        for path in Path(settings.STATIC_ROOT).rglob("*"):
            if path.is_file() and not _is_as_named(path):
                path.unlink()
        call_command("collectstatic", interactive=False, verbosity=0)
        collected = _mark(sources)
        with replacing(mark) as file:
            file.write(collected)


def _is_as_named(path: Path) -> bool:
    """Whether a file is the one whose hash its name has, or made of that: such stay, as open pages ask for them.

    Django takes any other for the one it would make, if it was damaged or was cut off on a full disk as well.
    """
    name = path.name.removesuffix(".gz").removesuffix(".br")
    said = _HASHED.fullmatch(name)
    if said is None:
        return False
    content = path.with_name(name)
    return content.exists() and hashlib.md5(content.read_bytes(), usedforsecurity=False).hexdigest().startswith(said[1])


def _mark(sources: str) -> bytes:
    root = Path(settings.STATIC_ROOT)
    made = ((str(path.relative_to(root)), path) for path in root.rglob("*") if path.is_file() and path.name != MARK)
    return hashlib.sha256(f"{version('whitenoise')} {sources} {_digest(made)}".encode()).hexdigest().encode()


def _digest(files: Iterable[tuple[str, str | Path]]) -> str:
    """SHA-256 of names and contents."""
    found = hashlib.sha256()
    for name, path in sorted(files):
        content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        found.update(f"{content} {name}\n".encode())
    return found.hexdigest()
