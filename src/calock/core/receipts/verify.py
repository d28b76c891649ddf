"""Judge a receipt's file offline: every part against the others, the lock's signature, the chain, the place in the audit trail.

What it cannot know is whom to believe: whether the anchor is really that CA's, and the sealing key really that platform's. Both can
be given; where they are not, the report names them for comparison.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import TypeVar

import msgspec

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.challenge import purpose_of, statement_digest_of
from calock.core.policy import Policy
from calock.core.receipts.archive import pack, unpack
from calock.core.receipts.guide import NO_EXTERNAL_TIME
from calock.core.receipts.parts import (
    LISTING_PREFIX,
    Contents,
    Listing,
    Position,
    Stamp,
    head_parts,
    judged_for,
    listing,
    parts_of,
    read_answer,
)
from calock.core.receipts.record import Record, read_record, sha256
from calock.core.receipts.tree import ProofStep, climb
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.signed_data import SignatureRejectedError, check_issued_ever
from calock.core.statement import Statement, digest_of, read_statement
from calock.core.trail.heads import is_signed

REQUIRED = frozenset(
    {
        "receipt.json", "token.json", "statement.json", "challenge.txt", "origin.txt", "key.pem", "signature.der", "policy.json",
        "names.json", "audit/row.json", "audit/leaf.bin", "audit/proof.json", "audit/root.bin", "audit/head.json", "audit/head.txt",
        "audit/head.sig", "audit/head-key.pem", "核验说明.txt", "manifest.json", "manifest.sig",
    }
)  # fmt: skip
T = TypeVar("T")
_WRITTEN, _NOT_WRITTEN = b"\x00", b"\x02"
"""What the sealing machine marked a row with: whether its MAC fitted, so that the server wrote it."""


class Note(StrEnum):
    """What a file does not show by itself."""

    NO_EXTERNAL_TIME = NO_EXTERNAL_TIME
    TIMESTAMP_BY_OPENSSL = "TIMESTAMP_BY_OPENSSL"
    CERTIFICATE_WAS_EXPIRED = "CERTIFICATE_WAS_EXPIRED"
    ANCHOR_NOT_COMPARED = "ANCHOR_NOT_COMPARED"
    SEALING_KEY_NOT_COMPARED = "SEALING_KEY_NOT_COMPARED"
    REVOCATION_DATA_BY_HASH = "REVOCATION_DATA_BY_HASH"
    """With the SHA-256 behind it."""


@dataclass(slots=True)
class Report:
    """What was found. ``notes``: of :class:`Note`."""

    record: Record
    statement: Statement
    names: Mapping[str, str]
    number: str
    """Of the audit row."""
    anchor: str
    """SHA-256 of the anchor's public key."""
    sealing_key: str
    """Of the audit head."""
    listing_key: str
    """Of the machine that made the file."""
    notes: list[str] = field(default_factory=list)


def verify_receipt(file: bytes, *, anchors: Collection[str] = (), keys: Collection[str] = ()) -> Report:
    """Return what a file proves.

    ``anchors``: SHA-256 of public keys of CAs that are believed; ``keys``: audit sealing keys (raw Ed25519, hex) of the platform.
    Empty: none is asked for, and the report names the file's own.

    Raises:
        Refusal: RECEIPT_INCOMPLETE (no receipt, or a part is missing), RECEIPT_ALTERED with the part that does not hold, in
            ``detail`` and in ``facts["part"]``; RECEIPT_NOT_OURS for an anchor or a sealing key that is not among those given.
    """
    parts = unpack(file)
    missing = sorted(REQUIRED - parts.keys())
    if missing:
        raise Refusal(Reason.RECEIPT_INCOMPLETE, f"without {missing[0]}")
    chain = _holds("chain", lambda: _chain(parts))
    record = _holds("receipt.json", lambda: read_record(parts["receipt.json"]))
    values = _holds("audit/head.json", lambda: head_parts(parts["audit/head.json"].decode())[0])
    key = str(values.get("key"))
    _holds("token.json", lambda: read_answer(parts["token.json"]))
    listed_by = _require_listed(parts)
    _require_made_of(parts, record, chain)
    if pack(parts) != file:
        raise _altered("container")
    statement = _require_signature(parts, record, chain)
    _require_chain(record, chain)
    _require_evidence(parts, record)
    number = _require_position(parts, key, values)
    _require_stamp(parts)
    report = Report(record, statement, _names(parts), number, chain[-1].spki_sha256, key, listed_by)
    _require_believed(report, anchors, keys)
    report.notes += _notes(parts, record, chain[0], believed=(bool(anchors), bool(keys)))
    return report


def _altered(part: str, why: str = "") -> Refusal:
    return Refusal(Reason.RECEIPT_ALTERED, f"{part}{f': {why}' if why else ''}", {"part": part})


def _holds(part: str, look: Callable[[], T]) -> T:
    """What ``look`` gives; whatever keeps it from that is this part's fault."""
    try:
        return look()
    except Refusal as refusal:
        if refusal.reason in (Reason.RECEIPT_ALTERED, Reason.RECEIPT_INCOMPLETE):
            raise
        raise _altered(part, refusal.detail) from refusal
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise _altered(part, type(error).__name__) from error


def _chain(parts: Mapping[str, bytes]) -> list[Certificate]:
    names = sorted((name for name in parts if name.startswith("chain/")), key=lambda name: int(name[6:].partition("-")[0]))
    if len(names) < 2:
        raise Refusal(Reason.RECEIPT_INCOMPLETE, "without a chain")
    return [_holds(name, partial(_certificate, parts[name])) for name in names]


def _certificate(text: bytes) -> Certificate:
    body = b"".join(line for line in text.splitlines() if not line.startswith(b"-----"))
    return Certificate.parse(base64.b64decode(body, validate=True))


def _require_listed(parts: Mapping[str, bytes]) -> str:
    """Every part is the one that a server listed when it made the file; the key that signed the list."""
    found = {name: content for name, content in parts.items() if not name.startswith("manifest.")}
    said = _holds("manifest.json", lambda: msgspec.json.decode(parts["manifest.json"], type=Listing))
    if not is_signed(LISTING_PREFIX + parts["manifest.json"], parts["manifest.sig"].hex(), said.key):
        raise _altered("manifest.json", "its signature does not hold")
    if listing(found, said.key) != parts["manifest.json"]:
        wrong = [name for name in sorted(found.keys() | said.parts.keys()) if sha256(found.get(name, b"")) != said.parts.get(name)]
        raise _altered(wrong[0] if wrong else "manifest.json")
    return said.key


def _require_made_of(parts: Mapping[str, bytes], record: Record, chain: list[Certificate]) -> None:
    """The parts that follow from others do: the same statement, challenge, key and commands for every reader."""
    made = _holds("receipt.json", lambda: parts_of(_contents(parts, chain), record))
    for name in sorted(made.keys() | (parts.keys() - {"manifest.json", "manifest.sig"})):
        if made.get(name) != parts.get(name):
            raise _altered(name, "it does not follow from the others")


def _contents(parts: Mapping[str, bytes], chain: list[Certificate]) -> Contents:
    return Contents(
        record=parts["receipt.json"],
        token=parts["token.json"],
        chain=[item.der for item in chain],
        policy=parts["policy.json"],
        revocation={
            name[len("revocation/") : -len(".der")]: content for name, content in parts.items() if name.startswith("revocation/")
        },
        position=Position(parts["audit/row.json"], parts["audit/leaf.bin"], _steps(parts), parts["audit/head.json"].decode()),
        stamp=_stamp(parts),
        names=_names(parts),
    )


def _stamp(parts: Mapping[str, bytes]) -> Stamp | None:
    if "timestamp.tsr" not in parts:
        return None
    later = parts.get("audit/later-heads.jsonl", b"").decode().splitlines()
    return Stamp(parts["timestamp.tsr"], tuple(later), parts.get("timestamp-ca.pem", b""))


def _require_stamp(parts: Mapping[str, bytes]) -> None:
    """The stamp speaks of a head that the receipt's own leads to. Whether it holds, OpenSSL says, by the authority's CA."""
    stamp = _stamp(parts)
    if stamp is None:
        return
    before = sha256(parts["audit/head.json"])
    for line in stamp.heads:
        values = _holds("audit/later-heads.jsonl", partial(head_parts, line))[0]
        if values.get("previous") != before:
            raise _altered("audit/later-heads.jsonl")
        before = sha256(line.encode())
    if bytes.fromhex(before) not in stamp.response:
        raise _altered("timestamp.tsr", "it speaks of another head")


def _steps(parts: Mapping[str, bytes]) -> tuple[ProofStep, ...]:
    return _holds("audit/proof.json", lambda: msgspec.json.decode(parts["audit/proof.json"], type=tuple[ProofStep, ...]))


def _names(parts: Mapping[str, bytes]) -> dict[str, str]:
    return _holds("names.json", lambda: msgspec.json.decode(parts["names.json"], type=dict[str, str]))


def _require_signature(parts: Mapping[str, bytes], record: Record, chain: list[Certificate]) -> Statement:
    """The lock signed this challenge for this origin, and the challenge was made for this statement."""
    if sha256(parts["token.json"]) != record.token:
        raise _altered("token.json")
    statement = _holds("statement.json", lambda: read_statement(record.statement))
    if digest_of(record.statement) != statement_digest_of(record.challenge) or statement.purpose != purpose_of(record.challenge):
        raise _altered("statement.json", "the challenge was not made for it")
    if statement.origin != record.origin:
        raise _altered("origin.txt", "the statement names another")
    answer = _holds("token.json", lambda: read_answer(parts["token.json"]))
    if _holds("token.json", lambda: base64.b64decode(answer.unverified_certificate)) != chain[0].der:
        raise _altered("chain", "another certificate than the answer's")

    def holds() -> None:
        message = signatures.signed_message(answer.algorithm, record.origin, record.challenge)
        signatures.verify(chain[0].spki_der, answer.algorithm, message, base64.b64decode(answer.signature))

    _holds("signature.der", holds)
    return statement


def _require_chain(record: Record, chain: list[Certificate]) -> None:
    """Each certificate is the recorded one, was issued by the next one's key, and was valid at the moment of the act."""
    if tuple(item.sha256 for item in chain) != record.chain:
        raise _altered("chain", "not the recorded certificates")
    for item, issuer in pairwise(chain):
        try:
            check_issued_ever(item, issuer, policy=Policy())
        except SignatureRejectedError as error:
            raise _altered("chain", str(error)) from error
        if not issuer.is_ca:
            raise _altered("chain", "an issuer that is no CA")
    moment = judged_for(record, chain[0])
    if any(not item.not_before <= moment <= item.not_after for item in chain[:-1]):  # an anchor is a key, whatever its dates
        raise _altered("chain", "not valid at the moment of the act")


def _require_evidence(parts: Mapping[str, bytes], record: Record) -> None:
    if sha256(parts["policy.json"]) != record.policy:
        raise _altered("policy.json")
    recorded = {item.evidence for item in record.revocation}
    for name, content in parts.items():
        if name.startswith("revocation/") and (name != f"revocation/{sha256(content)}.der" or sha256(content) not in recorded):
            raise _altered(name)


def _require_position(parts: Mapping[str, bytes], key: str, values: Mapping[str, object]) -> str:
    """The audit row names this record, stands in the tree, and the tree's head is signed; gives the row's number."""
    row = _holds("audit/row.json", lambda: json.loads(parts["audit/row.json"]))
    details = row.get("details") if isinstance(row, dict) else None
    if not isinstance(details, dict) or details.get("receipt") != sha256(parts["receipt.json"]):
        raise _altered("audit/row.json", "it names another record")
    leaf = parts["audit/leaf.bin"]
    if leaf[:1] not in (_WRITTEN, _NOT_WRITTEN) or not leaf.endswith(parts["audit/row.json"]):
        raise _altered("audit/leaf.bin")
    if leaf[:1] == _NOT_WRITTEN:
        raise _altered("audit/row.json", "its MAC did not fit when it was sealed")
    root = _holds("audit/proof.json", lambda: climb(_leaf_hash(leaf), _steps(parts)))
    if root.hex() != values.get("root"):
        raise _altered("audit/proof.json", "the row is not below this head")
    if not is_signed(parts["audit/head.txt"], parts["audit/head.sig"].hex(), key):
        raise _altered("audit/head.sig")
    return str(row.get("number"))


def _leaf_hash(leaf: bytes) -> bytes:
    return bytes.fromhex(sha256(leaf))


def _require_believed(report: Report, anchors: Collection[str], keys: Collection[str]) -> None:
    if anchors and report.anchor not in anchors:
        raise Refusal(Reason.RECEIPT_NOT_OURS, "its anchor is not among those that are believed", {"part": "chain"})
    if keys and not {report.sealing_key, report.listing_key} <= set(keys):
        raise Refusal(Reason.RECEIPT_NOT_OURS, "its sealing key is not among those that are believed", {"part": "audit/head.json"})


def _notes(parts: Mapping[str, bytes], record: Record, lock: Certificate, *, believed: tuple[bool, bool]) -> list[str]:
    found: list[str] = [Note.TIMESTAMP_BY_OPENSSL if "timestamp.tsr" in parts else Note.NO_EXTERNAL_TIME]
    found += [Note.CERTIFICATE_WAS_EXPIRED] if judged_for(record, lock) != datetime.fromisoformat(record.at) else []
    found += [] if believed[0] else [Note.ANCHOR_NOT_COMPARED]
    found += [] if believed[1] else [Note.SEALING_KEY_NOT_COMPARED]
    wanted = {item.evidence for item in record.revocation if item.evidence}
    by_hash = [sha256_ for sha256_ in sorted(wanted) if f"revocation/{sha256_}.der" not in parts]
    return found + [f"{Note.REVOCATION_DATA_BY_HASH} {sha256_}" for sha256_ in by_hash]
