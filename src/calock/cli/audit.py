"""``calock audit verify FOLDER``: whether an archive of the audit trail is whole, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calock.cli.arguments import Parser, UsageError
from calock.cli.output import complain, show
from calock.core.trail.archive import check_archive

UNUSABLE = 2


def main(arguments: list[str]) -> int:
    """Exit status: 0 whole, 1 findings, 2 arguments that cannot be used."""
    parser = Parser(
        prog="calock audit", description="Verify an archive of the audit trail: no database, secret or server is needed."
    )
    parser.add_argument("verb", choices=["verify"])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--public-key", action="append", default=[], metavar="HEX", help="a sealing key from your own notes; else the first head's"
    )
    try:
        asked = parser.parse_args(arguments)
        report = check_archive(_lines(_files(asked.folder)), trusted=asked.public_key)
    except (UsageError, OSError) as error:
        complain(f"calock audit: {error}")
        return UNUSABLE
    for finding in report.findings:
        show(f"{finding}\n")
    for number in report.misfits:
        show(f"row {number}: its MAC did not fit when it was sealed\n")
    if report.finding_count or report.misfits:
        show(f"not whole: {report.finding_count + len(report.misfits)} findings\n")
        return 1
    show(
        f"whole: seals {report.first_seal} to {report.last_seal}, {report.rows} rows, signed by {', '.join(sorted(report.known))}\n"
    )
    if not asked.public_key:
        show("the first key is believed: compare it with your own notes, or give it as --public-key\n")
    return 0


def _files(folder: Path) -> list[Path]:
    """In the order of their seals, which their names say.

    Raises:
        UsageError: there is none.
    """
    files = sorted(folder.glob("audit-*.jsonl"))
    if not files:
        raise UsageError(f"{folder} holds no audit-….jsonl")
    return files


def _lines(files: list[Path]) -> Iterator[tuple[str, str]]:
    for path in files:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path.name}, line {number}", line
