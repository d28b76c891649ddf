"""The entries of a CRL (revokedCertificates), read in place: their number is unbounded, and ``cryptography`` would copy them.

Source: RFC 5280 clauses 5.1.2.6 and 5.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from calock.core.der import reader
from calock.core.revocation.signed_data import revocation_untrusted

MAX_ENTRIES = 4_000_000

REASON_NAMES = {
    0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
    5: "cessationOfOperation", 6: "certificateHold", 8: "removeFromCRL", 9: "privilegeWithdrawn", 10: "aACompromise",
}  # fmt: skip
"""CRLReason of RFC 5280 clause 5.3.1."""
HOLD = 6
REMOVE = 8
_MAX_REASON = 255
"""A record has one octet for it."""

SERIAL_SIZE = 21
"""Octets of a serial in two's complement: 20 octets of value (RFC 5280 clause 4.1.2.2) may need one for the sign."""


Record = tuple[bytes, int, int]
"""(serial as SERIAL_SIZE octets, least significant first, two's complement; reason code; revocation time in epoch seconds)."""


def walk_entries(data: reader.Bytes, start: int, stop: int) -> Iterator[Record]:
    """Read revokedCertificates in place, one entry at a time.

    Raises:
        Refusal: REVOCATION_UNTRUSTED; malformed, an entry of another issuer, an unknown critical entry extension, or too many.
    """
    entries = _EntryReader()
    position = start
    count = 0
    try:
        while position < stop:
            count += 1
            tag, first, end = reader.element(data, position, stop)
            if tag != reader.SEQUENCE or count > MAX_ENTRIES:
                raise reader.DerError("not an entry" if tag != reader.SEQUENCE else f"more than {MAX_ENTRIES}")  # noqa: TRY301 - same end
            yield entries.read(bytes(data[first:end]))
            position = end
    except reader.DerError as error:
        raise revocation_untrusted(f"CRL entry {count}: {error}") from error


class _EntryReader:
    """Reads entries. Days, times of day and extensions, which repeat, are decoded once; these caches are bounded."""

    def __init__(self) -> None:
        self._extensions: dict[bytes, int] = {}
        self._days: dict[bytes, int] = {}
        self._clocks: dict[bytes, int] = {}

    def read(self, entry: bytes) -> Record:
        """Read the contents of one entry: ``INTEGER · Time · SEQUENCE?``.

        It runs a million times, so it looks at the octets itself. Neither number nor time is ever long enough for a length of more
        than one octet; one that has it ends beyond the entry, and is refused for that.
        """
        size = len(entry)
        try:
            after = 2 + entry[1]
            end = after + 2 + entry[after + 1]
        except IndexError as error:
            raise reader.DerError("truncated") from error
        number = entry[2:after]
        if entry[0] != reader.INTEGER or not 0 < len(number) <= SERIAL_SIZE or end > size:
            raise reader.DerError("no serial number of at most 20 octets with a time behind it")
        reason = 0
        if end != size:
            blob = entry[end:]
            known = self._extensions.get(blob)
            reason = self._reason(blob) if known is None else known
        moment = entry[after + 2 : end]
        day = self._days.get(moment[:-7])
        clock = self._clocks.get(moment[-7:])
        if day is None or clock is None or entry[after] != (reader.UTC_TIME if end - after == 15 else reader.GENERALIZED_TIME):
            day, clock = self._time(entry[after], moment)
        seconds = day + clock
        if not 0 <= seconds <= 0xFFFFFFFF:
            seconds = 0 if seconds < 0 else 0xFFFFFFFF
        return number[::-1].ljust(SERIAL_SIZE, b"\xff" if number[0] & 0x80 else b"\0"), reason, seconds

    def _time(self, tag: int, moment: bytes) -> tuple[int, int]:
        """Seconds of the day's start and of the time of day."""
        found = reader.time(tag, moment)
        clock = found.hour * 3600 + found.minute * 60 + found.second
        day = int(found.timestamp()) - clock
        if len(self._days) < 65536:
            self._days[moment[:-7]] = day
        self._clocks[moment[-7:]] = clock
        return day, clock

    def _reason(self, blob: bytes) -> int:
        reason = _entry_reason(blob)
        if len(self._extensions) < 1024:  # a handful in practice; hostile data may not grow it
            self._extensions[blob] = reason
        return reason


def _entry_reason(blob: bytes) -> int:
    """Reason code of crlEntryExtensions.

    Raises:
        Refusal: an entry of another issuer (indirect), or an unknown critical extension.
        reader.DerError: malformed.
    """
    start, end = reader.whole(blob)
    reason = 0
    seen = set()
    for tag, _, first, stop in reader.children(blob, start, end, 16):
        if tag != reader.SEQUENCE:
            raise reader.DerError("entry extension")
        parts = reader.children(blob, first, stop, 3)
        if not 2 <= len(parts) <= 3 or parts[0][0] != reader.OID or parts[-1][0] != reader.OCTET_STRING:
            raise reader.DerError("entry extension")
        if len(parts) == 3 and parts[1][0] != reader.BOOLEAN:
            raise reader.DerError("entry extension criticality")
        critical = len(parts) == 3 and reader.boolean(blob[parts[1][2] : parts[1][3]])
        dotted = reader.oid(blob[parts[0][2] : parts[0][3]])
        if dotted in seen:
            raise reader.DerError("entry extension twice")
        seen.add(dotted)
        if dotted == "2.5.29.29":
            raise revocation_untrusted("CRL entry of another issuer (indirect CRL)")
        if dotted == "2.5.29.21":
            reason = _reason_code(blob[parts[-1][2] : parts[-1][3]])
        elif critical and dotted not in ("2.5.29.23", "2.5.29.24"):
            raise revocation_untrusted(f"unknown critical CRL entry extension {dotted}")
    return reason


def _reason_code(value: bytes) -> int:
    """CRLReason; one that no standard names (7, above 10) revokes like any other, and shuts out nobody else of that CA."""
    start, end = reader.whole(value, reader.ENUMERATED)
    code = reader.integer(value[start:end])
    return code if 0 <= code <= _MAX_REASON else 0


def moment_of(seconds: int) -> datetime:
    """Turn a record's epoch seconds into a moment."""
    return datetime.fromtimestamp(seconds, UTC)
