"""Which keys may sign the seals, as the trail itself tells it.

Each machine has a key of its own. The key of the first seal is the first one of the trail. Another machine enters its key as a row,
and seals nothing until a machine whose key is known has sealed that row: so every key hangs on the first by signatures, and whoever
merely writes to the database adds none. In the row the new key signs which trail it joins; a machine that finds a trail
with another first key knows by its own statement that this is not the one it belongs to.
"""

from __future__ import annotations

from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calock.core.trail.heads import Head, is_signed, key_statement, vouches
from calock.server.audit.canonical import Scalar, is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.services import record
from calock.server.audit.tree import leaf, leaves_of, public_hex

KnownKeys = dict[str, AuditEvent | None]
"""Each key (raw Ed25519, hex) and the row that brought it in; None for the first, and for those that somebody noted elsewhere."""


def first_key() -> str:
    """The key that signed the trail's first seal; empty when nothing is sealed yet, or that seal is not readable or not signed."""
    line = AuditSeal.objects.order_by("seq").values_list("head", flat=True).first()
    try:
        head = Head.of_line(line) if line else None
    except ValueError:
        return ""
    return head.key if head is not None and head.is_signed_by_one_of((head.key,)) else ""


def known_keys(trusted: Collection[str] = ()) -> KnownKeys:
    """The keys whose seals count.

    ``trusted``: the keys to begin with, as noted outside the database. Without them it is the first key of the trail, and a key
    that took over by the owner's command counts as well, as long as the server's secret still vouches for that row.
    """
    first = first_key()
    known: KnownKeys = dict.fromkeys(trusted or filter(None, (first,)))
    for row in key_rows():
        if states(row, trail=first) and (is_sealed_by(row, known) or (not trusted and took_over(row) and is_intact(row))):
            known.setdefault(row.details["key"], row)
    return known


def key_rows() -> list[AuditEvent]:
    """Every row that enters a key, the oldest first: one or two for each machine that ever was."""
    return list(AuditEvent.objects.filter(event=Event.SEALING_KEY_ADDED).order_by("pk"))


def enter_key(key: Ed25519PrivateKey, *, trail: str, took_over: bool = False) -> AuditEvent:
    """Write the row with which a machine asks to be known. ``trail``: the first key of the trail that it joins.

    ``took_over``: the owner says that no machine with a known key is left; then the secret alone vouches for the new one.
    """
    details: dict[str, Scalar] = {"key": public_hex(key), "trail": trail, "took_over": took_over}
    return record(Event.SEALING_KEY_ADDED, details={**details, "signature": key.sign(key_statement(details)).hex()})


def take_over(key: Ed25519PrivateKey) -> AuditEvent | None:
    """Let this machine's key go on with the trail, unless it may already."""
    trail = first_key()
    return enter_key(key, trail=trail, took_over=True) if trail and public_hex(key) not in known_keys() else None


def has_asked(key: str) -> bool:
    """Whether a row that asks to let this key in waits for its seal."""
    sealed = AuditSeal.objects.order_by("-seq").values_list("last_id", flat=True).first() or 0
    rows = [row for row in key_rows() if row.pk > sealed and is_intact(row)]
    return any(states(row, trail=first_key()) and row.details["key"] == key for row in rows)


def states(row: AuditEvent, *, trail: str) -> bool:
    """Whether the key that a row names signed that it joins this trail."""
    told = row.details
    if not isinstance(told, dict) or told.get("trail") != trail:
        return False
    return is_signed(key_statement(told), str(told.get("signature")), str(told.get("key")))


def took_over(row: AuditEvent) -> bool:
    """Whether a key came in by the owner's command, after no machine with a known key was left."""
    return row.details.get("took_over") is True


def is_sealed_by(row: AuditEvent, known: Collection[str]) -> bool:
    """Whether a seal by one of these keys holds the row, as a row that the server wrote."""
    seal = AuditSeal.objects.filter(first_id__lte=row.pk, last_id__gte=row.pk).first()
    if seal is None:
        return False
    try:
        head = Head.of_line(seal.head)
    except ValueError:
        return False
    leaves = leaves_of(seal)
    return head.is_signed_by_one_of(known) and vouches(head, leaves) and leaves.get(row.pk) == leaf(row)
