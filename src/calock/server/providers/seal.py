"""Keyed seals over the register's rows: what somebody writes into the database without the server's key is found.

It is not kept from being written, and what a seal fits is only *some* register that this server once had. So three things stand
together (HMAC-SHA-256 with a key derived from the server's secret; ASVS 6.7.1: trust anchors protected from modification):

* each row carries a MAC over the fields that decide trust, so that an edited row is not used;
* the register as a whole carries one over its revision and all row MACs, addresses of revocation data included, so that a row
  that was deleted, added or put back alone is seen;
* the newest revision is remembered outside the database (``seen.py``) and written into the audit trail (``trail.py``), so that
  putting everything back as it was, seal and all, is seen as well.

Not covered: names, links and hotlines of a provider, the subject and dates shown of a certificate, and the results of fetching.
Somebody with the server's secret, or with its code, seals what he likes.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from calock.core.refusals import Reason, Refusal
from calock.server.tools.keys import key_for


class RegisterDamagedError(Refusal):
    """The register's rows are not those that this server sealed, or not the newest ones it did."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.REGISTER_DAMAGED, detail)


def _mac(kind: str, fields: list[object]) -> str:
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


def row_mac(kind: str, fields: list[object]) -> str:
    """MAC over one row: its kind and the fields that decide trust."""
    return _mac(kind, fields)


def moment(at: datetime | None) -> str:
    """A time as it stands under a seal: ISO 8601 in UTC, empty for none."""
    return at.astimezone(UTC).isoformat() if at else ""


def same(one: str, other: str) -> bool:
    """Compare two MACs in constant time, whatever text somebody put in place of one."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def register_mac(revision: int, macs: Iterable[str]) -> str:
    """MAC over the whole register: its revision and every row's MAC."""
    return _mac("register", [revision, sorted(macs)])


def seen_mac(body: str) -> str:
    """MAC over what ``seen.py`` writes down."""
    return _mac("seen", [body])


def key_mark() -> str:
    """Tells this server's key from another without giving it away (16 hex digits)."""
    return _mac("key", [])[:16]


def register_is_intact(revision: int, mac: str, macs: Iterable[str]) -> bool:
    return same(mac, register_mac(revision, macs))
