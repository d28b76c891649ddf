"""Put a receipt's file together from what was kept, and give each part the one form that it must have.

Some parts say the same in the form that OpenSSL reads. They follow from the others, so a check of a file makes them again and
compares: a part cannot say one thing to a program and another to a person.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.receipts import openssl
from calock.core.receipts.guide import guide
from calock.core.receipts.record import Record
from calock.core.receipts.tree import ProofStep
from calock.core.trail.heads import HEAD_PREFIX


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The parts of a lock's answer (Web eID 1.0) that a receipt needs; the driver sends more."""

    unverified_certificate: str
    algorithm: str
    signature: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where the audit row of the act stands in the trail."""

    row: bytes
    """The row in canonical form."""
    leaf: bytes
    """What is hashed for the tree: a mark, the row's id, its MAC, the row."""
    steps: tuple[ProofStep, ...]
    head: str
    """The signed head, one line of JSON."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """An outside authority's time-stamp over a head of the audit trail."""

    response: bytes
    """TimeStampResp of RFC 3161, DER."""
    heads: tuple[str, ...]
    """The heads behind the receipt's own, up to the stamped one; empty when that is its own."""
    anchors: bytes
    """CA certificates of the authority, PEM, as the platform believes them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a receipt's file is made of."""

    record: bytes
    token: bytes
    chain: Sequence[bytes]
    """DER, the lock's first."""
    policy: bytes
    revocation: Mapping[str, bytes]
    """Kept CRLs and OCSP answers by SHA-256."""
    position: Position
    stamp: Stamp | None = None
    """None: NO_EXTERNAL_TIME."""
    names: Mapping[str, str] = field(default_factory=dict)
    """How account, organisation and lock are called, as the server's tables say when the file is made. Proved by nothing."""


def read_answer(token: bytes) -> Answer:
    """Read the answer.

    Raises:
        ValueError: it is none.
    """
    return msgspec.json.decode(token, type=Answer)


def head_parts(line: str) -> tuple[dict[str, object], bytes, bytes]:
    """A head's values, the octets that are signed, and the signature.

    Raises:
        ValueError: it is no head.
    """
    values = json.loads(line)
    if not isinstance(values, dict) or not isinstance(values.get("signature"), str):
        raise ValueError("not an audit head")  # noqa: TRY004 - a file's content, not a caller's mistake
    signature = bytes.fromhex(values.pop("signature"))
    return values, HEAD_PREFIX + json.dumps(values, sort_keys=True, separators=(",", ":")).encode(), signature


def judged_for(record: Record, lock: Certificate) -> datetime:
    """The moment for which the chain counts: that of the act; for a bound one that was over by then, its last."""
    at = datetime.fromisoformat(record.at)
    may_be_over = json.loads(record.statement).get("purpose") == "bind"
    return lock.not_after - timedelta(seconds=1) if may_be_over and at > lock.not_after else at


def parts_of(contents: Contents, record: Record) -> dict[str, bytes]:
    """Every part by its name, but for the list of all of them and its signature.

    Raises:
        ValueError: something of it cannot be read.
    """
    answer = read_answer(contents.token)
    chain = [Certificate.parse(der) for der in contents.chain]
    position = contents.position
    values, signed, head_signature = head_parts(position.head)
    sides = [step.side for step in position.steps]
    commands = [
        openssl.signature_command(answer.algorithm),
        openssl.chain_command(chain, judged_for(record, chain[0])),
        openssl.inclusion_command(sides),
    ]
    parts = {
        "receipt.json": contents.record,
        "token.json": contents.token,
        "statement.json": record.statement.encode(),
        "challenge.txt": record.challenge.encode(),
        "origin.txt": record.origin.encode(),
        "key.pem": openssl.pem("PUBLIC KEY", chain[0].spki_der),
        "signature.der": openssl.signature_der(answer.algorithm, base64.b64decode(answer.signature)),
        "policy.json": contents.policy,
        "names.json": msgspec.json.encode(dict(contents.names), order="sorted"),
        "audit/row.json": position.row,
        "audit/leaf.bin": position.leaf,
        "audit/proof.json": msgspec.json.encode(position.steps),
        "audit/root.bin": bytes.fromhex(str(values["root"])),
        "audit/head.json": position.head.encode(),
        "audit/head.txt": signed,
        "audit/head.sig": head_signature,
        "audit/head-key.pem": openssl.ed25519_pem(str(values["key"])),
        "核验说明.txt": guide(record, commands, time=_time_command(contents), names=contents.names).encode(),
    }
    parts |= {f"audit/{place}.bin": bytes.fromhex(step.hash) for place, step in enumerate(position.steps, 1)}
    names = openssl.chain_names(len(chain))
    parts |= {name: openssl.pem("CERTIFICATE", item.der) for name, item in zip(names, chain, strict=True)}
    parts |= {f"revocation/{sha256}.der": content for sha256, content in contents.revocation.items()}
    return parts | _stamp_parts(contents)


def _stamped_head(contents: Contents, stamp: Stamp) -> str:
    return stamp.heads[-1] if stamp.heads else contents.position.head


def _stamp_parts(contents: Contents) -> dict[str, bytes]:
    stamp = contents.stamp
    if stamp is None:
        return {}
    return {
        "timestamp.tsr": stamp.response,
        "timestamp-ca.pem": stamp.anchors,
        "audit/later-heads.jsonl": "".join(f"{line}\n" for line in stamp.heads).encode(),
        "audit/stamped-head.json": _stamped_head(contents, stamp).encode(),
    }


def _time_command(contents: Contents) -> str:
    if contents.stamp is None:
        return ""
    head = json.loads(_stamped_head(contents, contents.stamp))
    return openssl.time_command(datetime.fromisoformat(head["at"]))


LISTING_PREFIX = b"calock receipt v1\n"
"""Before the list, so that a signature over it is none over anything else."""


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All parts with their SHA-256, and the key that signs them: of the machine that made the file."""

    key: str
    """Raw Ed25519, hex: a sealing key of the platform, not always the one of the audit head."""
    parts: dict[str, str]


def listing(parts: Mapping[str, bytes], key: str) -> bytes:
    """The list of parts as it is signed."""
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    return msgspec.json.encode(Listing(key, hashes), order="sorted")


def listed(parts: Mapping[str, bytes], *, key: str, sign: Callable[[bytes], bytes]) -> dict[str, bytes]:
    """The parts with their list and its signature."""
    made = listing(parts, key)
    return {**parts, "manifest.json": made, "manifest.sig": sign(LISTING_PREFIX + made)}
