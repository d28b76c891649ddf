"""Keyed seals over the register's rows: whoever can write to the database, but does not hold the server's key, changes nothing.

Each row carries a MAC over the fields that decide trust; the register as a whole carries one over all row MACs and its revision,
so that deleting a row or putting an older row (with its then valid MAC) back is seen as well. HMAC-SHA-256 with a key derived from
the server's secret (ASVS 6.7.1: trust anchors protected from modification).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from datetime import UTC
from typing import TYPE_CHECKING

from calock.server.keys import key_for

if TYPE_CHECKING:
    from calock.server.providers.models import BundleKey, CaRecord, Provider, RegisterState, RevocationSource


def _mac(kind: str, fields: list[object]) -> str:
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


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


def ca_record_mac(record: CaRecord) -> str:
    """MAC over one CA certificate, whose it is, its state and version."""
    return _mac(
        "ca",
        [
            str(record.pk),
            str(record.provider_id),
            record.group,
            record.anchor,
            record.spki_sha256,
            hashlib.sha256(bytes(record.certificate)).hexdigest(),
            str(record.state),
            record.version,
        ],
    )


def source_mac(source: RevocationSource) -> str:
    """MAC over where revocation data may come from. The fetch results in the row are not covered: signatures cover the data."""
    return _mac("source", [str(source.ca_record_id), str(source.kind), source.url, source.private_network])


def bundle_key_mac(key: BundleKey) -> str:
    """MAC over a key whose bundles are believed, and how new the newest one was."""
    made_at = key.last_made_at.astimezone(UTC).isoformat() if key.last_made_at else ""
    return _mac("bundle_key", [str(key.pk), key.key_id, key.public_key, key.retired, made_at, key.version])


def register_mac(revision: int, macs: Iterable[str]) -> str:
    """MAC over the whole register: its revision and every row's MAC."""
    return _mac("register", [revision, sorted(macs)])


def provider_is_intact(provider: Provider) -> bool:
    return hmac.compare_digest(provider.mac, provider_mac(provider))


def ca_record_is_intact(record: CaRecord) -> bool:
    return hmac.compare_digest(record.mac, ca_record_mac(record))


def bundle_key_is_intact(key: BundleKey) -> bool:
    return hmac.compare_digest(key.mac, bundle_key_mac(key))


def source_is_intact(source: RevocationSource) -> bool:
    return hmac.compare_digest(source.mac, source_mac(source))


def register_is_intact(state: RegisterState, macs: Iterable[str]) -> bool:
    return hmac.compare_digest(state.mac, register_mac(state.revision, macs))
