"""How many XML elements a workbook makes a reader hold at once: a few kilobytes of zip may unpack to millions of them.

openpyxl streams a sheet row by row, and holds a whole row; it reads every other part whole. So each part is looked at first, by a
parser that holds nothing. Which part is what, a workbook says itself: a file in the folder of sheets must be a sheet by its content
type, and none may be a chart sheet, which would be read whole.
"""

from __future__ import annotations

import io
import zipfile
from typing import IO
from xml.parsers import expat

MAX_ELEMENTS = 20_000
"""Of a part, without those inside of rows; and of one row."""
MAX_STRINGS = 2_000_000
"""Elements of the part that holds the texts of all cells: two for each text."""
MAX_TAG = 1024 * 1024
"""Octets of one tag, with its attributes."""
_CHUNK = 64 * 1024
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ROW, _TEXTS = f"{_MAIN} row", f"{_MAIN} sst"
_SHEETS = "xl/worksheets/"
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"


class TooLargeError(ValueError):
    """More than a list of this size needs."""


class TooManyRowsError(ValueError):
    """A sheet is longer than a list may be."""


class PassedOffError(ValueError):
    """A sheet that would not be read as one, or a chart sheet."""


def require_small_parts(content: bytes, *, rows: int) -> None:
    """Look at every file of a workbook. ``rows``: how many a sheet may have.

    Raises:
        TooLargeError: a part, a row or a tag is too large.
        TooManyRowsError: a sheet is too long.
        PassedOffError: what lies among the sheets is said to be something else, or a sheet is a chart.
        ValueError: a document type declaration, which no spreadsheet program writes.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for member in book.infolist():
            with book.open(member) as part:
                _Part(rows, streamed=member.filename.startswith(_SHEETS)).read(part)


class _Part:
    """Counts elements as they go by."""

    def __init__(self, rows: int, *, streamed: bool) -> None:
        self.rows, self.streamed = rows, streamed
        self.most = self.elements = self.outside = self.open_rows = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def read(self, part: IO[bytes]) -> None:
        """To the end, or to where it is no XML any more: no reader comes further."""
        fed = 0
        while chunk := part.read(_CHUNK):
            try:
                self.parser.Parse(chunk, False)
            except expat.ExpatError:
                return
            fed += len(chunk)
            if fed - self.parser.CurrentByteIndex > MAX_TAG:
                raise TooLargeError("a tag")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name.endswith(("Override", "Relationship")):  # in any namespace, as openpyxl reads them
            _require_what_it_seems(attributes)
        self.most = self.most or (MAX_STRINGS if name == _TEXTS else MAX_ELEMENTS)
        if name == _ROW and self.streamed:
            if not self.open_rows:
                self.outside = self.elements
            self.open_rows += 1
        self.elements += 1
        if self.elements > self.most:
            raise TooLargeError("too many elements")

    def _end(self, name: str) -> None:
        if name != _ROW or not self.streamed:
            return
        self.open_rows -= 1
        if not self.open_rows:  # a reader lets go of a row, with what is in it, at its end
            self.elements = self.outside
            self.rows -= 1
            if self.rows < 0:
                raise TooManyRowsError("too many rows")

    def _doctype(self, *_: object) -> None:
        raise ValueError("a document type declaration")


def _require_what_it_seems(said: dict[str, str]) -> None:
    """``said``: attributes of an Override (ISO/IEC 29500-2, content types) or a Relationship."""
    if said.get("PartName", "")[1:].startswith(_SHEETS) and said.get("ContentType") != _SHEET:
        raise PassedOffError("a sheet by its place and not by its content type")
    if "chartsheet" in said.get("Type", ""):
        raise PassedOffError("a chart sheet")
