"""calock's own wheel inside a package, and what is known of its sources: from a checkout, or from what is installed here.

An installed calock has no sources to build a wheel from. It is put together again from the installed files, each held against the
hash that the wheel brought for it (``RECORD``; Python's Core Metadata, "Recording installed projects").
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import subprocess
import tempfile
import time
import zipfile
from importlib import metadata
from pathlib import Path

import calock
from calock.packages.wheels import WheelError, pip

CHECKOUT = Path(calock.__file__).resolve().parents[2]
"""The source tree, when this is one."""
SOURCES_FROM = Path(__file__).with_name("sources-from.txt")
"""Written into each wheel (``hatch_build.py``): when its sources were made, in seconds since 1970."""
OLDEST = 1767225600
"""The start of 2026, for sources of which nothing says when they were made."""
_OF_THE_INSTALLATION = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})


def is_checkout() -> bool:
    """Whether this program runs from its source tree."""
    return (CHECKOUT / "pyproject.toml").exists() and CHECKOUT.name != "site-packages"


def source_epoch() -> int:
    """``SOURCE_DATE_EPOCH``, else the time of the last commit, else what the installed wheel says of itself."""
    if os.environ.get("SOURCE_DATE_EPOCH"):
        return int(os.environ["SOURCE_DATE_EPOCH"])
    command = ["git", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    try:
        said = (
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
            if is_checkout()
            else SOURCES_FROM.read_text("ascii")
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        said = ""
    return int(said) if said.isdigit() else OLDEST


def own_wheel(folder: Path, epoch: int) -> Path:
    """The wheel of calock itself, in ``folder``; the same sources and ``epoch`` give the same bytes.

    Raises:
        WheelError: the build failed, or an installed file is not the one that its wheel brought.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _built(folder, epoch) if is_checkout() else _put_together(folder, epoch)


def _built(folder: Path, epoch: int) -> Path:
    with tempfile.TemporaryDirectory() as scratch:
        needed = ("hatchling", "babel")
        here = ("--no-build-isolation",) if all(importlib.util.find_spec(name) for name in needed) else ()
        pip("wheel", "-q", "--no-deps", *here, "-w", scratch, str(CHECKOUT), SOURCE_DATE_EPOCH=str(epoch))
        (built,) = Path(scratch).glob("calock-*.whl")
        placed = folder / built.name
        placed.write_bytes(built.read_bytes())
    return placed


def _put_together(folder: Path, epoch: int) -> Path:
    files: dict[str, bytes] = {}
    lines: list[str] = []
    for file in sorted(metadata.files("calock") or (), key=str):
        if file.hash is None or ".." in file.parts or file.name in _OF_THE_INSTALLATION:
            continue  # made by the installation: byte code, the command
        data = Path(str(file.locate())).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        if (file.hash.mode, file.hash.value) != ("sha256", digest):
            raise WheelError(f"{file} is not as its wheel brought it: install calock {calock.__version__} anew")
        files[str(file)] = data
        lines.append(f"{file},sha256={digest},{len(data)}")
    if not files:
        raise WheelError("nothing says which files of calock were installed: install its wheel with pip")
    record = f"calock-{calock.__version__}.dist-info/RECORD"
    files[record] = "\n".join([*lines, f"{record},,"]).encode() + b"\n"
    whole = io.BytesIO()
    at = max(epoch, 315532800)  # zip knows no time before 1980
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name, _zip_time(at)), data, zipfile.ZIP_DEFLATED)
    placed = folder / f"calock-{calock.__version__}-py3-none-any.whl"
    placed.write_bytes(whole.getvalue())
    return placed


def _zip_time(epoch: int) -> tuple[int, int, int, int, int, int]:
    at = time.gmtime(epoch)
    return at.tm_year, at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec


def wheels_folder() -> Path:
    """Where fetched wheels are kept: in a checkout's build folder, else in the user's cache."""
    if is_checkout():
        return CHECKOUT / "build" / "wheels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calock" / "wheels"
