"""Build and unpack the real packages as ``make packages`` and people do."""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from worlds.driver_packages import package_key

from calock.packages.own import own_wheel as make_own_wheel

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEM = "linux-" + {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
EPOCH = "1767225600"


@cache
def own_wheel() -> Path:
    """The wheel of calock itself, built once for all packages of a test run."""
    place = Path(tempfile.mkdtemp(prefix="calock-wheel-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return make_own_wheel(place, int(EPOCH))


def run_build(out: Path, *more: str, offline: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the build script with the test's signing key; fetched wheels are kept in the checkout's build folder."""
    out.parent.mkdir(parents=True, exist_ok=True)
    key = out.parent / "signing-key.pem"
    pem = package_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.write_bytes(pem)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "CALOCK_PACKAGE_KEY_FILE": str(key)}
    if offline:
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    command = [sys.executable, "-m", "calock.packages", "build", "--out", str(out), "--own-wheel", str(own_wheel()), *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def unpack(package: Path, folder: Path) -> Path:
    """Unpack as a person's archive program does."""
    with zipfile.ZipFile(package) as opened:
        opened.extractall(folder)
        top = {name.partition("/")[0] for name in opened.namelist()}
    return folder / top.pop()
