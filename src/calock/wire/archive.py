"""The one strict form of zip that driver packages have: stored members, back to back, nothing before, between or after.

A zip in this form cannot be a bomb (nothing is compressed), means the same to every reader (the central directory and the
local headers agree byte for byte) and hides no second file. ``write_archive`` makes it; equal input gives equal bytes.
Source: APPNOTE.TXT 6.3.10, clauses 4.3.7, 4.3.12, 4.3.16.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import IO, NamedTuple

from calock.core.refusals import Reason, Refusal

MAX_MEMBERS = 2000
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_UTF8 = 0x800
_VERSION = 20
_UNIX = 3
_MODE_FILE = 0o100000


class ZipMember(NamedTuple):
    """Where one member's bytes lie."""

    start: int
    size: int
    executable: bool


class _Entry(NamedTuple):
    name: bytes
    common: tuple[int, ...]
    """Flags, method, time, date, CRC-32, compressed size, size: what both headers must agree on."""
    attributes: int
    made_by: int
    offset: int


def _refuse(why: str) -> Refusal:
    return Refusal(Reason.PACKAGE_REFUSED, why)


def write_archive(target: IO[bytes], files: Mapping[str, bytes], *, executable: frozenset[str], dos_time: tuple[int, int]) -> None:
    """Write ``files`` in the order of their names. ``dos_time``: (time, date) as zip notes them."""
    directory = bytearray()
    offset = 0
    for name in sorted(files):
        data, encoded = files[name], name.encode()
        common = (_UTF8, 0, *dos_time, zlib.crc32(data), len(data), len(data))
        target.write(_LOCAL.pack(b"PK\x03\x04", _VERSION, *common, len(encoded), 0) + encoded + data)
        mode = _MODE_FILE | (0o755 if name in executable else 0o644)
        directory += _CENTRAL.pack(
            b"PK\x01\x02", _UNIX << 8 | _VERSION, _VERSION, *common, len(encoded), 0, 0, 0, 0, mode << 16, offset
        )
        directory += encoded
        offset += _LOCAL.size + len(encoded) + len(data)
    target.write(directory)
    target.write(_END.pack(b"PK\x05\x06", 0, 0, len(files), len(files), len(directory), offset, 0))


def read_members(file: IO[bytes], *, limit: int) -> dict[str, ZipMember]:
    """Read and check the directory of a zip of this form; at least one member.

    Raises:
        Refusal: PACKAGE_REFUSED: another form of zip, unsafe or repeated names, more than ``limit`` bytes.
    """
    size = file.seek(0, 2)
    if size > limit:
        raise _refuse(f"{size} bytes; at most {limit}")
    count, directory_size, directory_start = _end_of(file, size)
    file.seek(directory_start)
    directory = file.read(directory_size)
    members: dict[str, ZipMember] = {}
    seen: set[str] = set()
    position = expected = 0
    for _ in range(count):
        entry, position = _entry(directory, position)
        name = _safe_name(entry)
        if entry.offset != expected:
            raise _refuse("bytes between the members")
        start = _same_as_local(file, entry)
        expected = start + entry.common[6]
        if name.casefold() in seen:
            raise _refuse(f"two members named {name[:80]!r}")
        seen.add(name.casefold())
        members[name] = ZipMember(start, entry.common[6], bool(entry.attributes >> 16 & 0o111))
    if position != len(directory) or expected != directory_start:
        raise _refuse("bytes that belong to no member")
    return members


def _end_of(file: IO[bytes], size: int) -> tuple[int, int, int]:
    if size < _END.size:
        raise _refuse("not a zip")
    file.seek(size - _END.size)
    mark, disk, first_disk, here, count, length, start, comment = _END.unpack(file.read(_END.size))
    if mark != b"PK\x05\x06" or comment:
        raise _refuse("not a zip, or bytes after its end")
    if disk or first_disk or here != count or not 0 < count <= MAX_MEMBERS:
        raise _refuse("split over disks, empty, or too many members")
    if start + length + _END.size != size:
        raise _refuse("the central directory is not where the zip says")
    return count, length, start


def _entry(directory: bytes, position: int) -> tuple[_Entry, int]:
    if position + _CENTRAL.size > len(directory):
        raise _refuse("the central directory is cut off")
    values = _CENTRAL.unpack_from(directory, position)
    mark, made_by, _, *common = values[:10]
    name_size, extra, comment, disk, _, attributes, offset = values[10:]
    position += _CENTRAL.size
    name = directory[position : position + name_size]
    if mark != b"PK\x01\x02" or len(name) != name_size or extra or comment or disk:
        raise _refuse("a member with extra fields, a comment or a broken entry")
    return _Entry(name, tuple(common), attributes, made_by, offset), position + name_size


def _safe_name(entry: _Entry) -> str:
    flags, method, _, _, _, packed, size = entry.common
    if flags != _UTF8 or method or packed != size:
        raise _refuse("a member is compressed, encrypted or streamed; package members are stored")
    mode = entry.attributes >> 16
    if entry.made_by >> 8 != _UNIX or mode & 0o170000 != _MODE_FILE:
        raise _refuse("a member is not a plain file")
    try:
        name = entry.name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refuse("a member's name is not UTF-8") from error
    parts = name.split("/")
    if not name.isprintable() or any(character in name for character in '\\:*?"<>|') or len(name) > 240:
        raise _refuse("a member's name has characters that a file name must not have")
    if any(part in ("", ".", "..") or part.endswith((".", " ")) for part in parts):
        raise _refuse("a member's name leaves its folder")
    return name


def _same_as_local(file: IO[bytes], entry: _Entry) -> int:
    """Compare with the local header; the result is where the member's bytes start."""
    file.seek(entry.offset)
    header = file.read(_LOCAL.size)
    if len(header) != _LOCAL.size:
        raise _refuse("a member lies outside the file")
    mark, _, *common = _LOCAL.unpack(header)
    name_size: int = common.pop(-2)
    extra = common.pop()
    if mark != b"PK\x03\x04" or tuple(common) != entry.common or extra or file.read(name_size) != entry.name:
        raise _refuse("local header and central directory disagree")
    return entry.offset + _LOCAL.size + name_size


def read_member(file: IO[bytes], member: ZipMember, limit: int) -> bytes:
    """Read one member's bytes.

    Raises:
        Refusal: PACKAGE_REFUSED, more than ``limit`` bytes.
    """
    if member.size > limit:
        raise _refuse(f"a member has {member.size} bytes; at most {limit}")
    file.seek(member.start)
    return file.read(member.size)
