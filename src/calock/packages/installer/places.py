"""Where the driver is installed, by the custom of each system. Everything belongs to the user; nothing needs an administrator."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

NAME = "calock-driver"


def system() -> str:
    """``linux``, ``windows`` or ``macos``."""
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")


@dataclass(frozen=True)
class Places:
    data: Path
    """The driver's program and the manifests of the packages it came from."""
    config: Path
    """What ``calock agent`` reads: ``agent.d/*.toml``."""
    state: Path
    """What ``calock agent`` writes."""

    @property
    def versions(self) -> Path:
        return self.data / "versions"

    @property
    def packages(self) -> Path:
        return self.data / "packages"

    @property
    def current(self) -> Path:
        """Names the version in use."""
        return self.data / "current-version"

    def environment(self, version: str) -> Path:
        return self.versions / version

    def python(self, version: str) -> Path:
        folder = self.environment(version)
        return folder / "Scripts" / "python.exe" if system() == "windows" else folder / "bin" / "python"


def _folder(variable: str, *default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value and Path(value).is_absolute() else Path.home().joinpath(*default)


def places() -> Places:
    """The user's own places; the same that ``calock.agent.config`` uses for configuration and state."""
    if system() == "windows":
        config = _folder("APPDATA", "AppData", "Roaming") / "calock"
        return Places(_folder("LOCALAPPDATA", "AppData", "Local") / NAME, config, config / "state")
    if system() == "macos":
        support = Path.home() / "Library" / "Application Support"
        return Places(support / NAME, support / "calock", support / "calock" / "state")
    return Places(
        _folder("XDG_DATA_HOME", ".local", "share") / NAME,
        _folder("XDG_CONFIG_HOME", ".config") / "calock",
        _folder("XDG_STATE_HOME", ".local", "state") / "calock",
    )
