"""Vendors' libraries are found in their own places, and nowhere else."""

from __future__ import annotations

import ctypes
import struct
import sys
from pathlib import Path

import pytest

from calock.agent.backends.skf import binding, find_known
from calock.agent.backends.skf.probe import ulong_size


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
    (found,) = find_known(platform="linux", root=tmp_path)
    assert found.name == "龙脉 GM3000"
    assert found.path == str(tmp_path / path.lstrip("/"))


def test_several_vendors_and_a_link_counted_once(tmp_path: Path) -> None:
    put(tmp_path, LONGMAI[0], "/usr/lib/libes_3000gm.so.1.0.0")
    (tmp_path / "usr/lib/libes_3000gm.so").symlink_to("libes_3000gm.so.1.0.0")
    assert sorted(found.name for found in find_known(platform="linux", root=tmp_path)) == ["飞天 ePass3000GM", "龙脉 GM3000"]


def test_macos(tmp_path: Path) -> None:
    put(tmp_path, "/usr/local/lib/libgm3000.1.0.dylib")
    assert [found.name for found in find_known(platform="darwin", root=tmp_path)] == ["龙脉 GM3000"]


def test_library_in_a_users_folder_is_not_picked_up(tmp_path: Path) -> None:
    put(tmp_path, "/home/somebody/libgm3000.1.0.so", "/tmp/libgm3000.1.0.so")
    assert find_known(platform="linux", root=tmp_path) == []
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/libgm3000.1.0.so").mkdir()  # a folder of that name
    assert find_known(platform="linux", root=tmp_path) == []


@pytest.mark.parametrize(("pointer", "expected"), [(4, "stdcall"), (8, "cdecl")])
def test_windows_takes_stdcall_in_32_bit_programs_only(monkeypatch: pytest.MonkeyPatch, pointer: int, expected: str) -> None:
    """Windows itself cannot run here: this shows which loader is chosen there."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(struct, "calcsize", lambda _: pointer)
    monkeypatch.setattr(ctypes, "WinDLL", lambda _: "stdcall", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: "cdecl")
    assert binding.load("mtoken_gm3000.dll") == expected  # type: ignore[comparison-overlap]
    assert ulong_size("mtoken_gm3000.dll") == 4  # unsigned long has 32 bits on every Windows
