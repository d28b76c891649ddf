"""The program itself: an environment of its own, filled from the package's wheels without any network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import venv
from pathlib import Path
from typing import Any

from check import InstallError, version_key
from places import Places

FOUND = ("find_skf", "find_pkcs11", "skf_names", "pkcs11_names")
"""What a manifest may say about vendor libraries; the driver reads its configuration by the same names."""
KEPT = ("installer", "licences", "uninstall.sh", "uninstall.command", "uninstall.cmd", "uninstall.ps1")


def installed_version(places: Places) -> str:
    """Version in use; empty when none is installed."""
    try:
        version = places.current.read_text("utf-8").strip()
    except OSError:
        return ""
    return version if places.python(version).exists() else ""


def install_program(places: Places, folder: Path, version: str) -> str:
    """Put the program in place unless the same or a newer one is there; the result is the version in use from now on.

    The old version stays until the new one is complete.

    Raises:
        InstallError: this Python has no venv, or a wheel does not fit it.
    """
    before = installed_version(places)
    if before and version_key(before) >= version_key(version):
        return before  # never back: an older package only adds its platform to the newer program
    target = places.environment(version)
    shutil.rmtree(target, ignore_errors=True)
    places.versions.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        venv.create(target, with_pip=False, symlinks=os.name != "nt")
        _fill(places.python(version), folder / "wheels")
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(target, ignore_errors=True)
        said = getattr(error, "stderr", "") or str(error)
        raise InstallError(
            "无法建立运行环境。在 Debian、UOS、麒麟上请先安装 python3-venv，然后重试。",
            "no environment could be made: " + "\n  ".join(str(said).strip().splitlines()[-4:]),
        ) from error
    _keep(places, folder)
    fresh = places.current.with_suffix(".new")
    fresh.write_text(version, "utf-8")
    fresh.replace(places.current)
    for other in places.versions.iterdir():
        if other.name != version:
            shutil.rmtree(other, ignore_errors=True)
    return version


def _fill(python: Path, wheels: Path) -> None:
    """Install from the wheels alone. pip runs out of its own wheel: Debian's venv brings none."""
    (pip,) = wheels.glob("pip-*.whl")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    clean |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    options = ["--no-index", "--no-cache-dir", "--quiet", "--find-links", str(wheels), "--only-binary", ":all:"]
    command = [str(python), str(pip / "pip"), "install", *options, "calock[agent]"]
    subprocess.run(command, check=True, capture_output=True, text=True, env=clean, stdin=subprocess.DEVNULL)


def _keep(places: Places, folder: Path) -> None:
    """Keep what uninstalling needs, and the licences."""
    for name in KEPT:
        source, target = folder / name, places.data / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, target)


def _toml(value: object) -> str:
    """A TOML value: strings, booleans and lists of strings read the same in JSON."""
    return json.dumps(value, ensure_ascii=False)


def add_package(places: Places, folder: Path, manifest: dict[str, Any]) -> None:
    """Tell the driver which platform's pages it answers, and keep the signed manifest for later updates."""
    kept = places.packages / manifest["code"]
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in ("manifest.json", "manifest.sig"):
        shutil.copyfile(folder / name, kept / name)
    modules = manifest.get("modules", {})
    lines = [
        f"# {manifest['title']} {manifest['version']}；由安装程序写入，卸载时删除。Written by the installer.",
        f"package = {_toml(manifest['code'])}",
        f"origins = {_toml(manifest['origins'])}",
        *(f"{name} = {_toml(modules[name])}" for name in FOUND if modules.get(name)),
    ]
    dropped = places.config / "agent.d"
    dropped.mkdir(parents=True, exist_ok=True)
    dropped.chmod(0o700)  # the driver reads no configuration that others may write, whatever the umask was
    file = dropped / f"{manifest['code']}.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    file.chmod(0o600)


def packages(places: Places) -> list[str]:
    """Codes of the installed packages."""
    return sorted(path.name for path in places.packages.iterdir()) if places.packages.exists() else []


def remove_package(places: Places, code: str) -> None:
    (places.config / "agent.d" / f"{code}.toml").unlink(missing_ok=True)
    shutil.rmtree(places.packages / code, ignore_errors=True)


def remove_all(places: Places) -> None:
    """Remove the program, its state and, where nothing of the user's own is left in it, the configuration folder."""
    shutil.rmtree(places.state, ignore_errors=True)
    for folder in (places.config / "agent.d", places.config):
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    shutil.rmtree(places.data, ignore_errors=True)
    if places.data.exists():  # Windows cannot delete the Python that is running; it is the system's, so this is a real leftover
        raise InstallError("有文件未能删除，请关闭驱动后重试。", f"left: {places.data}")
