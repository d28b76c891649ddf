"""Keyed seals over the register's rows: what somebody writes into the database without the server's key is found.

It is not kept from being written, and what a seal fits is only *some* register that this server once had. So three things stand
together (HMAC-SHA-256 with a key derived from the server's secret; ASVS 6.7.1: trust anchors protected from modification):

* each row carries a MAC over the fields that decide trust, so that an edited row is not used;
* the register as a whole carries one over its revision and all row MACs, addresses of revocation data included, so that a row
  that was deleted, added or put back alone is seen;
* the newest revision is remembered outside the database (``rollback_guard.py``) and written into the audit trail
  (``register_audit.py``), so that putting everything back as it was, seal and all, is seen as well.

Not covered: names, links and hotlines of a provider, the subject and dates shown of a certificate, and the results of fetching.
It does not protect against those who have the server's secret or change its code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from calock.core.refusals import Reason, Refusal
from calock.server.tools import seals


class RegisterDamagedError(Refusal):
    """The register's rows are not those that this server sealed, or not the newest ones it did."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.REGISTER_DAMAGED, detail)


def mac(kind: str, fields: Sequence[object]) -> str:
    """MAC over one thing of the register: its kind, and what it says."""
    return seals.mac("register", _content(kind, fields))


def fits(text: str, kind: str, fields: Sequence[object]) -> bool:
    """Whether ``text`` is that MAC."""
    return seals.fits(text, "register", _content(kind, fields))


def _content(kind: str, fields: Sequence[object]) -> bytes:
    return seals.canonical([kind, *fields])


def register_mac(revision: int, macs: Iterable[str]) -> str:
    """MAC over the whole register: its revision and every row's MAC."""
    return mac("register", [revision, sorted(macs)])


def register_is_intact(revision: int, text: str, macs: Iterable[str]) -> bool:
    """Whether ``text`` is that MAC."""
    return fits(text, "register", [revision, sorted(macs)])


def moment(at: datetime | None) -> str:
    """A time as it stands under a seal: ISO 8601 in UTC, empty for none."""
    return at.astimezone(UTC).isoformat() if at else ""
