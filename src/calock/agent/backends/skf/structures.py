"""Byte layouts of GM/T 0016-2012 clause 6.4, packed without gaps, for libraries whose ULONG has 4 or 8 bytes.

The standard's ULONG is 32 bit; some vendors compile it as ``unsigned long``, which has 64 bits on Linux and macOS.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

UlongSize = Literal[4, 8]

_ULONG = {4: "I", 8: "Q"}
DEVINFO_SIZE: dict[UlongSize, int] = {4: 294, 8: 326}
ECC_SIGNATURE_SIZE = 128
_FIELD = 64  # r and s stand in fields made for 512-bit curves


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a lock says of itself (DEVINFO): texts cleaned of control characters; ``serial`` names the device."""

    manufacturer: str
    issuer: str
    label: str
    serial: str
    firmware: str
    asymmetric: int
    """AlgAsymCap: bit mask of SGD_* algorithm families."""


@dataclass(frozen=True, slots=True)
class PinInfo:
    """State of the user PIN, read without a try."""

    tries_max: int
    tries_left: int
    default: bool


def text(raw: bytes) -> str:
    """Text of a fixed field up to its NUL: UTF-8 as the standard says, else GB 18030 as older locks have it; printable only."""
    raw = raw.split(b"\0", 1)[0]
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError:
        decoded = raw.decode("gb18030", errors="replace")
    return "".join(character for character in decoded if character.isprintable()).strip()


def parse_device_info(raw: bytes, ulong: UlongSize) -> DeviceInfo:
    """Read a DEVINFO.

    Raises:
        ValueError: made with the other ULONG: of another length, or with numbers that no 32-bit field of the standard holds.
    """
    if len(raw) != DEVINFO_SIZE[ulong]:
        raise ValueError(f"DEVINFO of {len(raw)} bytes")
    fields = struct.unpack(f"<2B64s64s32s32s4B8{_ULONG[ulong]}64s", raw)
    if any(number >> 32 for number in fields[10:18]):
        raise ValueError("DEVINFO was made with another ULONG")
    return DeviceInfo(
        manufacturer=text(fields[2]),
        issuer=text(fields[3]),
        label=text(fields[4]),
        serial=text(fields[5]),
        firmware=f"{fields[8]}.{fields[9]}",
        asymmetric=fields[11],
    )


def raw_signature(blob: bytes) -> bytes:
    """r‖s, 32 bytes each, of an ECCSIGNATUREBLOB, right-aligned as the standard has it or left-aligned as some vendors do.

    Raises:
        ValueError: r or s is zero or does not fit 32 bytes in either alignment.
    """
    if len(blob) != ECC_SIGNATURE_SIZE:
        raise ValueError("ECCSIGNATUREBLOB length")
    return _aligned(blob[:_FIELD]) + _aligned(blob[_FIELD:])


def _aligned(field: bytes) -> bytes:
    half = _FIELD // 2
    if not any(field):
        raise ValueError("r or s is zero")
    if not any(field[:half]):
        return field[half:]
    if not any(field[half:]):
        return field[:half]
    raise ValueError("r or s is longer than the curve")
