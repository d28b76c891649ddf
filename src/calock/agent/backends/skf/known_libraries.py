"""Where vendors put their SKF libraries, per system. Found by themselves; others are named in the driver's configuration.

Never by a page: no message carries a path. Only fixed places and, on Windows, the machine-wide registry list are looked at,
so a file that a user dropped somewhere is not picked up by accident.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """One SKF library of this computer: ``name`` is shown to people and in ``Problem.module``."""

    name: str
    path: str


_LONGMAI, _FEITIAN, _WATCHDATA, _HAITAI = "龙脉 GM3000", "飞天 ePass3000GM", "握奇 WatchKey", "海泰"

_LINUX_DIRECTORIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
                      "/usr/lib/loongarch64-linux-gnu")  # fmt: skip
_LINUX_PLACES = (
    (_LONGMAI, "/opt/lm-gm3000/lib/libgm3000.1.0.so"),
    (_LONGMAI, "/opt/apps/com.longmai.gm3000user/files/lib/libgm3000.1.0.so"),
)
_LINUX_NAMES = (
    (_LONGMAI, "libgm3000.1.0.so"),
    (_FEITIAN, "libes_3000gm.so"),
    (_FEITIAN, "libes_3000gm.so.1.0.0"),
    (_WATCHDATA, "libWDSKF.so"),
    (_HAITAI, "libHTSKF.so"),
)
_DARWIN_DIRECTORIES = ("/usr/local/lib", "/Library/Frameworks")
_DARWIN_NAMES = ((_LONGMAI, "libgm3000.1.0.dylib"), (_LONGMAI, "libgm3000.dylib"), (_FEITIAN, "libes_3000gm.dylib"))
_WINDOWS_NAMES = (
    (_LONGMAI, "mtoken_gm3000.dll"),
    (_FEITIAN, "FTGM.dll"),
    (_FEITIAN, "ZJCAePass3000gm.dll"),
    (_WATCHDATA, "WDSKF.dll"),
    ("赢达信", "WTSKFInterface.dll"),
)
_REGISTRY = r"SOFTWARE\Microsoft\Cryptography\Defaults\SKF"


def find_known(*, platform: str = sys.platform, root: Path | None = None) -> list[ModuleFile]:
    """List the known SKF libraries that are installed here, each once. ``root`` stands for ``/`` (in tests)."""
    found: dict[str, ModuleFile] = {}
    for name, path in _candidates(platform):
        file = Path(path) if root is None else root / path.lstrip("/")
        if file.is_file():
            real = str(file.resolve())  # the plain name is often a link to the one with a version
            found.setdefault(real, ModuleFile(name, real))
    return list(found.values())


def _candidates(platform: str) -> Iterator[tuple[str, str]]:
    if platform == "win32":
        yield from _registry()
        for name, file in _WINDOWS_NAMES:
            yield name, str(_system_directory() / file)
    elif platform == "darwin":
        yield from ((name, f"{directory}/{file}") for directory in _DARWIN_DIRECTORIES for name, file in _DARWIN_NAMES)
    else:
        yield from _LINUX_PLACES
        yield from ((name, f"{directory}/{file}") for directory in _LINUX_DIRECTORIES for name, file in _LINUX_NAMES)


def _system_directory() -> Path:
    if sys.platform != "win32":
        return Path("C:/Windows/System32")
    import ctypes  # noqa: PLC0415 - only there

    buffer = ctypes.create_unicode_buffer(260)
    ctypes.windll.kernel32.GetSystemDirectoryW(buffer, 260)
    return Path(buffer.value)


def _registry() -> Iterator[tuple[str, str]]:
    """Names and paths that vendors registered for the whole machine; only an administrator can write there."""
    if sys.platform != "win32":
        return
    import winreg  # noqa: PLC0415 - only there

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _REGISTRY) as providers:
            for index in range(winreg.QueryInfoKey(providers)[0]):
                name = winreg.EnumKey(providers, index)
                with winreg.OpenKey(providers, name) as provider:
                    path, _ = winreg.QueryValueEx(provider, "path")
                yield name, str(path)
    except OSError:
        return
