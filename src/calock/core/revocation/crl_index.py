"""The index of a verified CRL: one block of octets that processes share by ``mmap``, with a look-up of a few memory reads.

The CRL is verified and its entries are read once, when the index is built. Other processes open the block: no parsing, no
object for each entry, and the memory pages are shared by all processes of the machine.

Layout (all numbers big-endian): magic 8 · size of the header 4 · header (JSON) · fan-out 65537 × 4 · records n × 26 · MAC 32.
A record is the serial (21 octets, two's complement, least significant octet first), the reason code (1) and the revocation time
in epoch seconds (4). Records are sorted; ``fanout[b]`` is the number of records whose first two octets are below ``b``: least
significant octets are spread evenly however a CA numbers its certificates, so only a handful of records is left to search. Small
CRLs have no fan-out. The MAC is keyed BLAKE2b over all before it.
"""

from __future__ import annotations

import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from struct import Struct
from typing import IO, Final

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.der import reader
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.crl import CrlHeader, read_crl
from calock.core.revocation.crl_entries import HOLD, REMOVE, SERIAL_SIZE, Record, moment_of, walk_entries
from calock.core.revocation.crl_scope import FULL_SCOPE, CrlScope
from calock.core.revocation.findings import RevocationFinding
from calock.core.revocation.serials import without_sign_octet

_MAGIC: Final = b"CALOCRL4"
_SIZE: Final = Struct(">I")
_PAIR: Final = Struct(">II")
_FANOUT_SIZE: Final = 65537 * 4
_FANOUT_FROM: Final = 2048
"""Entries from which the fan-out pays."""
_MOST_SORTED: Final = 1 << 14
"""Records that are sorted as objects, each of which takes three times its octets."""
_TAIL: Final = Struct(">BI")
_RECORD: Final = SERIAL_SIZE + _TAIL.size
_MAC: Final = 32


class IndexDamagedError(ValueError):
    """The block was not sealed with this key: it is truncated, changed, or of another version."""


class _Header(msgspec.Struct, frozen=True):
    signer_spki_sha256: str
    signer: bytes
    algorithm: bytes
    issuer: bytes
    this_update: int
    next_update: int
    number: str
    base_number: str
    sha256: str
    points: list[bytes]
    flags: list[bool]
    reasons: int
    count: int

    @property
    def scope(self) -> CrlScope:
        user, ca, attribute = self.flags
        return CrlScope(frozenset(self.points), only_user=user, only_ca=ca, only_attribute=attribute, reasons=self.reasons)


@dataclass(frozen=True, slots=True)
class CrlEntry:
    """A certificate that is on a CRL."""

    reason: int
    """CRLReason code; see :data:`calock.core.revocation.crl_entries.REASON_NAMES`."""
    revoked_at: datetime

    @property
    def final(self) -> bool:
        """Revoked for good: neither on hold nor removed from a list."""
        return self.reason not in (HOLD, REMOVE)

    @property
    def removed(self) -> bool:
        """A delta CRL says that the certificate is no longer revoked."""
        return self.reason == REMOVE


class CrlIndex:
    """One CRL whose signature was verified. Looking a serial up costs a microsecond or two at any size."""

    __slots__ = (
        "_buffer", "_fanout", "_start", "algorithm", "base_number", "count", "good", "is_complete", "issuer_der", "next_update",
        "number", "scope", "sha256", "signer_der", "signer_spki_sha256", "this_update",
    )  # fmt: skip

    def __init__(self, buffer: reader.Bytes) -> None:
        header, start = _read_header(buffer)
        self._buffer = bytes(buffer) if isinstance(buffer, memoryview) else buffer  # slices must be bytes, which compare
        self._fanout = start if header.count >= _FANOUT_FROM else 0
        self._start = start + (_FANOUT_SIZE if self._fanout else 0)
        self.signer_spki_sha256 = header.signer_spki_sha256
        self.signer_der = header.signer
        """Certificate (DER) whose key signed the CRL."""
        self.algorithm = header.algorithm
        """AlgorithmIdentifier (DER) of that signature: rules may come to refuse it while the CRL is held."""
        self.issuer_der = header.issuer
        try:
            self.this_update = datetime.fromtimestamp(header.this_update, UTC)
            self.next_update = datetime.fromtimestamp(header.next_update, UTC)
            self.number = int(header.number, 16) if header.number else None
            self.base_number = int(header.base_number, 16) if header.base_number else None
        except (ValueError, OverflowError, OSError) as error:
            raise IndexDamagedError(str(error)) from error
        self.sha256 = header.sha256
        """Of the CRL's DER."""
        self.scope = header.scope
        self.is_complete = header.scope == FULL_SCOPE and not header.base_number
        """It covers every certificate of its issuer and every reason."""
        self.count = header.count
        self.good = RevocationFinding(None, "crl", "not on the CRL", self.this_update, self.next_update, self.sha256)
        """The finding for every certificate that is not on it."""
        if len(buffer) != self._start + header.count * _RECORD + _MAC:
            raise IndexDamagedError("sizes do not fit")

    @classmethod
    def open(cls, buffer: reader.Bytes, key: bytes) -> CrlIndex:
        """Open a block that was written with this key.

        Raises:
            IndexDamagedError: it was not, or it is damaged.
        """
        if len(buffer) < _MAC:
            raise IndexDamagedError("truncated")
        view = memoryview(buffer)
        found = hashlib.blake2b(view[:-_MAC], digest_size=_MAC, key=key).digest()
        if not hmac.compare_digest(found, bytes(view[-_MAC:])):
            raise IndexDamagedError("the seal does not fit")
        return cls(buffer)

    @property
    def is_delta(self) -> bool:
        return self.base_number is not None

    def lookup(self, serial: int) -> CrlEntry | None:
        """Find the entry of a serial, also one that lacks its sign octet; None = not on this CRL."""
        found = self._entry(serial)
        if found is None and (other := without_sign_octet(serial)) is not None:
            return self._entry(other)
        return found

    def _entry(self, serial: int) -> CrlEntry | None:
        try:
            wanted = serial.to_bytes(SERIAL_SIZE, "little", signed=True)
        except OverflowError:
            return None  # longer than any serial a CRL may hold
        buffer, start = self._buffer, self._start
        low, high = 0, self.count
        if self._fanout:
            low, high = _PAIR.unpack_from(buffer, self._fanout + ((wanted[0] << 8 | wanted[1]) << 2))
        while low < high:
            middle = (low + high) >> 1
            at = start + middle * _RECORD
            if buffer[at : at + SERIAL_SIZE] < wanted:
                low = middle + 1
            else:
                high = middle
        at = start + low * _RECORD
        if low == self.count or buffer[at : at + SERIAL_SIZE] != wanted:
            return None
        reason, seconds = _TAIL.unpack_from(buffer, at + SERIAL_SIZE)
        return CrlEntry(reason, moment_of(seconds))


def _read_header(buffer: reader.Bytes) -> tuple[_Header, int]:
    try:
        if bytes(buffer[:8]) != _MAGIC:
            raise IndexDamagedError("not a CRL index of this version")
        (size,) = _SIZE.unpack_from(buffer, 8)
        start = 8 + _SIZE.size + size
        header = msgspec.json.decode(bytes(buffer[8 + _SIZE.size : start]), type=_Header)
        if len(header.flags) != 3:
            raise IndexDamagedError("truncated")
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise IndexDamagedError(str(error)) from error
    return header, start


def seal_anew(block: bytes, key: bytes, newer: bytes) -> bytes:
    """A block that was written with ``key``, under a newer key.

    Raises:
        IndexDamagedError: it was not, or it is damaged.
    """
    CrlIndex.open(block, key)
    body = block[:-_MAC]
    return body + hashlib.blake2b(body, digest_size=_MAC, key=newer).digest()


def write_index(head: CrlHeader, signer: Certificate, records: Iterable[Record], out: IO[bytes], key: bytes) -> int:
    """Write the index of a verified CRL to ``out``; returns the number of entries.

    Memory: one buffer of 26 octets an entry, and a little for sorting. Of two entries of a serial the more severe is kept.

    Raises:
        Refusal: REVOCATION_UNTRUSTED, from walking the entries; ``out`` is then to be thrown away.
    """
    buckets = [bytearray() for _ in range(256)]
    pack = _TAIL.pack
    for serial, reason, seconds in records:
        buckets[serial[0]] += serial + pack(reason, seconds)
    if head.base_number is None and any(_holds_removal(bucket) for bucket in buckets):
        raise Refusal(Reason.REVOCATION_UNTRUSTED, "removeFromCRL in a complete CRL")
    blocks = [_sorted(bucket, 1) for bucket in _emptying(buckets)]
    count = sum(map(len, blocks)) // _RECORD
    header = msgspec.json.encode(_header(head, signer, count))
    fanout = _fanout(blocks) if count >= _FANOUT_FROM else b""
    digest = hashlib.blake2b(digest_size=_MAC, key=key)
    for part in (_MAGIC, _SIZE.pack(len(header)), header, fanout, *blocks):
        digest.update(part)
        out.write(part)
    out.write(digest.digest())
    return count


def _fanout(blocks: list[bytes]) -> bytes:
    """Positions of each pair of first octets; ``blocks`` are the sorted records by their first octet."""
    positions = []
    before = 0
    for block in blocks:
        seconds = block[1::_RECORD]  # the second octet of every record, in order
        positions += [before + bisect_left(seconds, octet) for octet in range(256)]
        before += len(seconds)
    return Struct(f">{len(positions) + 1}I").pack(*positions, before)


def _emptying(buckets: list[bytearray]) -> Iterable[bytearray]:
    """Yield the buckets in order and release each, so that sorting needs no second copy of all."""
    buckets.reverse()
    while buckets:
        yield buckets.pop()


def _holds_removal(bucket: bytearray) -> bool:
    return REMOVE in bucket[SERIAL_SIZE::_RECORD]


def _sorted(bucket: bytearray, place: int) -> bytes:
    """Sort records that agree in the octets before ``place``; many records are first distributed by that octet."""
    if len(bucket) > _MOST_SORTED * _RECORD and place < SERIAL_SIZE:
        parts = [bytearray() for _ in range(256)]
        for at in range(0, len(bucket), _RECORD):
            parts[bucket[at + place]] += bucket[at : at + _RECORD]
        bucket.clear()
        return b"".join([_sorted(part, place + 1) for part in _emptying(parts)])
    records = sorted(bytes(bucket[at : at + _RECORD]) for at in range(0, len(bucket), _RECORD))
    kept: list[bytes] = []
    for record in records:
        if kept and kept[-1][:SERIAL_SIZE] == record[:SERIAL_SIZE]:
            kept[-1] = min(kept[-1], record, key=_least_severe_last)
        else:
            kept.append(record)
    return b"".join(kept)


def _least_severe_last(record: bytes) -> tuple[int, bytes]:
    """Final reasons first, then hold, then removal; of equals the earlier."""
    return {HOLD: 1, REMOVE: 2}.get(record[SERIAL_SIZE], 0), record[SERIAL_SIZE + 1 :]


def _header(head: CrlHeader, signer: Certificate, count: int) -> _Header:
    scope = head.scope
    return _Header(
        signer_spki_sha256=signer.spki_sha256,
        signer=signer.der,
        algorithm=head.signature_algorithm,
        issuer=head.issuer_der,
        this_update=int(head.this_update.timestamp()),
        next_update=int(head.next_update.timestamp()),
        number="" if head.number is None else f"{head.number:x}",
        base_number="" if head.base_number is None else f"{head.base_number:x}",
        sha256=head.sha256,
        points=sorted(scope.points),
        flags=[scope.only_user, scope.only_ca, scope.only_attribute],
        reasons=scope.reasons,
        count=count,
    )


def build_index(
    data: reader.Bytes, signer: Certificate, *, policy: Policy, at: datetime, head: CrlHeader | None = None
) -> CrlIndex:
    """Verify a CRL (DER) against its signer and index it in memory.

    Raises:
        Refusal: REVOCATION_UNTRUSTED.
    """
    head = head or read_crl(data)
    head.verify(data, signer, policy=policy, at=at)
    out = BytesIO()
    write_index(head, signer, walk_entries(data, *head.entries), out, b"")
    return CrlIndex(out.getvalue())
