"""Rows as a file: CSV, or an Excel workbook. No cell is a formula, whatever somebody typed into a name."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Any

from django.http import FileResponse
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from calock.server.tools.times import second_text

MAX_ROWS = 50_000
"""Rows of one file; a filter by time gives longer lists in parts."""
TYPES = {"csv": "text/csv; charset=utf-8", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
"""What spreadsheet programs take for the beginning of a formula, in full width too (OWASP, CSV injection; ASVS 1.2.10)."""

Row = Sequence[Any]


def plain(value: Any) -> str | int:
    """A cell as text: moments as the manuals print them, badges as their words, ``-`` and nothing as empty."""
    if isinstance(value, datetime):
        return second_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = strip_tags(value) if isinstance(value, SafeString) else str(value or "")
    return "" if text == "-" else text


def file_of(title: str, kind: str, rows: Iterable[Row]) -> FileResponse:
    """A download named ``title`` with the time; the first row holds the headings."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
    (_write_csv if kind == "csv" else _write_workbook)(file, rows)
    file.seek(0)
    name = f"{title}-{timezone.localtime():%Y%m%d-%H%M%S}.{kind}"
    return FileResponse(file, as_attachment=True, filename=name, content_type=TYPES[kind])


def _write_csv(file: IO[bytes], rows: Iterable[Row]) -> None:
    """UTF-8 with a byte order mark, without which Excel reads Chinese as the system's old encoding."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    for row in rows:
        cells = map(plain, row)
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells])
    text.detach()


def _write_workbook(file: IO[bytes], rows: Iterable[Row]) -> None:
    import xlsxwriter  # noqa: PLC0415 - a tenth of what a process needs to start, for a few of its requests

    book = xlsxwriter.Workbook(file, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 0)
    head = book.add_format({"bold": True})
    for number, row in enumerate(rows):
        for place, cell in enumerate(map(plain, row)):
            if isinstance(cell, int):
                sheet.write_number(number, place, cell)
            else:
                sheet.write_string(number, place, cell, head if number == 0 else None)
    book.close()
