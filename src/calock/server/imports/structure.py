"""How many XML elements a workbook makes a reader hold at once: a few kilobytes of zip may unpack to millions of them.

openpyxl streams a sheet row by row, and holds a whole row; it lets go of the texts of cells one by one; it reads every other part
whole. So each part is looked at first, by a parser that holds nothing. A part counts as a sheet, or as the texts, only when its
content type says so and nothing else (ISO/IEC 29500-2), and never where openpyxl reads a part by its name.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import IO
from xml.parsers import expat

MAX_ELEMENTS = 20_000
"""Of a part, without those inside of rows; and of one row."""
MAX_STRINGS = 2_000_000
"""Elements of the part that holds the texts of all cells: two for each text."""
MAX_TAG = 1024 * 1024
"""Octets of one tag, with its attributes."""
_CHUNK = 64 * 1024
_ROW = "http://schemas.openxmlformats.org/spreadsheetml/2006/main row"
_TYPES = "[Content_Types].xml"
_BY_NAME = {_TYPES.lower(), "xl/workbook.xml", "xl/styles.xml", "docprops/core.xml", "docprops/custom.xml"}
"""Parts that openpyxl reads whole whatever their content type is; and whatever ends with ``.rels``."""


class _Kind(Enum):
    """How openpyxl reads a part."""

    WHOLE = ""
    SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
    TEXTS = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"


class TooLargeError(ValueError):
    """More than a list of this size needs."""


class TooManyRowsError(ValueError):
    """A sheet is longer than a list may be."""


class ChartSheetError(ValueError):
    """A chart sheet, which would be read whole."""


def require_small_parts(content: bytes, *, rows: int) -> None:
    """Look at every file of a workbook. ``rows``: how many a sheet may have.

    Raises:
        TooLargeError: a part, a row or a tag is too large.
        TooManyRowsError: a sheet is too long.
        ChartSheetError: a sheet is a chart.
        ValueError: a document type declaration, which no spreadsheet program writes.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        listing = _Part(rows, _Kind.WHOLE)
        with book.open(_TYPES) as part:
            listing.read(part)
        for member in book.infolist():
            with book.open(member) as part:
                _Part(rows, _kind(member.filename.lower(), listing.types)).read(part)


def _kind(name: str, types: Mapping[str, set[str]]) -> _Kind:
    said = types.get(name, set())
    if name in _BY_NAME or name.endswith(".rels") or len(said) != 1:
        return _Kind.WHOLE
    return next((kind for kind in (_Kind.SHEET, _Kind.TEXTS) if kind.value in said), _Kind.WHOLE)


class _Part:
    """Counts elements as they go by."""

    def __init__(self, rows: int, kind: _Kind) -> None:
        self.types: dict[str, set[str]] = defaultdict(set)
        """All content types that the part says of each other one, whose name is in lower case."""
        self.rows, self.streamed = rows, kind is _Kind.SHEET
        self.most = MAX_STRINGS if kind is _Kind.TEXTS else MAX_ELEMENTS
        self.elements = self.outside = self.open_rows = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def read(self, part: IO[bytes]) -> None:
        """To the end, or to where it is no XML any more: no reader comes further."""
        fed = 0
        with suppress(expat.ExpatError):
            while chunk := part.read(_CHUNK):
                self.parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - self.parser.CurrentByteIndex > MAX_TAG:
                    raise TooLargeError("a tag")
            self.parser.Parse(b"", True)  # what comes behind a long tag, Expat 2.6 and later keeps for the end

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name.endswith("Override"):  # in any namespace, as openpyxl reads them
            self.types[attributes.get("PartName", "")[1:].lower()].add(attributes.get("ContentType", ""))
        if name.endswith("Relationship") and "chartsheet" in attributes.get("Type", ""):
            raise ChartSheetError("a chart sheet")
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
