"""The fast path: a leaf of the usual form is accepted by its issuer's signature, without OpenSSL's path validation.

OpenSSL's path validation costs more than an ECDSA signature. A leaf is accepted here only when everything in it is known to satisfy
OpenSSL. In all other cases, refusals included, OpenSSL decides (:mod:`calock.core.paths.chain`), so nothing is accepted here that
OpenSSL refuses. A test compares the two over mutations of leaf and issuer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.extension_set import ExtensionSet, extension_set_of
from calock.core.certificates.key_types import is_ec, is_rsa
from calock.core.der import names, reader
from calock.core.libcrypto import sm2_public_key_valid, sm2_verify
from calock.core.refusals import Refusal

_NO_NAME = b"\x30\x00"
_Verify = Callable[[Certificate, bytes, bytes], bool]


def _by_ecdsa(digest: hashes.HashAlgorithm) -> _Verify:
    method = ec.ECDSA(digest)

    def verify(issuer: Certificate, signature: bytes, message: bytes) -> bool:
        key = issuer.public_key
        if not is_ec(key):
            return False
        key.verify(signature, message, method)
        return True

    return verify


def _by_rsa(digest: hashes.HashAlgorithm) -> _Verify:
    scheme = padding.PKCS1v15()

    def verify(issuer: Certificate, signature: bytes, message: bytes) -> bool:
        key = issuer.public_key
        if not is_rsa(key):
            return False
        key.verify(signature, message, scheme, digest)
        return True

    return verify


def _by_sm2(issuer: Certificate, signature: bytes, message: bytes) -> bool:
    return issuer.algorithm == "SM2" and sm2_verify(issuer.spki_der, signature, message)


_VERIFY: dict[bytes, _Verify] = {
    bytes.fromhex("300a06082a8648ce3d040302"): _by_ecdsa(hashes.SHA256()),
    bytes.fromhex("300a06082a8648ce3d040303"): _by_ecdsa(hashes.SHA384()),
    bytes.fromhex("300a06082a8648ce3d040304"): _by_ecdsa(hashes.SHA512()),
    bytes.fromhex("300d06092a864886f70d01010b0500"): _by_rsa(hashes.SHA256()),
    bytes.fromhex("300d06092a864886f70d01010c0500"): _by_rsa(hashes.SHA384()),
    bytes.fromhex("300d06092a864886f70d01010d0500"): _by_rsa(hashes.SHA512()),
    bytes.fromhex("300a06082a811ccf55018375"): _by_sm2,
}
"""AlgorithmIdentifiers (DER) in their usual encoding."""


def verified_directly(leaf: Certificate, issuer: Certificate, *, strict: bool) -> bool:
    """Whether ``leaf`` has the usual form and ``issuer``'s key signed it. False = OpenSSL has to decide.

    ``strict``: as X509_STRICT, an authority key identifier must be there.
    """
    verify = _VERIFY.get(leaf.algorithm_der)
    try:
        if verify is None or not _has_usual_form(leaf, issuer, strict=strict) or not _may_issue(issuer):
            return False
        return verify(issuer, leaf.parsed.signature, leaf.tbs)
    except (Refusal, reader.DerError, InvalidSignature, ValueError):
        return False


def _has_usual_form(leaf: Certificate, issuer: Certificate, *, strict: bool) -> bool:
    """No CA certificate, no extension that OpenSSL treats specially, and names and key identifier are those of ``issuer``."""
    if not leaf.signature_algorithms_agree or leaf.version != 3 or leaf.has_unique_ids:
        return False
    carried = extension_set_of(leaf)
    return (
        carried.is_engine_neutral
        and carried.names_no_ca
        and _names_its_issuer(carried, issuer, strict=strict)
        and _names_are_usual(leaf, issuer)
        and (leaf.public_key is not None or (leaf.algorithm == "SM2" and sm2_public_key_valid(leaf.spki_der)))
    )


def _names_are_usual(leaf: Certificate, issuer: Certificate) -> bool:
    """The issuer is named octet for octet; the subject can be read and is another one."""
    if leaf.issuer_der != issuer.subject_der or _NO_NAME in (leaf.issuer_der, leaf.subject_der):
        return False
    subject = leaf.subject_rdns
    return names.all_text(subject) and not (names.same_attribute_types(subject, issuer.subject_rdns) and leaf.self_issued)


def _names_its_issuer(carried: ExtensionSet, issuer: Certificate, *, strict: bool) -> bool:
    if carried.authority.alone:
        return issuer.subject_key_id in ("", carried.authority.key_id)
    return not strict and not carried.names_authority


@lru_cache(maxsize=256)
def _may_issue(issuer: Certificate) -> bool:
    """Whether it is a CA certificate that may sign others, with no critical extension that OpenSSL does not know."""
    usage = issuer.key_usage
    if issuer.version != 3 or not issuer.is_ca or (usage is not None and "key_cert_sign" not in usage):
        return False
    readable = names.all_text(issuer.subject_rdns) and names.all_text(names.rdns_of(issuer.issuer_der))
    return readable and extension_set_of(issuer).is_engine_neutral
