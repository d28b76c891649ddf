"""The plain case of a path's last step: a leaf with nothing unusual about it, and its issuing CA's signature.

OpenSSL's path engine costs more than an ECDSA signature, most of it for questions that such a leaf does not raise. Here a leaf is
*accepted* only when all it holds is known to leave OpenSSL nothing to object to; everything else, every doubt and every refusal,
is OpenSSL's (:mod:`calock.core.paths.chain`). So nothing can be accepted here that OpenSSL refuses: a test holds the two against
each other over mutations of leaf and issuer.
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
"""AlgorithmIdentifiers in the one usual encoding of each."""


def plainly_issued(leaf: Certificate, issuer: Certificate, *, strict: bool) -> bool:
    """Whether ``leaf`` is plain and ``issuer``'s key signed it. False = ask OpenSSL.

    ``strict``: as X509_STRICT, an authority key identifier must be there.
    """
    verify = _VERIFY.get(leaf.algorithm_der)
    try:
        if verify is None or not _is_plain(leaf, issuer, strict=strict) or not _may_issue(issuer):
            return False
        return verify(issuer, leaf.parsed.signature, leaf.tbs)
    except (Refusal, reader.WalkError, InvalidSignature, ValueError):
        return False


def _is_plain(leaf: Certificate, issuer: Certificate, *, strict: bool) -> bool:
    """Nothing in it but what says: no CA, for these uses, by the holder of exactly this name and key."""
    if not leaf.signature_algorithms_agree or leaf.version != 3 or leaf.has_unique_ids:
        return False
    carried = extension_set_of(leaf)
    return (
        carried.is_usual
        and carried.names_no_ca
        and _names_its_issuer(carried, issuer, strict=strict)
        and _names_are_usual(leaf, issuer)
        and (leaf.public_key is not None or (leaf.algorithm == "SM2" and sm2_public_key_valid(leaf.spki_der)))
    )


def _names_are_usual(leaf: Certificate, issuer: Certificate) -> bool:
    """The issuer named octet for octet, and a subject that is somebody else and can be read."""
    if leaf.issuer_der != issuer.subject_der or _NO_NAME in (leaf.issuer_der, leaf.subject_der):
        return False
    subject = leaf.subject_rdns
    return names.are_texts(subject) and not (names.same_kinds(subject, issuer.subject_rdns) and leaf.self_issued)


def _names_its_issuer(carried: ExtensionSet, issuer: Certificate, *, strict: bool) -> bool:
    if carried.authority.alone:
        return issuer.subject_key_id in ("", carried.authority.key_id)
    return not strict and not carried.names_authority


@lru_cache(maxsize=256)
def _may_issue(issuer: Certificate) -> bool:
    """A CA certificate that may sign others, with no critical extension that OpenSSL would not know."""
    usage = issuer.key_usage
    if issuer.version != 3 or not issuer.is_ca or (usage is not None and "key_cert_sign" not in usage):
        return False
    readable = names.are_texts(issuer.subject_rdns) and names.are_texts(names.rdns_of(issuer.issuer_der))
    return readable and extension_set_of(issuer).is_usual
