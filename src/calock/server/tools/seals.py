"""Seals: keyed MACs that show whether something was changed behind the server's back.

HMAC-SHA-256 (RFC 2104) with a key derived from the server's secret, another one for each purpose. Sealed so are rows of the audit
trail, of the register and of approvals, and what a machine keeps of the register and of its CRLs. CRL index files are not: they
are made anew from the CRL when they do not fit, and :mod:`calock.core.revocation.crl_index` seals them while it writes them.

A MAC is text of at most 64 characters, and nothing outside this file looks into it.
"""

from __future__ import annotations

import hmac
import json

from calock.server.tools.keys import Purpose, key_for


def canonical(values: object, *, escaped: bool = True) -> bytes:
    """Values as JSON with sorted keys and no spaces: the same values give the same bytes. ``escaped``: in ASCII alone."""
    return json.dumps(values, ensure_ascii=escaped, sort_keys=True, separators=(",", ":")).encode()


def mac(purpose: Purpose, content: bytes) -> str:
    """The MAC that fits ``content``."""
    return hmac.digest(key_for(purpose), content, "sha256").hex()


def fits(text: str, purpose: Purpose, content: bytes) -> bool:
    """Whether ``text`` is a MAC of ``content``, in constant time. It may be anything that somebody put in a MAC's place."""
    return same(text, mac(purpose, content))


def same(one: str, other: str) -> bool:
    """Whether two MACs are the same, in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def octets(text: str) -> bytes:
    """A MAC as octets, for what is hashed together with it; of what is none, its text."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode(errors="replace")


def key_mark(purpose: Purpose) -> str:
    """Tells this server's key from another without giving it away (16 hex digits)."""
    return mac(purpose, canonical(["key"]))[:16]
