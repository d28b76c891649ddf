"""What takes seconds to make and stays the same until the code changes, kept in ``build/kept`` from one run to the next."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

KEPT = Path(__file__).resolve().parents[2] / "build" / "kept"


def kept(name: str, versions: str, sources: Iterable[Path], make: Callable[[Path], Path]) -> Path:
    """The file or folder that ``make`` makes in the folder it is given; of other sources or versions it is made anew."""
    code = hashlib.sha256(versions.encode())
    for source in sorted(sources):
        code.update(source.read_bytes())
    found = KEPT / f"{name}-{code.hexdigest()}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not found.exists():
            for old in KEPT.glob(f"{name}-*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            with TemporaryDirectory(dir=KEPT) as folder:
                make(Path(folder)).rename(found)
    return found
