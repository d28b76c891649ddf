"""One CRL: read without its entries, judged, and its entries walked in place.

The entries are the only unbounded part. They are walked by :mod:`calock.core.walk`; everything else is handed, with the entries
cut out, to ``cryptography``, so that names, times and extensions meet the same strict parser as in certificates.

Sources: RFC 5280 clauses 5 and 6.3; GM/T 0015 (the same structure, signed SM2-with-SM3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509

from calock.core import walk
from calock.core.certificate import Certificate
from calock.core.crl_scope import EVERYTHING, Scope, scope_of
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.signed_data import SignatureProblemError, check_signature

MAX_SIZE = 64 * 1024 * 1024
"""Octets of one CRL. A million entries take about 40 MB."""
MAX_ENTRIES = 4_000_000

REASON_NAMES = {
    0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
    5: "cessationOfOperation", 6: "certificateHold", 8: "removeFromCRL", 9: "privilegeWithdrawn", 10: "aACompromise",
}  # fmt: skip
"""CRLReason of RFC 5280 clause 5.3.1."""
HOLD = 6
REMOVE = 8

SERIAL_SIZE = 21
"""Octets of a serial in two's complement: 20 octets of value (RFC 5280 clause 4.1.2.2) may need one for the sign."""

_HANDLED = {
    x509.CRLNumber, x509.DeltaCRLIndicator, x509.IssuingDistributionPoint, x509.AuthorityKeyIdentifier, x509.FreshestCRL,
    x509.IssuerAlternativeName, x509.AuthorityInformationAccess,
}  # fmt: skip


def unusable(detail: str) -> Refusal:
    """Build the refusal for data that exists but cannot be believed."""
    return Refusal(Reason.REVOCATION_UNTRUSTED, detail)


@dataclass(frozen=True, slots=True)
class CrlHead:
    """Everything of a CRL but its entries; nothing in it is verified yet."""

    issuer: x509.Name
    issuer_der: bytes
    this_update: datetime
    next_update: datetime
    number: int | None
    base_number: int | None
    """Of a delta CRL: the complete CRL from which it starts."""
    scope: Scope
    authority_key_id: bytes
    signature_algorithm: bytes
    signature: bytes = field(repr=False)
    tbs: tuple[int, int]
    entries: tuple[int, int]
    sha256: str

    def verify(self, data: walk.Bytes, signer: Certificate, *, policy: Policy, at: datetime) -> None:
        """Check that ``signer`` may sign CRLs and signed this one.

        Raises:
            Refusal: REVOCATION_UNTRUSTED.
        """
        if signer.key_usage is not None and "crl_sign" not in signer.key_usage:
            raise unusable("the signer's certificate does not allow CRL signing (cRLSign)")
        if not signer.not_before <= at <= signer.not_after:
            raise unusable("the signer's certificate is not valid at this time")
        try:
            signed = bytes(data[slice(*self.tbs)])
            check_signature(signer.spki_der, self.signature_algorithm, signed, self.signature, policy=policy, at=at)
        except SignatureProblemError as error:
            raise unusable(f"CRL signature: {error}") from error


def read_crl(data: walk.Bytes) -> CrlHead:
    """Read a CRL (DER) without its entries.

    Raises:
        Refusal: REVOCATION_UNTRUSTED; malformed, too large, without nextUpdate, indirect, or an unknown critical extension.
    """
    if len(data) > MAX_SIZE:
        raise unusable(f"CRL of {len(data)} bytes; at most {MAX_SIZE}")
    try:
        layout = _layout(data)
    except walk.WalkError as error:
        raise unusable(f"not a CRL: {error}") from error
    parsed = _parse_stub(layout.stub)
    if parsed.next_update_utc is None:
        raise unusable("CRL without nextUpdate")
    if parsed.next_update_utc < parsed.last_update_utc:
        raise unusable("CRL whose nextUpdate is before its thisUpdate")
    number, base, key_id, scope = _extensions(parsed)
    return CrlHead(
        issuer=parsed.issuer,
        issuer_der=layout.issuer,
        this_update=parsed.last_update_utc,
        next_update=parsed.next_update_utc,
        number=number,
        base_number=base,
        scope=scope,
        authority_key_id=key_id,
        signature_algorithm=layout.algorithm,
        signature=layout.signature,
        tbs=layout.tbs,
        entries=layout.entries,
        sha256=hashlib.sha256(data).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    stub: bytes
    issuer: bytes
    algorithm: bytes
    signature: bytes
    tbs: tuple[int, int]
    entries: tuple[int, int]


def _layout(data: walk.Bytes) -> _Layout:
    """Find the parts, and rebuild the CRL without revokedCertificates (the one SEQUENCE after the times)."""
    start, end = walk.whole(data)
    parts = walk.children(data, start, end, 3)
    if [tag for tag, *_ in parts] != [walk.SEQUENCE, walk.SEQUENCE, walk.BIT_STRING]:
        raise walk.WalkError("CertificateList")
    (_, tbs_position, tbs_start, tbs_end), (_, algorithm_position, _, algorithm_end), (_, _, bits_start, bits_end) = parts
    fields = walk.children(data, tbs_start, tbs_end, 8)
    tags = [tag for tag, *_ in fields]
    times = [index for index, tag in enumerate(tags) if tag in (walk.UTC_TIME, walk.GENERALIZED_TIME)]
    if len(times) not in (1, 2) or times[0] < 2:
        raise walk.WalkError("TBSCertList")
    entries = (0, 0)
    kept = fields
    after = times[-1] + 1
    if len(fields) > after and tags[after] == walk.SEQUENCE:
        _, _, *span = fields[after]
        entries = (span[0], span[1])
        kept = [*fields[:after], *fields[after + 1 :]]
    algorithm = bytes(data[algorithm_position:algorithm_end])
    _, inner, _, inner_end = fields[times[0] - 2]
    if bytes(data[inner:inner_end]) != algorithm:
        raise walk.WalkError("inner and outer signature algorithm differ")
    if bits_end - bits_start < 2 or data[bits_start] != 0:
        raise walk.WalkError("signature bits")
    _, issuer, _, issuer_end = fields[times[0] - 1]
    tbs = walk.encode(walk.SEQUENCE, b"".join(bytes(data[position:stop]) for _, position, _, stop in kept))
    bits = bytes(data[bits_start + 1 : bits_end])
    stub = walk.encode(walk.SEQUENCE, tbs + algorithm + walk.encode(walk.BIT_STRING, b"\0" + bits))
    if len(stub) > 64 * 1024:
        raise walk.WalkError("header too large")
    return _Layout(stub, bytes(data[issuer:issuer_end]), algorithm, bits, (tbs_position, tbs_end), entries)


def _parse_stub(stub: bytes) -> x509.CertificateRevocationList:
    try:
        parsed = x509.load_der_x509_crl(stub)
        _ = parsed.issuer, parsed.last_update_utc, parsed.next_update_utc
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise unusable(f"not a CRL: {str(error)[:120]}") from error
    return parsed


def _extensions(parsed: x509.CertificateRevocationList) -> tuple[int | None, int | None, bytes, Scope]:
    number: int | None = None
    base: int | None = None
    key_id = b""
    scope = EVERYTHING
    try:
        extensions = list(parsed.extensions)
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise unusable(f"CRL extensions cannot be read: {str(error)[:120]}") from error
    for extension in extensions:
        value = extension.value
        if extension.critical and type(value) not in _HANDLED:
            raise unusable(f"unknown critical CRL extension {extension.oid.dotted_string}")
        if isinstance(value, x509.CRLNumber):
            number = value.crl_number
        elif isinstance(value, x509.DeltaCRLIndicator):
            base = value.crl_number
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            key_id = value.key_identifier or b""
        elif isinstance(value, x509.IssuingDistributionPoint):
            scope = scope_of(value, parsed.issuer)
    if scope.indirect:
        raise unusable("indirect CRL")
    if base is not None and number is None:
        raise unusable("delta CRL without a number")
    return number, base, key_id, scope


Record = tuple[bytes, int, int]
"""(serial as SERIAL_SIZE octets, least significant first, two's complement; reason code; revocation time in epoch seconds)."""


def walk_entries(data: walk.Bytes, start: int, stop: int) -> Iterator[Record]:
    """Walk revokedCertificates in place, one entry at a time.

    Raises:
        Refusal: REVOCATION_UNTRUSTED; malformed, an entry of another issuer, an unknown critical entry extension, or too many.
    """
    reader = _EntryReader()
    position = start
    count = 0
    try:
        while position < stop:
            count += 1
            tag, first, end = walk.element(data, position, stop)
            if tag != walk.SEQUENCE or count > MAX_ENTRIES:
                raise walk.WalkError("not an entry" if tag != walk.SEQUENCE else f"more than {MAX_ENTRIES}")  # noqa: TRY301 - same end
            yield reader.read(bytes(data[first:end]))
            position = end
    except walk.WalkError as error:
        raise unusable(f"CRL entry {count}: {error}") from error


class _EntryReader:
    """Reads entries; what repeats (days, times of day, extensions) is computed once. All of it is bounded."""

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
            raise walk.WalkError("truncated") from error
        number = entry[2:after]
        if entry[0] != walk.INTEGER or not 0 < len(number) <= SERIAL_SIZE or end > size:
            raise walk.WalkError("serial or time of an entry")
        reason = 0
        if end != size:
            blob = entry[end:]
            known = self._extensions.get(blob)
            reason = self._reason(blob) if known is None else known
        moment = entry[after + 2 : end]
        day = self._days.get(moment[:-7])
        clock = self._clocks.get(moment[-7:])
        if day is None or clock is None or entry[after] != (walk.UTC_TIME if end - after == 15 else walk.GENERALIZED_TIME):
            day, clock = self._time(entry[after], moment)
        seconds = day + clock
        if not 0 <= seconds <= 0xFFFFFFFF:
            seconds = 0 if seconds < 0 else 0xFFFFFFFF
        return number[::-1].ljust(SERIAL_SIZE, b"\xff" if number[0] & 0x80 else b"\0"), reason, seconds

    def _time(self, tag: int, moment: bytes) -> tuple[int, int]:
        """Seconds of the day's start and of the time of day."""
        found = walk.time(tag, moment)
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
        walk.WalkError: malformed.
    """
    start, end = walk.whole(blob)
    reason = 0
    seen = set()
    for tag, _, first, stop in walk.children(blob, start, end, 16):
        if tag != walk.SEQUENCE:
            raise walk.WalkError("entry extension")
        parts = walk.children(blob, first, stop, 3)
        if not 2 <= len(parts) <= 3 or parts[0][0] != walk.OID or parts[-1][0] != walk.OCTET_STRING:
            raise walk.WalkError("entry extension")
        critical = len(parts) == 3 and parts[1][0] == 0x01 and blob[parts[1][2] : parts[1][3]] == b"\xff"
        if len(parts) == 3 and not critical:
            raise walk.WalkError("entry extension criticality")
        dotted = walk.oid(blob[parts[0][2] : parts[0][3]])
        if dotted in seen:
            raise walk.WalkError("entry extension twice")
        seen.add(dotted)
        if dotted == "2.5.29.29":
            raise unusable("CRL entry of another issuer (indirect CRL)")
        if dotted == "2.5.29.21":
            reason = _reason_code(blob[parts[-1][2] : parts[-1][3]])
        elif critical and dotted not in ("2.5.29.23", "2.5.29.24"):
            raise unusable(f"unknown critical CRL entry extension {dotted}")
    return reason


def _reason_code(value: bytes) -> int:
    start, end = walk.whole(value, walk.ENUMERATED)
    code = walk.integer(value[start:end])
    if code not in REASON_NAMES:
        raise walk.WalkError("CRL reason code")
    return code


def moment_of(seconds: int) -> datetime:
    """Turn a record's epoch seconds into a moment."""
    return datetime.fromtimestamp(seconds, UTC)
