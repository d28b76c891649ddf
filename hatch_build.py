"""What a wheel of calock needs beside its sources: compiled translations, and the time of the sources."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def compile_messages(source: Path, target: Path) -> None:
    """Compile one ``.po`` file; its own header says when it was made, so the same source gives the same bytes."""
    with source.open("rb") as file:
        catalogue = read_po(file)
    with target.open("wb") as file:
        write_mo(file, catalogue)


class BuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds what is made to the wheel, and leaves nothing of it in the source tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        self._made = tempfile.TemporaryDirectory()
        made = Path(self._made.name)
        for source in Path(self.root, "src").rglob("*.po"):
            target = made / f"{source.stem}.{source.parts[-3]}.mo"
            compile_messages(source, target)
            inside = source.with_suffix(".mo").relative_to(Path(self.root, "src"))
            build_data["force_include"][str(target)] = str(inside)
        time = made / "sources-from.txt"
        time.write_text(self._epoch() + "\n", "ascii")
        build_data["force_include"][str(time)] = "calock/packages/sources-from.txt"

    def _epoch(self) -> str:
        if os.environ.get("SOURCE_DATE_EPOCH"):
            return os.environ["SOURCE_DATE_EPOCH"]
        command = ["git", "-C", self.root, "log", "-1", "--format=%ct"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() or "1767225600"
