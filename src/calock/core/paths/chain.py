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
from calock.core.certificates.extension_set import extension_set_of
from calock.core.certificates.signature_encoding import (
    encoding_fault_text,
    signature_encoding_fault,
    signer_id_fault,
    with_der_signature,
)
from calock.core.der import reader
from calock.core.der.extensions import OID_NAME_CONSTRAINTS, OID_SUBJECT_ALT_NAME, unclear_domain
from calock.core.paths import chain_words
from calock.core.paths.ca_path import CaPath
from calock.core.paths.fast_path import verified_directly
from calock.core.policy import by_rule
from calock.core.refusals import Refusal
from calock.core.register import Issuer

PARTIAL_CHAIN = 0x80000
"""X509_V_FLAG_PARTIAL_CHAIN: trust ends at the store's certificate, also when it is an intermediate."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME; pyOpenSSL has no name for it. The path step checks dates, under reasons of their own."""
STRICT = 0x20
"""X509_V_FLAG_X509_STRICT."""
IGNORE_CRITICAL = 0x10
"""X509_V_FLAG_IGNORE_CRITICAL."""

UNREADABLE = -1
_SIGNATURE_FAILURE = 7
"""X509_V_ERR_CERT_SIGNATURE_FAILURE."""
_NO_ISSUER = 20
"""X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY."""
_INVALID_CA = 79
"""X509_V_ERR_INVALID_CA."""
_UNHANDLED_CRITICAL = 34
"""X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION."""
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
    tolerant = bool(issuers) and issuers[0].provider.policy.tolerates_signatures
    try:
        target = crypto.load_certificate(crypto.FILETYPE_ASN1, with_der_signature(leaf) if tolerant else leaf.der)
    except crypto.Error:
        why = chain_words.unreadable(leaf)
        return ChainFault(UNREADABLE, 0, f"OpenSSL cannot read the certificate{why and ': '}{why}")
    return _verify_chain(leaf, target, issuers, strict=strict)


def _verify_chain(certificate: Certificate, target: crypto.X509, issuers: Sequence[Issuer], *, strict: bool) -> ChainFault | None:
    """Verify ``target`` under ``issuers``, the last of which is trusted; without issuers the target itself is.

    X509_STRICT wants a key usage in the trusted certificate too. RFC 5280 clauses 6.1.4 n and 6.3.3 f check it "if present", so
    an anchor without one is verified again without that flag. OpenSSL refuses some critical extensions that are processed here;
    without ``strict`` a path whose critical extensions are all known is verified again without that check.
    """
    chain = (certificate, *(issuer.certificate for issuer in issuers))
    flags = STRICT if strict else 0
    try:
        fault = _verified(issuers, target, flags)
        if fault is not None and (fault.code, fault.depth) == (_NO_KEY_USAGE, len(issuers)):
            flags = 0
            fault = _verified(issuers, target, flags)
        if fault is not None and fault.code == _UNHANDLED_CRITICAL and not strict and not any(map(_critical_fault, chain)):
            flags = IGNORE_CRITICAL
            fault = _verified(issuers, target, flags)
        return fault if fault is None else _explained(fault, chain, issuers, target, flags)
    except crypto.Error:
        return ChainFault(UNREADABLE, 0, "OpenSSL cannot read a certificate of the path")


def _critical_fault(certificate: Certificate) -> str:
    try:
        return extension_set_of(certificate).critical_fault
    except Refusal as refusal:
        return refusal.detail


def _explained(
    fault: ChainFault, chain: Sequence[Certificate], issuers: Sequence[Issuer], target: crypto.X509, flags: int
) -> ChainFault:
    """The same fault with what an operator can do about it, where OpenSSL's words do not say it."""
    found = fault
    if not 0 <= fault.depth < len(chain):
        return fault
    certificate = chain[fault.depth]
    if fault.code == _SIGNATURE_FAILURE and fault.depth + 1 < len(chain):
        return fault._replace(text=_why_not_signed(certificate, issuers[fault.depth]) or fault.text)
    if fault.code == _NO_ISSUER and fault.depth + 1 < len(chain):
        why = chain_words.no_issuer(certificate, chain[fault.depth + 1])
        return fault._replace(text=f"{fault.text}, {why}") if why else fault
    why = chain_words.no_ca(certificate) if fault.code == _INVALID_CA else ""
    if why:
        fault = fault._replace(text=f"{fault.text}: {why}")
    if fault.code == _UNHANDLED_CRITICAL and _critical_fault(certificate):
        return fault._replace(text=_critical_fault(certificate))
    if flags & STRICT and _verified(issuers, target, 0) != found:
        return fault._replace(text=by_rule(fault.text, "strict_extensions"))
    return fault


def _why_not_signed(certificate: Certificate, issuer: Issuer) -> str:
    encoding = signature_encoding_fault(certificate)
    if encoding and _signed(certificate, issuer):
        return encoding_fault_text(encoding)
    return signer_id_fault(issuer.certificate.spki_der, certificate.tbs, certificate.parsed.signature)


def _signed(certificate: Certificate, issuer: Issuer) -> bool:
    """Whether the signature of ``certificate`` holds under ``issuer`` once it is written in DER."""
    copy = crypto.load_certificate(crypto.FILETYPE_ASN1, with_der_signature(certificate))
    fault = _verified((issuer,), copy, 0)
    return fault is None or fault.code != _SIGNATURE_FAILURE


def _verified(issuers: Sequence[Issuer], target: crypto.X509, flags: int) -> ChainFault | None:
    between = [issuer.openssl for issuer in issuers[:-1]]
    try:
        crypto.X509StoreContext(_store(issuers, target, flags), target, between).verify_certificate()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors[:3]
        return ChainFault(int(code), int(depth), str(text))
    return None


def _store(issuers: Sequence[Issuer], target: crypto.X509, flags: int) -> crypto.X509Store:
    if not issuers:
        return _new_store(target, flags)
    kept = issuers[-1].stores
    if flags not in kept:
        kept[flags] = _new_store(issuers[-1].openssl, flags)
    return kept[flags]


def _new_store(anchor: crypto.X509, flags: int) -> crypto.X509Store:
    store = crypto.X509Store()
    store.add_cert(anchor)
    store.set_flags(PARTIAL_CHAIN | NO_CHECK_TIME | flags)
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
        return _verify_chain(issuers[0].certificate, issuers[0].openssl, issuers[1:], strict=strict) is None
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
