"""Run one fuzz target under atheris: ``python tests/fuzz/driver.py TARGET [--runs N] [--seed N]``.

Each input has its bounds: 100 ms of processor time and 64 MiB. What goes beyond them is a finding, as an uncaught exception is.
"""

# ruff: noqa: PLC0415, T201 - atheris is not there in the tests; a script that prints
from __future__ import annotations

import argparse
import importlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"
SECONDS = 0.1
MEBIBYTES = 64
MODULES = ("certificate_targets", "revocation_targets", "signed_targets")

Target = Callable[[bytes], None]


class Found(NamedTuple):
    """One target: what takes any bytes, and the calock modules that are to be instrumented for it."""

    name: str
    run: Target
    imports: tuple[str, ...]

    @property
    def seeds(self) -> list[Path]:
        return sorted((CORPUS / self.name).iterdir())


def targets() -> dict[str, Found]:
    """Every target of every module here."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"fuzz.{name}")
        found.update({key: Found(key, run, module.IMPORTS) for key, run in module.TARGETS.items()})
    return found


class TooMuchError(AssertionError):
    """An input cost more than it may."""


def limited(run: Target) -> Target:
    """The target with its bounds. What was slow once is tried again: the machine may have been busy."""

    def once(data: bytes) -> float:
        start = time.process_time()
        run(data)
        return time.process_time() - start

    def bounded(data: bytes) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent = once(data)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        if grown > MEBIBYTES:
            raise TooMuchError(f"{grown:.0f} MiB for one input")
        if spent > SECONDS and min(once(data) for _ in range(3)) > SECONDS:
            raise TooMuchError(f"{spent * 1000:.0f} ms for one input")

    return bounded


def main() -> None:
    sys.path.insert(0, str(HERE.parent))
    found = targets()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=found)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20261122)
    chosen = parser.parse_args()
    import atheris

    print(f"{chosen.target}: {chosen.runs} inputs, seed {chosen.seed}", flush=True)
    target = found[chosen.target]
    with atheris.instrument_imports(include=["calock"]):
        for name in target.imports:
            importlib.import_module(name)
    for seed in target.seeds:
        target.run(seed.read_bytes())  # whatever is made once is made before memory is counted
    with tempfile.TemporaryDirectory() as kept:
        atheris.Setup(
            [sys.argv[0], f"-runs={chosen.runs}", f"-seed={chosen.seed}", "-max_len=8192", "-rss_limit_mb=2048", "-timeout=5",
             "-print_final_stats=1", kept, str(CORPUS / target.name)],
            limited(target.run),
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
