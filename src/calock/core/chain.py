"""One written-down chain, judged by OpenSSL through pyOpenSSL.

The CA part of a chain is the register's and never changes, so it is judged once; after that a leaf is verified against its
issuing CA alone. That is the same decision as long as nothing above the issuing CA restricts the leaf itself: with name
constraints there, the whole chain is judged each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from OpenSSL import crypto

from calock.core.certificate import Certificate
from calock.core.refusals import Refusal
from calock.core.register import Issuer

PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN: trust ends at the store's certificate, also when it is an intermediate."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME; pyOpenSSL has no name for it. Dates are judged by the path step, under their own reasons."""
STRICT = 0x20
"""X509_V_FLAG_X509_STRICT."""

UNREADABLE = -1
_NAME_CONSTRAINTS = "2.5.29.30"
_MAX_KEPT = 1024


class ChainFault(NamedTuple):
    """Why OpenSSL refused: X509_V_ERR_* (or :data:`UNREADABLE`), depth (0 = leaf) and its words."""

    code: int
    depth: int
    text: str


def chain_fault(leaf: Certificate, issuers: Sequence[Issuer], *, strict: bool) -> ChainFault | None:
    """Judge signatures, name chaining, basic constraints, path lengths, key usage, critical extensions and name constraints.

    ``issuers``: from the CA that issued the leaf to the anchor; empty when the leaf is the anchor. None = nothing is wrong.
    """
    try:
        target = crypto.load_certificate(crypto.FILETYPE_ASN1, leaf.der)
        if not issuers:
            return _judge(target, _store(target, strict=strict), ())
        if _settled(issuers, strict=strict):
            return _judge(target, _kept_store(issuers[0], strict=strict), ())
        return _judge(target, _kept_store(issuers[-1], strict=strict), issuers[:-1])
    except crypto.Error:
        return ChainFault(UNREADABLE, 0, "OpenSSL cannot read a certificate of the path")


def _judge(target: crypto.X509, store: crypto.X509Store, between: Sequence[Issuer]) -> ChainFault | None:
    try:
        crypto.X509StoreContext(store, target, [issuer.openssl for issuer in between]).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors[:3]
        return ChainFault(int(code), int(depth), str(text))
    return None


def _store(anchor: crypto.X509, *, strict: bool) -> crypto.X509Store:
    store = crypto.X509Store()
    store.add_cert(anchor)
    store.set_flags(PARTIAL_CHAIN | NO_CHECK_TIME | (STRICT if strict else 0))
    return store


def _kept_store(issuer: Issuer, *, strict: bool) -> crypto.X509Store:
    store = issuer.stores.get(strict)
    if store is None:
        store = issuer.stores[strict] = _store(issuer.openssl, strict=strict)
    return store


def _settled(issuers: Sequence[Issuer], *, strict: bool) -> bool:
    """Whether the CA part holds and says nothing about leaves, so that the issuing CA may stand for it."""
    if len(issuers) == 1:
        return True
    kept = issuers[0].settled
    key: tuple[bool | str, ...] = (strict, *(issuer.certificate.sha256 for issuer in issuers))
    known = kept.get(key)
    if known is None:
        if len(kept) >= _MAX_KEPT:
            kept.clear()
        known = kept[key] = _lengths_allow_a_leaf(issuers) and (
            _judge(issuers[0].openssl, _kept_store(issuers[-1], strict=strict), issuers[1:-1]) is None
        )
    return known


def _lengths_allow_a_leaf(issuers: Sequence[Issuer]) -> bool:
    below = 0
    for issuer in issuers:
        certificate = issuer.certificate
        try:
            constraints = certificate.basic_constraints
        except Refusal:
            return False
        if constraints is None or (constraints[1] is not None and constraints[1] < below):
            return False
        if issuer is not issuers[0] and _NAME_CONSTRAINTS in certificate.by_oid:
            return False
        below += not certificate.self_issued
    return True
