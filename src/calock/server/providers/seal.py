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

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from calock.core.refusals import Reason, Refusal
from calock.server.keys import key_for

if TYPE_CHECKING:
    from calock.server.providers.models import BundleKey, CaRecord, Provider, RevocationSource


class RegisterDamagedError(Refusal):
    """The register's rows are not those that this server sealed, or not the newest ones it did."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.REGISTER_DAMAGED, detail)


def _mac(kind: str, fields: list[object]) -> str:
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two MACs in constant time, whatever text somebody put in place of one."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def provider_mac(provider: Provider) -> str:
    """MAC over what makes a provider trusted and how: code, state, sites, rules, version."""
    return _mac(
        "provider",
        [
            str(provider.pk),
            provider.code,
            str(provider.state),
            provider.sites,
            provider.rules,
            provider.allow_expired_binding,
            provider.version,
        ],
    )


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat() if at else ""


def ca_record_mac(record: CaRecord) -> str:
    """MAC over one CA certificate, whose it is, its use, its state, since when, and version."""
    return _mac(
        "ca",
        [
            str(record.pk),
            str(record.provider_id),
            record.group,
            record.anchor,
            record.crl_signer,
            record.spki_sha256,
            hashlib.sha256(bytes(record.certificate)).hexdigest(),
            str(record.state),
            _moment(record.recognised_at),
            _moment(record.suspended_at),
            _moment(record.withdrawn_at),
            record.version,
        ],
    )


def source_mac(source: RevocationSource) -> str:
    """MAC over where revocation data may come from. The fetch results in the row are not covered: signatures cover the data."""
    return _mac("source", [str(source.ca_record_id), str(source.kind), source.url, source.private_network])


def bundle_key_mac(key: BundleKey) -> str:
    """MAC over a key whose bundles are believed, and how new the newest one was."""
    fields = [str(key.pk), key.key_id, key.public_key, key.retired, _moment(key.last_made_at), key.version]
    return _mac("bundle_key", fields)


def register_mac(revision: int, macs: Iterable[str]) -> str:
    """MAC over the whole register: its revision and every row's MAC."""
    return _mac("register", [revision, sorted(macs)])


def seen_mac(body: str) -> str:
    """MAC over what ``seen.py`` writes down."""
    return _mac("seen", [body])


def key_mark() -> str:
    """Tells this server's key from another without giving it away (16 hex digits)."""
    return _mac("key", [])[:16]


def provider_is_intact(provider: Provider) -> bool:
    return same(provider.mac, provider_mac(provider))


def ca_record_is_intact(record: CaRecord) -> bool:
    return same(record.mac, ca_record_mac(record))


def bundle_key_is_intact(key: BundleKey) -> bool:
    return same(key.mac, bundle_key_mac(key))


def source_is_intact(source: RevocationSource) -> bool:
    return same(source.mac, source_mac(source))


def register_is_intact(revision: int, mac: str, macs: Iterable[str]) -> bool:
    return same(mac, register_mac(revision, macs))
