"""Where the demonstration keeps its things, below one directory that ``make demo-reset`` may delete."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calock.server.tools.files import replacing

MARK = "calock-demo.json"
"""Its presence says that a directory is a demonstration's and may be deleted as a whole."""

_BY_ITSELF = Path(".calock")


@dataclass(frozen=True, slots=True)
class Place:
    """The data directory (also the server's ``CALOCK_DATA``) and what lies in it."""

    root: Path

    @property
    def mark(self) -> Path:
        return self.root / MARK

    @property
    def lock(self) -> Path:
        """Held while a demonstration runs on this directory."""
        return self.root / "calock-demo.lock"

    @property
    def pki(self) -> Path:
        """Keys and certificates of the practice CAs."""
        return self.root / "demo" / "pki"

    @property
    def crls(self) -> Path:
        """What the CRL source serves."""
        return self.root / "demo" / "crls"

    @property
    def crl_address(self) -> Path:
        """Where the CRL source says that it listens."""
        return self.root / "demo" / "crl-source-address"

    @property
    def timestamps(self) -> Path:
        """Key, CA and address of the practice time-stamp authority."""
        return self.root / "demo" / "timestamps"

    @property
    def mailbox(self) -> Path:
        """What the practice mailbox got, and where it listens."""
        return self.root / "demo" / "mailbox"

    @property
    def locks(self) -> Path:
        """The soft backend's directory: practice locks, plugged in and in the drawer."""
        return self.root / "demo" / "locks"

    @property
    def packages(self) -> Path:
        """Driver packages as built, before they are uploaded to the catalogue, and the practice key that signs them."""
        return self.root / "demo" / "packages"

    @property
    def logs(self) -> Path:
        return self.root / "demo" / "logs"

    @property
    def driver_home(self) -> Path:
        """The driver's own configuration and state directory, so that it never meets a real driver's."""
        return self.root / "demo" / "driver"

    @property
    def words(self) -> str:
        """``demo``, and what it takes to mean this place: people type the commands that we print where they like."""
        return "demo" if self.root == _BY_ITSELF.resolve() else f"demo --data {shlex.quote(str(self.root))}"

    def contents(self) -> list[Path]:
        """What lies here besides the lock."""
        return [path for path in self.root.iterdir() if path != self.lock] if self.root.exists() else []

    def create(self) -> None:
        for directory in (self.root, self.pki, self.crls, self.locks, self.packages, self.logs, self.driver_home):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root.chmod(0o700)  # one that somebody made by hand is open to others, and the server refuses it

    def notes(self) -> dict[str, Any]:
        """What the world's builder wrote down about itself; empty before the first build."""
        notes: dict[str, Any] = json.loads(self.mark.read_text("utf-8")) if self.mark.exists() else {}
        return notes

    def write_notes(self, notes: dict[str, Any]) -> None:
        """Replace the notes in one step, so that an interrupted build is seen as unfinished, not as broken."""
        with replacing(self.mark) as file:
            file.write(json.dumps(notes, ensure_ascii=False, indent=1, sort_keys=True).encode())


def default_place() -> Place:
    """``CALOCK_DATA``, else ``.calock`` in the current directory."""
    return Place(Path(os.environ.get("CALOCK_DATA") or _BY_ITSELF).resolve())
