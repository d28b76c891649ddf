"""Fuzz targets for revocation data: each takes any bytes and must end in a value or a refusal."""

# ruff: noqa: PLC0415 - the parsers are imported under the fuzzer's instrumentation
from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
IMPORTS = ("calock.core.revocation.crl_index", "calock.core.revocation.responder")
AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def crl(data: bytes) -> None:
    """A whole CRL: read, walked, scope and times included."""
    from calock.core.refusals import Refusal
    from calock.core.revocation.crl import read_crl
    from calock.core.revocation.crl_entries import walk_entries

    try:
        head = read_crl(data)
        for _ in walk_entries(data, *head.entries):
            pass
    except Refusal:
        pass


def crl_entries(data: bytes) -> None:
    """The entries alone: the one part that cryptography does not read."""
    from calock.core.refusals import Refusal
    from calock.core.revocation.crl_entries import walk_entries

    try:
        for serial, reason, seconds in walk_entries(data, 0, len(data)):
            if len(serial) != 21 or not 0 <= reason <= 255 or not 0 <= seconds < 1 << 32:
                raise AssertionError("a record out of its bounds")
    except Refusal:
        pass


def crl_index(data: bytes) -> None:
    """An index file whose seal fits: also then nothing but a damaged index may come of it."""
    from calock.core.revocation.crl_index import CrlIndex, IndexDamagedError

    try:
        index = CrlIndex.open(data + hashlib.blake2b(data, digest_size=32, key=b"k").digest(), b"k")
        index.lookup(1)
        index.lookup(2**159)
    except IndexDamagedError:
        pass


def ocsp(data: bytes) -> None:
    """An OCSP response, up to the search for its signer."""
    from calock.core.refusals import Refusal
    from calock.core.revocation.ocsp import names_certificate, read_response

    try:
        message = read_response(data)
        for answer in message.responses:
            names_certificate(answer.cert_id, _issuer(), answer.cert_id.serial)
        _find_signer(message)
    except Refusal:
        pass


def _find_signer(message: object) -> None:
    from calock.core.policy import Policy
    from calock.core.revocation.responder import find_responder

    find_responder(message, _issuer(), known=(), policy=Policy(), at=AT)  # type: ignore[arg-type]


def _issuer() -> object:
    from calock.core.certificates.certificate import Certificate

    return Certificate.parse((CORPUS / "issuer.der").read_bytes())


TARGETS: dict[str, Callable[[bytes], None]] = {"crl": crl, "crl_entries": crl_entries, "crl_index": crl_index, "ocsp": ocsp}
