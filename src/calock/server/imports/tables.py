"""Rows of a CSV file or an Excel workbook that somebody else made: text, nothing else, and bounded whatever the file holds."""

from __future__ import annotations

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, NamedTuple

from calock.core.refusals import Reason, Refusal
from calock.server.imports.structure import ChartSheetError, TooLargeError, TooManyRowsError, require_small_parts

MAX_FILE = 32 * 1024 * 1024
"""Bytes of a file."""
MAX_UNPACKED = 96 * 1024 * 1024
"""Bytes of everything in a workbook, which is a zip."""
MAX_MEMBERS = 500
"""Files in a workbook."""
MAX_LINES = 100_000
"""Lines of one file; longer lists come in parts."""
MAX_COLUMNS = 40
MAX_LINE = 64 * 1024
"""Characters of one line."""
MAX_CELL = 500
"""Characters of one cell."""
MAX_DIGITS = 15
"""Digits that spreadsheet programs keep of a number; of longer ones they show others."""

_SCIENTIFIC = re.compile(r"\d(\.\d+)?[Ee]\+\d{2}")
"""How spreadsheet programs write a longer number into a CSV file."""
_TEXT_FORMULA = re.compile(r'="([^"]*)"')
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TOO_LONG = "\x00long"
_TOO_MANY_ROWS = "工作表超过 {} 行（含空行）"


class Line(NamedTuple):
    """One row. ``fault`` says in Chinese why it cannot be read; ``cells`` are empty then."""

    number: int
    """As an editor or Excel counts, from 1; the headings have the first."""
    cells: list[str]
    fault: str = ""


def read_table(content: bytes) -> Iterator[Line]:
    """The rows of a file, of which blank ones are left out. An Excel workbook's first sheet counts.

    Raises:
        Refusal: REQUEST_MALFORMED, with words for people: no table at all, or a file beyond the bounds.
    """
    if len(content) > MAX_FILE:
        raise malformed(f"文件超过 {MAX_FILE // 1024 // 1024} MB")
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise malformed("旧版 Excel 文件（.xls）请另存为 .xlsx 或 CSV")
    lines = _workbook(content) if content.startswith(b"PK\x03\x04") else _text(content)
    for count, line in enumerate(lines, start=1):
        if count > MAX_LINES + 1:
            raise malformed(f"文件超过 {MAX_LINES} 行，请分成几个文件")
        yield line


def malformed(words: str) -> Refusal:
    return Refusal(Reason.REQUEST_MALFORMED, words)


# --- CSV


def _text(content: bytes) -> Iterator[Line]:
    if content.startswith(_UTF16):
        raise malformed("文件为 UTF-16 编码，请另存为 UTF-8 编码的 CSV")
    text = io.TextIOWrapper(io.BytesIO(content), encoding=_encoding(content), errors="surrogateescape", newline="")
    bounded = (line if len(line) <= MAX_LINE else f"{_TOO_LONG}\n" for line in text)
    head = content[:4096].split(b"\n", 1)[0]
    reader = csv.reader(bounded, delimiter=max(",;\t", key=lambda mark: head.count(mark.encode())), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(reader.line_num, [], f"无法读取该行：{error}")
        else:
            if any(map(str.strip, cells)):
                yield _checked(reader.line_num, [_without_formula(cell) for cell in cells])


def _without_formula(cell: str) -> str:
    """``="0012"`` is how exports keep Excel from reading a number; it means the text."""
    found = _TEXT_FORMULA.fullmatch(cell)
    return found[1] if found else cell


def _encoding(content: bytes) -> str:
    """UTF-8 with or without its mark, or GB 18030; of a file that is neither throughout, the one that more lines are in."""
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for name in ("utf-8", "gb18030"):
        try:
            content.decode(name)
        except UnicodeDecodeError:
            continue
        return name
    return min(("utf-8", "gb18030"), key=lambda name: sum(not _is_in(line, name) for line in content.split(b"\n")))


def _is_in(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _checked(number: int, cells: list[str]) -> Line:
    """A row's cells without blanks around them, or what is wrong with one."""
    if cells and cells[0] == _TOO_LONG:
        return Line(number, [], f"该行超过 {MAX_LINE} 个字符")
    while len(cells) > MAX_COLUMNS and not cells[-1]:
        cells.pop()
    if len(cells) > MAX_COLUMNS:
        return Line(number, [], f"该行超过 {MAX_COLUMNS} 列")
    made = [" ".join(cell.split()) for cell in cells]
    for place, cell in enumerate(made, start=1):
        if len(cell) > MAX_CELL:
            return Line(number, [], f"第 {place} 列超过 {MAX_CELL} 个字符")
        if _SCIENTIFIC.fullmatch(cell):
            return Line(number, [], f"第 {place} 列是科学计数法的数字，Excel 已丢失末位，请设为文本后重新填写")
        if not cell.isprintable():
            broken = any("\ud800" <= character <= "\udfff" for character in cell)
            return Line(number, [], f"第 {place} 列{'的编码有误' if broken else '含有控制字符'}")
    return Line(number, made)


# --- Excel


def _workbook(content: bytes) -> Iterator[Line]:
    """Rows as they stream by: openpyxl's read-only way holds one row at a time, whatever size the sheet says it has."""
    import openpyxl  # noqa: PLC0415 - a tenth of what a process needs to start, for a few of its requests

    _require_bounded(content)
    try:
        require_small_parts(content, rows=MAX_LINES + 1)
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(max_row=MAX_LINES + 2, max_col=MAX_COLUMNS + 1), start=1):
            _require_lines(number)
            if any(cell.value is not None for cell in row):
                yield _row(number, row)
    except Refusal:
        raise
    except TooManyRowsError as error:
        raise malformed(_TOO_MANY_ROWS.format(MAX_LINES)) from error
    except ChartSheetError as error:
        raise malformed("Excel 文件含有图表工作表，请另存为 CSV") from error
    except TooLargeError as error:
        raise malformed("Excel 文件的结构过大，请另存为 CSV") from error
    except Exception as error:  # what the library raises for a damaged file is not said anywhere
        raise malformed(f"无法读取 Excel 文件（{type(error).__name__}）") from error


def _require_lines(number: int) -> None:
    if number > MAX_LINES + 1:
        raise malformed(_TOO_MANY_ROWS.format(MAX_LINES))


def _require_bounded(content: bytes) -> None:
    """By the sizes that the zip states: Python's reader gives no more of a file than that."""
    try:
        members = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise malformed("Excel 文件已损坏") from error
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > MAX_UNPACKED:
        raise malformed(f"Excel 文件解压后超过 {MAX_UNPACKED // 1024 // 1024} MB")


def _row(number: int, row: tuple[Any, ...]) -> Line:
    cells = []
    for place, cell in enumerate(row, start=1):
        if cell.value is not None and cell.data_type in "ef":
            return Line(number, [], f"第 {place} 列是公式或错误值，请粘贴为文本")
        if isinstance(cell.value, datetime | date | time):
            return Line(number, [], f"第 {place} 列是日期，Excel 已改写原文，请设为文本后重新填写")
        if isinstance(cell.value, float | int) and abs(cell.value) >= 10**MAX_DIGITS:
            return Line(number, [], f"第 {place} 列是超过 {MAX_DIGITS} 位的数字，Excel 已丢失末位，请设为文本后重新填写")
        cells.append(_plain(cell.value))
    return _checked(number, cells)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
