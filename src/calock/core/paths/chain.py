"""Verification of one given chain by OpenSSL, through pyOpenSSL.

The CA part of a chain comes from the register and never changes, so it is verified once. After that a leaf is verified against
its issuing CA alone, and once OpenSSL has accepted a leaf of that CA, leaves of the usual form are verified without OpenSSL's
path validation (:mod:`calock.core.paths.fast_path`). The decision is the same as long as nothing above the issuing CA restricts
the leaf itself: with name constraints there, the whole chain is verified each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from OpenSSL import crypto

from calock.core.certificates.certificate import Certificate
from calock.core.der import reader
from calock.core.der.extensions import OID_NAME_CONSTRAINTS, OID_SUBJECT_ALT_NAME, unclear_domain
from calock.core.paths.ca_path import CaPath
from calock.core.paths.fast_path import verified_directly
from calock.core.refusals import Refusal
from calock.core.register import Issuer

PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN: trust ends at the store's certificate, also when it is an intermediate."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME; pyOpenSSL has no name for it. The path step checks dates, under reasons of their own."""
STRICT = 0x20
"""X509_V_FLAG_X509_STRICT."""

UNREADABLE = -1
_NO_KEY_USAGE = 92
"""X509_V_ERR_CA_CERT_MISSING_KEY_USAGE, of X509_STRICT."""


class ChainFault(NamedTuple):
    """Why OpenSSL refused: X509_V_ERR_* (or :data:`UNREADABLE`), depth (0 = leaf) and OpenSSL's text."""

    code: int
    depth: int
    text: str


def chain_fault(leaf: Certificate, above: CaPath | None, *, strict: bool) -> ChainFault | None:
    """Verify signatures, name chaining, basic constraints, path lengths, key usage, critical extensions and name constraints.

    ``above``: the CA part; None when the leaf is the anchor. Returns None when the chain is valid.
    """
    if above is not None and above.constrained:
        unclear = _unclear_name((leaf, *above.certificates)[: above.constrained])
        if unclear is not None:
            return unclear
    if above is None or not _settled(above, strict=strict):
        return _verify_leaf(leaf, above.issuers if above else (), strict=strict)
    if strict in above.leaf_accepted and verified_directly(leaf, above.issuer.certificate, strict=strict):
        return None
    fault = _verify_leaf(leaf, above.issuers[:1], strict=strict)
    if fault is None and OID_NAME_CONSTRAINTS not in above.issuer.certificate.by_oid:
        above.leaf_accepted.add(strict)
    return fault


def _unclear_name(constrained: Sequence[Certificate]) -> ChainFault | None:
    """A name that OpenSSL compares with name constraints octet by octet although others may read it differently."""
    for depth, certificate in enumerate(constrained):
        names = certificate.by_oid.get(OID_SUBJECT_ALT_NAME)
        try:
            if names is None or not unclear_domain(names.value):
                continue
        except reader.DerError:
            pass  # malformed: unclear as well
        return ChainFault(UNREADABLE, depth, "its subjectAltName holds a domain that no name constraint can be compared with")
    return None


def openssl_fault(leaf: Certificate, above: CaPath, *, strict: bool) -> ChainFault | None:
    """OpenSSL's verdict on the whole chain, without the fast path: tests compare :func:`chain_fault` with it."""
    return _verify_leaf(leaf, above.issuers, strict=strict)


def openssl_reads(certificate: Certificate) -> bool:
    """Whether OpenSSL can parse the certificate and its key. It does not parse everything that ``cryptography`` does."""
    try:
        crypto.load_certificate(crypto.FILETYPE_ASN1, certificate.der).get_pubkey()
    except crypto.Error:
        return False
    return True


def _verify_leaf(leaf: Certificate, issuers: Sequence[Issuer], *, strict: bool) -> ChainFault | None:
    try:
        target = crypto.load_certificate(crypto.FILETYPE_ASN1, leaf.der)
    except crypto.Error:
        return ChainFault(UNREADABLE, 0, "OpenSSL cannot read the certificate")
    return _verify_chain(target, issuers, strict=strict)


def _verify_chain(target: crypto.X509, issuers: Sequence[Issuer], *, strict: bool) -> ChainFault | None:
    """Verify ``target`` under ``issuers``, the last of which is trusted; without issuers the target itself is.

    X509_STRICT wants a key usage in the trusted certificate too. RFC 5280 clauses 6.1.4 n and 6.3.3 f check it "if present", so an
    anchor without one is verified again without that flag.
    """
    try:
        between = [issuer.openssl for issuer in issuers[:-1]]
        fault = _verified(_store(issuers, target, strict=strict), target, between)
        if fault is not None and (fault.code, fault.depth) == (_NO_KEY_USAGE, len(issuers)):
            fault = _verified(_store(issuers, target, strict=False), target, between)
    except crypto.Error:
        return ChainFault(UNREADABLE, 0, "OpenSSL cannot read a certificate of the path")
    return fault


def _verified(store: crypto.X509Store, target: crypto.X509, between: Sequence[crypto.X509]) -> ChainFault | None:
    try:
        crypto.X509StoreContext(store, target, between).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors[:3]
        return ChainFault(int(code), int(depth), str(text))
    return None


def _store(issuers: Sequence[Issuer], target: crypto.X509, *, strict: bool) -> crypto.X509Store:
    if not issuers:
        return _new_store(target, strict=strict)
    kept = issuers[-1].stores
    if strict not in kept:
        kept[strict] = _new_store(issuers[-1].openssl, strict=strict)
    return kept[strict]


def _new_store(anchor: crypto.X509, *, strict: bool) -> crypto.X509Store:
    store = crypto.X509Store()
    store.add_cert(anchor)
    store.set_flags(PARTIAL_CHAIN | NO_CHECK_TIME | (STRICT if strict else 0))
    return store


def _settled(above: CaPath, *, strict: bool) -> bool:
    """Whether the CA part is valid and restricts no leaf, so that leaves can be verified against the issuing CA alone."""
    known = above.engine_verdicts.get(strict)
    if known is None:
        issuers = above.issuers
        known = above.engine_verdicts[strict] = _lengths_allow_a_leaf(issuers) and (
            len(issuers) == 1 or _holds(issuers, strict=strict)
        )
    return known


def _holds(issuers: Sequence[Issuer], *, strict: bool) -> bool:
    try:
        return _verify_chain(issuers[0].openssl, issuers[1:], strict=strict) is None
    except crypto.Error:
        return False  # OpenSSL cannot read the issuing CA; verifying the whole chain gives that reason


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
        if issuer is not issuers[0] and OID_NAME_CONSTRAINTS in certificate.by_oid:
            return False
        below += not certificate.self_issued
    return True
