"""``make bench``: run the scripts beside this one, show what they print, and write it to docs/performance.md.

Run: ``python bench/run.py [NAME …] [-- ARGUMENT …]``; without names all of them. Arguments go to each script. What is not run keeps
its section, with the day of its run.
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
REPORT = HERE.parent / "docs" / "performance.md"
NOT_ALONE = {"run", "reference", "measuring"}
SECTION = re.compile(r"^## `(?P<name>\w+)`.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
HEAD = """# Performance: what was measured

Written by `make bench` (bench/run.py): each section is one run of one script of `bench/`, with the day and the machine. Machines
differ and are shared: what counts are ratios within one run, of CPU time (user and system, of the server's processes and of the
database's). A busy machine makes CPU times longer for both sides of a ratio, though not by the same factor: the load says how far
to trust it.

"""


def scripts() -> dict[str, Path]:
    return {path.stem: path for path in sorted(HERE.glob("*.py")) if path.stem not in NOT_ALONE}


def machine() -> str:
    """Processor, cores, memory, Python: what figures depend on, and nothing that names the computer."""
    told = Path("/proc/cpuinfo").read_text(errors="replace") if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", told, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"
    )


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or path.stem).partition("\n")[0]


def _end(process: subprocess.Popen[str], *_: object) -> None:
    """Let the script stop what it started before this one ends."""
    process.terminate()
    sys.exit(1)


def measured(path: Path, arguments: list[str]) -> tuple[str, int]:
    """The section of one script, and its exit status (1: a goal was missed, or it failed)."""
    before = os.getloadavg()[0]
    lines = []
    with subprocess.Popen([sys.executable, str(path), *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        signal.signal(signal.SIGTERM, partial(_end, process))
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    command = " ".join((f"bench/{path.name}", *arguments))
    about = f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {machine()}, {load}."
    status = "" if process.returncode in (0, 1) else f"\nIt ended with status {process.returncode}.\n"
    text = "\n".join(lines).strip()
    return f"## `{path.stem}`\n\n{first_line(path)}\n\n{about}\n{status}\n```\n{text}\n```\n\n", process.returncode


def write(sections: dict[str, str]) -> None:
    known = {match["name"]: match[0] for match in SECTION.finditer(REPORT.read_text("utf-8"))} if REPORT.exists() else {}
    known |= sections
    REPORT.write_text(HEAD + "".join(known[name] for name in sorted(known) if name in scripts()).rstrip() + "\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*scripts(), []], help=", ".join(scripts()))
    split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    names, arguments = parser.parse_args(sys.argv[1:split]).names, sys.argv[split + 1 :]
    worst = 0
    for name in names or scripts():
        print(f"\n== {name}", flush=True)
        section, status = measured(scripts()[name], arguments)
        write({name: section})
        worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main())
