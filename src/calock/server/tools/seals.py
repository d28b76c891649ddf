"""Seals: keyed MACs that show whether something was changed behind the server's back.

HMAC-SHA-256 (RFC 2104) with a key derived from the server's secret, another one for each purpose. Sealed so are rows of the audit
trail, of the register and of approvals, and what a machine keeps of the register and of its CRLs. CRL index files are not: they
are made anew from the CRL when they do not fit, and :mod:`calock.core.revocation.crl_index` seals them while it writes them.

A MAC is text of at most 64 characters, and nothing outside this file looks into it: the id of its key, a dot, and the MAC in
base64url. Those of earlier versions are 64 hex digits and name no key: any key of the ring may have made them.
"""

from __future__ import annotations

import base64
import hmac
import json

from calock.server.tools.keys import ID_LENGTH, Key, Purpose, key_ids, ring

_escaped = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_plain = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical(values: object, *, escaped: bool = True) -> bytes:
    """Values as JSON with sorted keys and no spaces: the same values give the same bytes. ``escaped``: in ASCII alone."""
    return (_escaped if escaped else _plain)(values).encode()


def mac(purpose: Purpose, content: bytes) -> str:
    """The MAC that fits ``content``, by the newest key."""
    return _named(ring(purpose)[0], content)


def macs(purpose: Purpose, content: bytes) -> tuple[str, ...]:
    """Every MAC of ``content`` that may be stored somewhere, the newest first: for look-ups by a keyed hash."""
    keys = ring(purpose)
    return (*(_named(key, content) for key in keys), *former_macs(purpose, content))


def former_macs(purpose: Purpose, content: bytes) -> tuple[str, ...]:
    """The MACs that name no key, 64 hex digits each, the newest key's first."""
    return tuple(hmac.digest(key.octets, content, "sha256").hex() for key in ring(purpose))


def fits(text: str, purpose: Purpose, content: bytes) -> bool:
    """Whether ``text`` is a MAC of ``content``, in constant time. It may be anything that somebody put in a MAC's place."""
    named = key_id(text)
    if not named:
        return any(same(text, former) for former in former_macs(purpose, content))
    return any(same(text, _named(key, content)) for key in ring(purpose) if key.id == named)


def key_id(text: str) -> str:
    """The key that a MAC says it was made with; empty for one that names none."""
    found, dot, _ = text.partition(".")
    return found if dot and len(found) == ID_LENGTH else ""


def is_of_another_key(text: str) -> bool:
    """Whether a MAC names a key that is not in the ring: of a secret that was taken away, or of another server."""
    named = key_id(text)
    return bool(named) and named not in key_ids()


def is_newest(text: str) -> bool:
    """Whether the newest key made it: there is nothing to make anew."""
    return key_id(text) == key_ids()[0]


def comparable(one: str, other: str) -> bool:
    """Whether it says something that two keyed hashes differ: they are of one key, or one of them is of nothing at all."""
    return (key_id(one) == key_id(other) or not (one and other)) and bool(one or other)


def same(one: str, other: str) -> bool:
    """Whether two MACs are the same, in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _named(key: Key, content: bytes) -> str:
    return f"{key.id}.{base64.urlsafe_b64encode(hmac.digest(key.octets, content, 'sha256')).rstrip(b'=').decode()}"
