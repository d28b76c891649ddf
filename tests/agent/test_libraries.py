"""Vendors' libraries are found in the vendors' own places, and nowhere else."""

from __future__ import annotations

import ctypes
import struct
import sys
from pathlib import Path
from typing import get_args

import pytest

from calock.agent.backends.libraries import find_libraries, known_names
from calock.agent.backends.skf import binding
from calock.agent.backends.skf.probe import ulong_size
from calock.agent.config import Config
from calock.agent.locks import LockTable
from calock.agent.main import modules_for
from calock.wire.vendors import LibraryKind, library_names, read_vendors

VENDORS = read_vendors()
KINDS = get_args(LibraryKind)


def put(root: Path, *paths: str) -> None:
    for path in paths:
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\x7fELF")


LONGMAI = (
    "/opt/lm-gm3000/lib/libgm3000.1.0.so",
    "/opt/apps/com.longmai.gm3000user/files/lib/libgm3000.1.0.so",
    "/usr/lib64/libgm3000.1.0.so",
)


@pytest.mark.parametrize("path", LONGMAI)
def test_longmai_on_linux(tmp_path: Path, path: str) -> None:
    put(tmp_path, path)
    assert find_libraries("skf", known_names("skf"), platform="linux", root=tmp_path) == [str(tmp_path / path.lstrip("/"))]


@pytest.mark.parametrize(
    ("system", "platform", "folder"),
    [("linux", "linux", "usr/lib"), ("macos", "darwin", "usr/local/lib"), ("windows", "win32", "C:/Windows/System32")],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", VENDORS)
def test_every_library_that_a_vendor_folder_names_is_found(tmp_path: Path, code, kind, system, platform, folder) -> None:
    """By every product, that of this vendor included: a driver looks for the libraries of all vendors."""
    names = library_names([VENDORS[code]], kind, system)
    assert set(names) <= set(library_names(VENDORS.values(), kind, system))
    put(tmp_path, *(f"/{folder}/{name}" for name in names))
    found = find_libraries(kind, library_names(VENDORS.values(), kind, system), platform=platform, root=tmp_path)
    assert sorted(found) == sorted(str(tmp_path / folder / name) for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_vendors_of_both_kinds_are_known_on_linux(kind) -> None:
    assert library_names(VENDORS.values(), kind, "linux")


def test_several_vendors_and_a_link_counted_once(tmp_path: Path) -> None:
    put(tmp_path, LONGMAI[0], "/usr/lib/libes_3000gm.so.1.0.0")
    (tmp_path / "usr/lib/libes_3000gm.so").symlink_to("libes_3000gm.so.1.0.0")
    found = find_libraries("skf", known_names("skf"), platform="linux", root=tmp_path)
    assert sorted(Path(path).name for path in found) == ["libes_3000gm.so.1.0.0", "libgm3000.1.0.so"]


@pytest.mark.parametrize("kind", KINDS)
def test_library_in_a_users_folder_is_not_picked_up(tmp_path: Path, kind) -> None:
    (name, *_) = names = known_names(kind)
    put(tmp_path, f"/home/somebody/{name}", f"/tmp/{name}", f"/usr/lib/elsewhere/{name}")
    assert find_libraries(kind, names, platform="linux", root=tmp_path) == []
    (tmp_path / "usr/lib").mkdir(parents=True, exist_ok=True)
    (tmp_path / "usr/lib" / name).mkdir()  # a folder of that name
    assert find_libraries(kind, names, platform="linux", root=tmp_path) == []


def test_a_driver_that_is_not_told_to_looks_for_nothing() -> None:
    assert modules_for(Config(), LockTable()) == []


@pytest.mark.parametrize(("pointer", "expected"), [(4, "stdcall"), (8, "cdecl")])
def test_windows_takes_stdcall_in_32_bit_programs_only(monkeypatch: pytest.MonkeyPatch, pointer: int, expected: str) -> None:
    """Windows itself cannot run here: this shows which loader is chosen there."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(struct, "calcsize", lambda _: pointer)
    monkeypatch.setattr(ctypes, "WinDLL", lambda _: "stdcall", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: "cdecl")
    assert binding.load("mtoken_gm3000.dll") == expected  # type: ignore[comparison-overlap]
    assert ulong_size("mtoken_gm3000.dll") == 4  # unsigned long has 32 bits on every Windows
