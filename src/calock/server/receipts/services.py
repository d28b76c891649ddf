"""Keep a receipt with the act that it is for, and make its file."""

from __future__ import annotations

import base64
import hashlib
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC

from django.conf import settings

from calock.core.receipts.archive import pack
from calock.core.receipts.parts import Contents, listed, parts_of, read_answer
from calock.core.receipts.record import Record, read_record
from calock.core.refusals import Reason, Refusal
from calock.server.audit.models import AuditEvent
from calock.server.audit.sealing_keys import first_key, known_keys
from calock.server.audit.tree import own_key, own_trail, public_hex, seal_key
from calock.server.providers.models import CaRecord, CaState
from calock.server.receipts.drafts import Draft
from calock.server.receipts.models import Blob, Receipt
from calock.server.receipts.positions import about_row, position_of
from calock.server.receipts.timestamps import stamp_over
from calock.server.tools import encryption
from calock.server.tools.rekeying import Rekeyed, batches, encrypt_anew

SMALL = 48 * 1024
"""Octets of a CRL that goes into every file: the whole of it stays below what anybody may send to 存证核验."""
_LENGTH = struct.Struct(">I")


def receipt_of(
    draft: Draft, row: AuditEvent, *, subject: uuid.UUID | None = None, binding: uuid.UUID | None = None, session: str = ""
) -> Receipt:
    """The unsaved receipt of the act that ``row`` tells of; it belongs into the act's transaction.

    ``subject``: whose lock it is about, where another acted. ``session``: digest of the one that the act opened.
    """
    assert row.actor is not None
    plain = _LENGTH.pack(len(draft.record)) + draft.record + draft.token
    made = Receipt(
        number=row.number,
        purpose=draft.purpose,
        account=row.actor,
        subject=subject if subject != row.actor else None,
        lock=row.lock,
        binding=binding,
        session=session or draft.session,
        at=row.at,
    )
    made.sealed = encryption.encrypt(plain, "receipts", _about(made))
    return made


def _about(receipt: Receipt) -> str:
    """Every column in clear: the sealed one opens for nobody else, and for no other act, once one of them was changed.

    The audit row that is kept along is bound to the receipt by ``positions.about_row``.
    """
    ids = (receipt.account, receipt.subject, receipt.lock, receipt.binding)
    texts = (receipt.number, receipt.purpose, *(str(id_ or "") for id_ in ids), receipt.session)
    return "\x1f".join((*texts, receipt.at.astimezone(UTC).isoformat()))


def keep(draft: Draft, row: AuditEvent, *, subject: uuid.UUID | None = None, binding: uuid.UUID | None = None) -> None:
    """Keep a receipt inside the transaction of its act."""
    receipt_of(draft, row, subject=subject, binding=binding).save(force_insert=True)


def opened(receipt: Receipt) -> tuple[bytes, bytes]:
    """Record and answer.

    Raises:
        Refusal: RECEIPT_ALTERED: changed behind the server's back, of another row, or under another secret.
    """
    try:
        plain = encryption.decrypt(bytes(receipt.sealed), "receipts", _about(receipt))
    except ValueError as error:
        raise Refusal(Reason.RECEIPT_ALTERED, f"the stored receipt: {error}", {"part": "receipt.json"}) from error
    (length,) = _LENGTH.unpack_from(plain)
    return plain[_LENGTH.size : _LENGTH.size + length], plain[_LENGTH.size + length :]


def record_of(receipt: Receipt) -> Record:
    """What was recorded.

    Raises:
        Refusal: as :func:`opened`.
    """
    return read_record(opened(receipt)[0])


def file_of(receipt: Receipt, *, names: Mapping[str, str], everything: bool = False) -> bytes:
    """The file that anybody can check without this server. ``names``: how account, organisation and lock are called now.

    ``everything``: with kept CRLs of any size; otherwise they stand in it by their SHA-256 when they are large.

    Raises:
        Refusal: RECEIPT_INCOMPLETE while its audit row is not sealed, and where data that it rests on is gone; RECEIPT_ALTERED.
    """
    record, token = opened(receipt)
    read = read_record(record)
    blobs = _blobs(read)
    seq, position = position_of(receipt, hashlib.sha256(record).hexdigest())
    contents = Contents(
        record=record,
        token=token,
        chain=_chain(read, token, blobs),
        policy=_blob(blobs, read.policy),
        revocation=_evidence(read, blobs, everything=everything),
        position=position,
        stamp=stamp_over(seq),
        names=names,
    )
    parts = parts_of(contents, read)
    key = seal_key(settings.CALOCK.data)
    return pack(listed(parts, key=public_hex(key), sign=key.sign))


def _blobs(record: Record) -> dict[str, bytes]:
    wanted = {*record.chain[1:], record.policy, *(item.evidence for item in record.revocation if item.evidence)}
    return {row.sha256: bytes(row.data) for row in Blob.objects.filter(pk__in=wanted)}


def _blob(blobs: Mapping[str, bytes], name: str) -> bytes:
    if name not in blobs:
        raise Refusal(Reason.RECEIPT_INCOMPLETE, f"the data {name} is gone from the database")
    return blobs[name]


def _evidence(record: Record, blobs: Mapping[str, bytes], *, everything: bool) -> dict[str, bytes]:
    found = {item.evidence: blobs[item.evidence] for item in record.revocation if item.evidence in blobs}
    return {name: data for name, data in found.items() if everything or len(data) <= SMALL}


def _chain(record: Record, token: bytes, blobs: Mapping[str, bytes]) -> list[bytes]:
    lock = base64.b64decode(read_answer(token).unverified_certificate)
    return [lock, *(_blob(blobs, name) for name in record.chain[1:])]


def believed_keys() -> tuple[str, ...]:
    """The audit sealing keys of this platform's machines (raw Ed25519, hex): those of the trail that this one belongs to."""
    own, trail = own_key(settings.CALOCK.data), own_trail(settings.CALOCK.data)
    known = known_keys() if trail and trail == first_key() else {}
    return tuple(sorted({*known, own} - {""}))


def believed_anchors() -> tuple[str, ...]:
    """SHA-256 of the keys of every CA that was ever recognised here as an anchor: a receipt outlives the recognition of its CA."""
    decided = CaRecord.objects.filter(anchor=True).exclude(state=CaState.PENDING)
    return tuple(row.spki_sha256 for row in decided if row.is_intact())


def rekey_receipts() -> Rekeyed:
    """Encrypt receipts anew under the newest key."""
    found = Rekeyed("receipts")
    for batch in batches(Receipt.objects.all()):
        for row in batch:
            encrypt_anew(found, row, "sealed", "receipts", _about(row))
            encrypt_anew(found, row, "audit_row", "receipts", about_row(row))
    return found
