"""The wheels inside a package: fetched once through pip, held against the hashes of ``driver.lock``, kept in a folder.

With the folder filled, a build touches no network. ``python -m calock.packages.wheels`` in a checkout resolves anew and rewrites
``driver.lock``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from calock.packages.targets import PYTHONS, TARGETS, Target

HERE = Path(__file__).parent
LOCK = HERE / "driver.lock"


class WheelError(RuntimeError):
    """A wheel cannot be had, or is not the one that the lock names."""


def read_lock() -> Mapping[str, Mapping[str, str]]:
    """Target name → file name → SHA-256."""
    return tomllib.loads(LOCK.read_text("utf-8"))


def pip(*arguments: str, **environment: str) -> None:
    """Run pip; ``environment`` is added to ours.

    Raises:
        WheelError: it failed; with its last lines.
    """
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise WheelError("pip " + arguments[0] + ": " + "\n".join(said[-8:]))


def _download(target: Target, python: str, requirements: Path, folder: Path, *more: str) -> None:
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    version = ("--implementation", "cp", "--python-version", python)
    pip("download", "-q", "--only-binary=:all:", "-d", str(folder), *platforms, *version, "-r", str(requirements), *more)


def _python_of(file_name: str) -> str:
    """Which Python version to ask for to get this very file."""
    tag, abi = file_name.removesuffix(".whl").split("-")[-3:-1]
    return f"3.{tag[3:]}" if tag.startswith("cp3") and abi.startswith("cp") else PYTHONS[0]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(target: Target, folder: Path) -> list[Path]:
    """Every wheel of ``target``, in ``folder``, each with the hash of the lock.

    Raises:
        WheelError: pip cannot get one, or got another one.
    """
    wanted = read_lock()[target.name]
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name, digest in wanted.items() if not (folder / name).exists() or sha256_of(folder / name) != digest]
    by_python: dict[str, list[str]] = defaultdict(list)
    for name in missing:
        (folder / name).unlink(missing_ok=True)
        by_python[_python_of(name)].append(name)
    for python, names in sorted(by_python.items()):
        with tempfile.TemporaryDirectory() as scratch:
            requirements = Path(scratch) / "requirements.txt"
            lines = (f"{name.split('-')[0]}=={name.split('-')[1]} --hash=sha256:{wanted[name]}" for name in names)
            requirements.write_text("\n".join(lines), "utf-8")
            _download(target, python, requirements, folder, "--no-deps", "--require-hashes")
    absent = [name for name in wanted if not (folder / name).exists()]
    if absent:
        raise WheelError(f"pip did not bring {', '.join(absent)}")
    return [folder / name for name in sorted(wanted)]


def _requirements() -> list[str]:
    """What the driver needs: the project's own lists. pip comes along because Debian's python3 has none in its venv."""
    project = tomllib.loads((HERE.parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["agent"], "pip>=26"]


def _resolve(target: Target, folder: Path) -> Iterable[Path]:
    requirements = folder / "requirements.txt"
    # colorama: what click asks for on Windows; pip reads markers for the system it runs on, not for the one it fetches for
    more = ["colorama"] if target.os == "windows" else []
    requirements.write_text("\n".join([*_requirements(), *more]), "utf-8")
    for python in PYTHONS:
        _download(target, python, requirements, folder)
    return folder.glob("*.whl")


def main() -> None:
    """Resolve for every target and write ``driver.lock``."""
    lines = ["# Wheels inside the driver packages: file name = SHA-256. Written by `python -m calock.packages.wheels`."]
    for target in TARGETS:
        with tempfile.TemporaryDirectory() as scratch:
            found = sorted((path.name, sha256_of(path)) for path in _resolve(target, Path(scratch)))
        lines += ["", f"[{target.name}]", *(f'"{name}" = "{digest}"' for name, digest in found)]
    LOCK.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
