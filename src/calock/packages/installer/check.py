"""Is the unpacked package whole? Every file is held against the manifest before anything is installed."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

from places import system

SPECIAL = {"manifest.json", "manifest.sig"}


class InstallError(Exception):
    """Something that keeps the driver from being installed: Chinese text, English text."""

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(f"{chinese}\n  {english}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest and check every file's size and SHA-256.

    Raises:
        InstallError: a file is missing, changed or not listed.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
        files = manifest["files"]
    except (OSError, ValueError, KeyError) as error:
        raise InstallError("安装包不完整，请重新下载并完整解压。", f"The package is incomplete: {error}") from error
    ours = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    present = {path.relative_to(folder).as_posix() for path in ours} - SPECIAL
    for name, entry in files.items():
        if name not in present:
            raise InstallError("安装包缺少文件，请重新下载并完整解压。", f"missing: {name}")
        data = (folder / name).read_bytes()
        if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise InstallError("安装包已损坏，请重新下载。", f"not as in the manifest: {name}")
    for name in sorted(present - set(files)):
        if name.startswith(("wheels/", "installer/")):
            raise InstallError("安装包中有多余的文件，请重新下载。", f"not in the manifest: {name}")
    return manifest


def require_this_computer(manifest: dict[str, Any]) -> None:
    """Refuse a package that was built for another system or processor.

    Raises:
        InstallError: it was, or this Python is too old.
    """
    machine = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine().lower(), "")
    if (manifest["os"], manifest["arch"]) != (system(), machine):
        raise InstallError(
            "这个安装包不适用于本机，请在下载页面选择与本机匹配的驱动。",
            f"built for {manifest['os']}/{manifest['arch']}, this is {system()}/{platform.machine()}",
        )
    if sys.version_info < (3, 11):  # noqa: UP036 - people run this with a Python of their own
        raise InstallError("需要 Python 3.11 或更新版本。", f"this is Python {platform.python_version()}")


def version_key(version: str) -> tuple[int, ...]:
    """Value to compare versions by; an unreadable one is older than every other."""
    return tuple(int(part) for part in version.split(".")) if re.fullmatch(r"\d+(\.\d+)*", version) else ()
