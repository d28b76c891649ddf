"""Newer versions of the installed driver packages: asked for, checked, and installed only when the user asks for it.

Each installed package kept its signed manifest. It names the one origin that is asked (never another, no redirect is followed)
and the key that a newer manifest must be signed with. An older or equal version is never an update, even when it is signed.
``python -m calock.agent.update`` lists newer versions; with ``--install CODE`` it fetches, checks and installs one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

import msgspec

from calock.agent.config import ConfigError, check_origin
from calock.core.refusals import Reason, Refusal
from calock.wire.archive import read_member, read_members
from calock.wire.package import (
    MANIFEST,
    MAX_PACKAGE,
    PackageManifest,
    Release,
    inspect,
    parse_manifest,
    verify_manifest,
    version_key,
)

TIMEOUT = 20.0
MAX_RELEASE = 2 * 1024 * 1024
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Update:
    """A newer version of an installed package; its manifest is verified, its file not yet fetched."""

    installed: PackageManifest
    offered: PackageManifest
    release: Release

    @property
    def url(self) -> str:
        return self.installed.origins[0] + self.release.path


def packages_home() -> Path:
    """Where the installer keeps the manifests of what it installed (``calock/packages/installer/places.py``)."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        home = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Application Support"
    else:
        data = os.environ.get("XDG_DATA_HOME", "")
        home = Path(data) if Path(data).is_absolute() else Path.home() / ".local" / "share"
    return home / "calock-driver" / "packages"


def installed_packages(home: Path | None = None) -> list[PackageManifest]:
    """Manifests of the installed packages. One that cannot be read is left out: it cannot be updated."""
    found = []
    for path in sorted((home or packages_home()).glob(f"*/{MANIFEST}")):
        with contextlib.suppress(OSError, Refusal):
            found.append(parse_manifest(path.read_bytes()))
    return found


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The origin is fixed: wherever else an answer points, it is not followed."""

    def redirect_request(self, *_: Any) -> None:
        return None


Opened = contextlib.AbstractContextManager[IO[bytes]]


def open_url(url: str) -> Opened:
    """Open ``url``; any status but 200 is an error, redirects included.

    Raises:
        OSError, HTTPException: it cannot be reached or does not answer 200.
    """
    opener = urllib.request.build_opener(_NoRedirect)
    parts = urllib.parse.urlsplit(url)
    headers = {"User-Agent": "calock-driver", "Host": parts.netloc}
    if (parts.hostname or "").endswith(".localhost"):  # RFC 6761 clause 6.3: this computer; not every resolver knows
        url = parts._replace(netloc="127.0.0.1" + (f":{parts.port}" if parts.port else "")).geturl()
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked: https, or this computer
    opened: Opened = opener.open(request, timeout=TIMEOUT)
    return opened


@contextlib.contextmanager
def _reaching(url: str, fetch: Callable[[str], Opened]) -> Iterator[IO[bytes]]:
    try:
        with fetch(url) as answer:
            yield answer
    except (OSError, HTTPException, urllib.error.URLError) as error:
        raise Refusal(Reason.UPDATE_UNREACHABLE, f"{urllib.parse.urlsplit(url).netloc}: {str(error)[:100]}") from error


def check(installed: PackageManifest, *, fetch: Callable[[str], Opened] = open_url) -> Update | None:
    """Ask the package's own origin for its newest version; None when there is none that is newer.

    Raises:
        Refusal: UPDATE_UNREACHABLE; PACKAGE_REFUSED: an answer that is not signed with the installed package's key, or is for
            another package or system.
    """
    try:
        origin = check_origin(installed.origins[0])
    except (IndexError, ConfigError) as error:
        raise Refusal(Reason.PACKAGE_REFUSED, "the installed package names no usable origin") from error
    with _reaching(f"{origin}/downloads/release/{installed.code}/{installed.os}/{installed.arch}/", fetch) as answer:
        text = answer.read(MAX_RELEASE + 1)
    try:
        release = msgspec.json.decode(text[:MAX_RELEASE], type=Release)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(Reason.PACKAGE_REFUSED, "not a release") from error
    offered = verify_manifest(release.manifest.encode(), release.signature, [installed.key])
    if (offered.code, offered.os, offered.arch) != (installed.code, installed.os, installed.arch):
        raise Refusal(Reason.PACKAGE_REFUSED, "another package's manifest")
    if version_key(offered.version) <= version_key(installed.version):
        return None
    path = release.path
    if not path.startswith("/") or path.startswith("//") or not path.isascii() or any(c in path for c in "\\ \r\n@"):
        raise Refusal(Reason.PACKAGE_REFUSED, "the file is not on the package's own origin")
    return Update(installed, offered, release)


def download(update: Update, target: IO[bytes], *, fetch: Callable[[str], Opened] = open_url) -> None:
    """Fetch the package into ``target`` and check every byte of it against the manifest that was offered.

    Raises:
        Refusal: UPDATE_UNREACHABLE, PACKAGE_REFUSED.
    """
    size = 0
    with _reaching(update.url, fetch) as answer:
        while chunk := answer.read(_CHUNK):
            size += len(chunk)
            if size > min(update.release.size, MAX_PACKAGE):
                raise Refusal(Reason.PACKAGE_REFUSED, "the file is larger than announced")
            target.write(chunk)
    target.flush()
    found = inspect(target, [update.installed.key])
    if found.text != update.release.manifest:
        raise Refusal(Reason.PACKAGE_REFUSED, "the file is not the version that was offered")


def unpack(package: IO[bytes], folder: Path) -> Path:
    """Unpack an inspected package; the result is the folder with its installer."""
    members = read_members(package, limit=MAX_PACKAGE)
    for name, member in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read_member(package, member, member.size))
    return folder / next(iter(members)).partition("/")[0]


def installer_command(folder: Path) -> list[str]:
    """How to run a package's installer: with the Python this environment was made from, which is not inside it."""
    return [getattr(sys, "_base_executable", "") or sys.executable, "-I", "-B", str(folder / "installer")]


def _run(command: list[str]) -> int:
    # a session of its own: the installer stops the driver and the process that asked for the update, and must not end with them
    return subprocess.run(command, check=False, start_new_session=True).returncode  # noqa: S603 - our own installer


def install(update: Update, *, fetch: Callable[[str], Opened] = open_url, run: Callable[[list[str]], int] = _run) -> int:
    """Fetch, check and install; the installer restarts the driver and removes what was unpacked. Only when the user asks for it.

    Raises:
        Refusal: UPDATE_UNREACHABLE, PACKAGE_REFUSED.
    """
    scratch = Path(tempfile.mkdtemp(prefix="calock-update-"))
    try:
        with (scratch / "package.zip").open("w+b") as file:
            download(update, file, fetch=fetch)
            folder = unpack(file, scratch)
        return run([*installer_command(folder), "--discard"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 up to date or installed, 1 something was refused, 3 newer versions are there."""
    parser = argparse.ArgumentParser(prog="python -m calock.agent.update", description="Look for newer versions of the CA driver.")
    parser.add_argument("--install", metavar="CODE", help="fetch, check and install the newer version of this package")
    arguments = parser.parse_args(argv)
    status = 0
    for installed in installed_packages():
        try:
            update = check(installed)
            if update is None:
                sys.stdout.write(f"{installed.code} {installed.version}: 已是最新版本 up to date\n")
            elif arguments.install == installed.code:
                status = install(update) or status
            else:
                sys.stdout.write(f"{installed.code} {installed.version}: 有新版本 newer version {update.offered.version}\n")
                status = status or 3
        except Refusal as refusal:
            sys.stderr.write(f"{installed.code}: {refusal}\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
