"""Where the audit row of a receipt stands in the trail: in the database, or kept with the receipt once the trail was archived."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from calock.core.receipts.parts import Position
from calock.core.receipts.tree import proof_of
from calock.core.refusals import Reason, Refusal
from calock.core.trail.heads import leaf_content
from calock.server.audit.canonical import canonical
from calock.server.audit.keepers import Keeper, register_keeper
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.tree import leaves_of
from calock.server.receipts.models import Receipt
from calock.server.tools import encryption


class AuditRow(msgspec.Struct):
    """An audit row as its leaf vouches for it."""

    id: int
    mac: str
    text: bytes
    """Its canonical bytes."""

    @classmethod
    def of(cls, row: AuditEvent) -> AuditRow:
        return cls(row.pk, row.mac, canonical(row))


class _Details(msgspec.Struct):
    receipt: str = ""


class _Said(msgspec.Struct):
    details: _Details


def position_of(receipt: Receipt, digest: str) -> tuple[int, Position]:
    """Number of the head below which the audit row of a receipt stands, and where. ``digest``: of the receipt's record.

    Raises:
        Refusal: RECEIPT_INCOMPLETE: it is not sealed yet, or gone; RECEIPT_ALTERED: it is another one.
    """
    row = _row_of(receipt)
    if row is None:  # archived by a version that kept no copy
        raise Refusal(Reason.RECEIPT_INCOMPLETE, "its audit row is no longer in the database: look into the archives of the trail")
    if msgspec.json.decode(row.text, type=_Said).details.receipt != digest:
        raise Refusal(Reason.RECEIPT_ALTERED, "its audit row names another record", {"part": "audit/row.json"})
    seal = _seal_of(row)
    if seal is None:
        raise Refusal(Reason.RECEIPT_INCOMPLETE, "its audit row is not sealed yet", {"wait": True})
    leaves = leaves_of(seal)
    leaf = leaf_content(row.id, row.mac, row.text, intact=True)
    if hashlib.sha256(leaf).digest() != leaves.get(row.id):  # nor does one count that was sealed as not written by the server
        raise Refusal(Reason.RECEIPT_ALTERED, "its audit row is not the one that was sealed", {"part": "audit/row.json"})
    steps = proof_of(list(leaves.values()), list(leaves).index(row.id))
    return seal.seq, Position(row.text, leaf, steps, seal.head)


def sealed_at(receipt: Receipt) -> datetime | None:
    """When the audit row of a receipt was sealed; None while it is not.

    Raises:
        Refusal: RECEIPT_ALTERED: the kept row does not open.
    """
    row = _row_of(receipt)
    seal = _seal_of(row) if row else None
    return seal.sealed_at if seal else None


def _row_of(receipt: Receipt) -> AuditRow | None:
    if receipt.audit_row is not None:
        return _opened(receipt)
    row = AuditEvent.objects.filter(number=receipt.number).first()
    return AuditRow.of(row) if row else None


def _seal_of(row: AuditRow) -> AuditSeal | None:
    return AuditSeal.objects.filter(first_id__lte=row.id, last_id__gte=row.id).first()


def _opened(receipt: Receipt) -> AuditRow:
    """The row that is kept with the receipt.

    Raises:
        Refusal: RECEIPT_ALTERED: changed behind the server's back, of another receipt, or under another secret.
    """
    try:
        return msgspec.json.decode(
            encryption.decrypt(bytes(receipt.audit_row or b""), "receipts", about_row(receipt)), type=AuditRow
        )
    except (ValueError, msgspec.MsgspecError) as error:
        raise Refusal(Reason.RECEIPT_ALTERED, f"the kept audit row: {error}", {"part": "audit/row.json"}) from error


def about_row(receipt: Receipt) -> str:
    """What binds a kept row to its receipt."""
    return f"audit row\x1f{receipt.number}"


def keep_rows(rows: Sequence[AuditEvent]) -> None:
    """Keep the rows on which receipts stand, before the trail lets go of them: a receipt outlives its row in the database."""
    named = {row.number: row for row in rows if row.details.get("receipt")}
    found = list(Receipt.objects.filter(pk__in=named, audit_row=None))
    for receipt in found:
        row = msgspec.json.encode(AuditRow.of(named[receipt.number]))
        receipt.audit_row = encryption.encrypt(row, "receipts", about_row(receipt))
    Receipt.objects.bulk_update(found, ["audit_row"], batch_size=500)


def register() -> None:
    register_keeper(Keeper("receipts", keep_rows))
