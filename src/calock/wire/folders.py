"""Folders of definitions, one for each site or CA vendor: those that the program brings, and an operator's own beside them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")


class DefinitionError(RuntimeError):
    """A definition that cannot be used; the text names the file, and the key where one is wrong."""


def find_folders(shipped: Path, own: Path | None, file: str, *beside: str) -> dict[str, Path]:
    """Folders that hold ``file`` and, where they are an operator's own, what must stand ``beside`` it; by their names.

    ``own`` lies outside the program, so that an upgrade does not touch it. It adds to what is shipped and replaces nothing: which
    of two definitions counts must not depend on what the next version happens to bring.

    Raises:
        DefinitionError: ``own`` is no folder, holds none, holds one that lacks a file, or one that is shipped already.
    """
    found = {path.parent.name: path.parent for path in sorted(shipped.glob(f"*/{file}"))}
    for folder in _own_folders(own) if own else ():
        for name in (file, *beside):
            if not (folder / name).is_file():
                raise DefinitionError(f"{folder} holds no {name}")
        if folder.name in found:
            raise DefinitionError(f"{folder} and {found[folder.name]} have one name: rename your own")
        found[folder.name] = folder
    return found


def _own_folders(own: Path) -> list[Path]:
    try:
        found = sorted(path for path in own.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise DefinitionError(f"{own} cannot be read: {error.strerror}") from error
    if not found:
        raise DefinitionError(f"{own} holds no folder")
    return found


def read_toml(path: Path, kind: type[T]) -> T:
    """Read a TOML file as ``kind``.

    Raises:
        DefinitionError: unreadable, no TOML, unknown or missing keys, wrong types.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise DefinitionError(f"{path}: {error}") from error
