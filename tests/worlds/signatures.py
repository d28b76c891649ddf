"""SM2 and ECDSA signatures as CAs write them otherwise than in DER."""

from __future__ import annotations

from collections.abc import Callable

from calock.core.der import reader
from calock.demo import der, pki


def numbers_of(signature: bytes) -> tuple[int, int]:
    start, stop = reader.whole(signature)
    parts = reader.children(signature, start, stop)
    return tuple(int.from_bytes(signature[first:end], "big", signed=True) for _, _, first, end in parts)  # type: ignore[return-value]


def fixed(signature: bytes, *, size: int = 32, stray: bool = False) -> bytes:
    """As a writer of fixed octets: no sign octet where one is needed, leading zeros where r or s is shorter."""
    r, s = (number.to_bytes(size, "big") for number in numbers_of(signature))
    body = der.tlv(0x02, r) + der.tlv(0x02, s)
    return bytes([0x30, len(body)]) + body + (b"\x00" if stray and (r[0] >= 0x80 or s[0] >= 0x80) else b"")


def padded(signature: bytes) -> bytes:
    """One leading zero octet too many in both numbers."""
    r, s = numbers_of(signature)
    return der.sequence(*(der.tlv(0x02, b"\x00" + der.integer(number)[2:]) for number in (r, s)))


def raw(signature: bytes) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers_of(signature))


def resigned(item: bytes, write: Callable[[bytes], bytes], *, until_written_otherwise: pki.Key) -> bytes:
    """The same certificate or CRL with its signature in another encoding; signed anew until that differs from DER."""
    outer = item[slice(*reader.whole(item))]
    parts = [outer[begin:end] for _, begin, _, end in reader.children(outer, 0, len(outer))]
    while True:
        signature = until_written_otherwise.sign(parts[0])
        other = write(signature)
        if other != signature:
            return der.sequence(parts[0], parts[1], der.bits(other))
