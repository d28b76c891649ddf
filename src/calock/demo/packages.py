"""Fill the practice download centre with real driver packages, built by ``calock packages build``.

Run as ``python -m calock.demo.packages DIRECTORY``: what the demonstration does in the background for other systems than this one.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import calock
from calock.core.refusals import Refusal
from calock.demo.place import Place


class PackagesError(RuntimeError):
    """The packages could not be built; the last line says why."""


def this_system() -> str:
    """``linux-x86_64`` and the like, as the build names systems."""
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux") + "-" + machine


def _build(place: Place, *, only: Iterable[str], skip: Iterable[str]) -> None:
    words = [word for name in only for word in ("--only", name)] + [word for name in skip for word in ("--skip", name)]
    command = [sys.executable, "-m", "calock.packages", "build", "--out", str(place.packages), *words]
    clean = {name: value for name, value in os.environ.items() if name != "CALOCK_PACKAGE_KEY_FILE"}
    done = subprocess.run(command, capture_output=True, text=True, env=clean, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise PackagesError((done.stderr.strip().splitlines() or ["calock packages failed"])[-1])


def _take_in(place: Place) -> int:
    """Upload and publish what was built, by the services that operators use; how many were new."""
    from calock.server.downloads.models import PackageState  # noqa: PLC0415 - needs Django set up
    from calock.server.downloads.services import publish_package, upload_package  # noqa: PLC0415 - same

    (place.root / "package-keys.txt").write_text((place.packages / "package-key.txt").read_text("utf-8"), "utf-8")
    new = 0
    for path in sorted(place.packages.glob("*.zip")):
        with path.open("rb") as file:
            package = upload_package(chunks=iter(lambda: file.read(1 << 20), b""), by=None, context=None)
        if package.state == PackageState.DRAFT:
            publish_package(package=package, by=None, context=None)
            new += 1
        path.unlink()  # the store has it now
    return new


def add_packages(place: Place, *, everything: bool, say: Callable[[str], None]) -> None:
    """Build and publish the packages of this version that the catalogue does not have yet: this computer's, or all.

    A failure is said and passed over: the rest of the demonstration does not need them.
    """
    from calock.server.downloads.models import DriverPackage  # noqa: PLC0415 - needs Django set up

    whole = place.packages / f"complete-{calock.__version__}"
    rows = DriverPackage.objects.filter(version=calock.__version__).values_list("os", "arch")
    have = {f"{os_name}-{arch}" for os_name, arch in rows}
    if whole.exists() or (have and not everything):
        return
    try:
        _build(place, only=() if everything else (this_system(),), skip=have)
        say(f"下载专区有了 {_take_in(place)} 个新的驱动安装包。 New driver packages in the download centre.")
        if everything:
            whole.touch()
    except (PackagesError, Refusal) as error:
        say(f"驱动安装包没有建成：{error}\n  No driver packages were built; everything else works.")


def main(arguments: list[str]) -> None:
    from calock.demo.world import prepare_server  # noqa: PLC0415 - after the environment is known to be ours

    (directory,) = arguments
    prepare_server(Path(directory))

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    add_packages(Place(Path(directory)), everything=True, say=say)


if __name__ == "__main__":
    main(sys.argv[1:])
