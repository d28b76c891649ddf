"""Where the libraries of vendors lie, per system. Found by themselves; others are named by path in the driver's configuration.

Which file names are looked for says :mod:`calock.wire.vendors`. Never a page: no message carries a path. Only folders that an
administrator alone writes to are looked at, and on Windows the machine-wide list of SKF libraries, so a file that a user dropped
somewhere is not picked up by accident.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from calock.wire.vendors import LibraryKind, System, library_names, read_vendors

_LINUX = (
    "/opt/lm-gm3000/lib", "/opt/apps/com.longmai.gm3000user/files/lib",
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/loongarch64-linux-gnu",
)  # fmt: skip
_MACOS = ("/usr/local/lib", "/Library/Frameworks")
_REGISTRY = r"SOFTWARE\Microsoft\Cryptography\Defaults\SKF"


def known_names(kind: LibraryKind) -> tuple[str, ...]:
    """File names of the libraries that the vendors known to this program have on this system."""
    return library_names(read_vendors().values(), kind, _system(sys.platform))


def find_libraries(kind: LibraryKind, names: Iterable[str], *, platform: str = sys.platform, root: Path | None = None) -> list[str]:
    """List the paths of libraries that are installed here, each once. ``root`` stands for ``/`` (in tests)."""
    found: dict[str, None] = {}
    for path in _candidates(kind, tuple(names), platform):
        file = path if root is None else root / str(path).lstrip("/")
        if file.is_file():
            found[str(file.resolve())] = None  # the plain name is often a link to the one with a version
    return list(found)


def _system(platform: str) -> System:
    return "windows" if platform == "win32" else "macos" if platform == "darwin" else "linux"


def _candidates(kind: LibraryKind, names: tuple[str, ...], platform: str) -> Iterator[Path]:
    if platform == "win32":
        if kind == "skf":
            yield from _registry()
        yield from (_system_directory() / name for name in names)
        return
    for folder in _MACOS if platform == "darwin" else _LINUX:
        yield from (Path(folder) / name for name in names)


def _system_directory() -> Path:
    if sys.platform != "win32":
        return Path("C:/Windows/System32")
    import ctypes  # noqa: PLC0415 - only there

    buffer = ctypes.create_unicode_buffer(260)
    ctypes.windll.kernel32.GetSystemDirectoryW(buffer, 260)
    return Path(buffer.value)


def _registry() -> Iterator[Path]:
    """Paths of SKF libraries that vendors registered for the whole machine; only an administrator can write there."""
    if sys.platform != "win32":
        return
    import winreg  # noqa: PLC0415 - only there

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _REGISTRY) as providers:
            for index in range(winreg.QueryInfoKey(providers)[0]):
                with winreg.OpenKey(providers, winreg.EnumKey(providers, index)) as provider:
                    path, _ = winreg.QueryValueEx(provider, "path")
                yield Path(str(path))
    except OSError:
        return
