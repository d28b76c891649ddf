"""OCSP responses of the practice CAs (RFC 6960), wrong ones included."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from asn1crypto.keys import PublicKeyInfo
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from calock.core import libcrypto
from calock.demo import der, pki
from calock.demo.pki import Authority, Key


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


Digest = Literal["sha1", "sha256", "sha384", "sha512", "sm3", "sm3 without key"]
_DIGESTS: dict[Digest, tuple[str, Callable[[bytes], bytes]]] = {
    "sha1": ("1.3.14.3.2.26", pki._sha1),
    "sha256": ("2.16.840.1.101.3.4.2.1", _sha256),
    "sha384": ("2.16.840.1.101.3.4.2.2", lambda data: hashlib.sha384(data).digest()),
    "sha512": ("2.16.840.1.101.3.4.2.3", lambda data: hashlib.sha512(data).digest()),
    "sm3": ("1.2.156.10197.1.401", libcrypto.sm3),
    "sm3 without key": ("1.2.156.10197.1.401.1", libcrypto.sm3),
}


def ocsp_answer(
    authority: Authority,
    serial: int,
    status: Literal["good", "revoked", "unknown"] = "good",
    *,
    this_update: datetime,
    next_update: datetime | None = None,
    produced_at: datetime | None = None,
    revoked_at: datetime | None = None,
    reason: str | None = None,
    nonce: bytes | None = None,
    responder: Authority | None = None,
    responder_certificates: Sequence[bytes] | None = None,
    digest: Digest = "sha1",
    key: Key | None = None,
    responder_digest: Digest = "sha1",
    responder_key_hash: bytes | None = None,
    more: Sequence[bytes] = (),
) -> bytes:
    """Sign an OCSP response for a certificate the CA issued. ``responder``: a delegated signer; ``key``: a wrong one.

    ``responder_digest``: of the key hash that names the signer. ``responder_key_hash``: another name than that.
    ``more``: further DER SingleResponses, see :func:`single_answer`.
    """
    single = single_answer(
        authority,
        serial,
        status,
        this_update=this_update,
        next_update=next_update,
        revoked_at=revoked_at,
        reason=reason,
        digest=digest,
    )
    signer = responder or authority
    certificates = [responder.certificate] if responder and responder_certificates is None else list(responder_certificates or ())
    tbs = der.sequence(
        der.tlv(0xA2, der.octets(responder_key_hash or _DIGESTS[responder_digest][1](_key_bits(signer.key.spki_der)))),
        der.generalized_time(produced_at or this_update),
        der.sequence(single, *more),
        *([der.tlv(0xA1, pki._extensions([("1.3.6.1.5.5.7.48.1.2", False, der.octets(nonce))]))] if nonce is not None else []),
    )
    signing = key or signer.key
    basic = der.sequence(
        tbs, signing.signature_algorithm, der.bits(signing.sign(tbs)),
        *([der.tlv(0xA0, der.sequence(*certificates))] if certificates else []),
    )  # fmt: skip
    return der.sequence(der.enumerated(0), der.tlv(0xA0, der.sequence(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(basic))))


def single_answer(
    authority: Authority,
    serial: int,
    status: Literal["good", "revoked", "unknown"],
    *,
    this_update: datetime,
    next_update: datetime | None = None,
    revoked_at: datetime | None = None,
    reason: str | None = None,
    digest: Digest = "sha1",
) -> bytes:
    """DER of one SingleResponse (RFC 6960 clause 4.2.1)."""
    dotted, function = _DIGESTS[digest]
    cert_id = der.sequence(
        der.sequence(der.oid(dotted), der.tlv(0x05)), der.octets(function(authority.subject)),
        der.octets(function(_key_bits(authority.key.spki_der))), der.integer(serial),
    )  # fmt: skip
    body = {"good": der.tlv(0x80), "unknown": der.tlv(0x82)}.get(status)
    if body is None:
        tail = [der.tlv(0xA0, der.enumerated(pki.CRL_REASONS[reason]))] if reason else []
        body = der.tlv(0xA1, der.generalized_time(revoked_at or this_update), *tail)
    return der.sequence(
        cert_id, body, der.generalized_time(this_update),
        *([der.tlv(0xA0, der.generalized_time(next_update))] if next_update else []),
    )  # fmt: skip


def ocsp_responder(
    authority: Authority,
    common_name: str = "practice OCSP responder",
    *,
    not_before: datetime,
    not_after: datetime,
    nocheck: bool = True,
    ekus: Sequence[str] = (ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string,),
) -> Authority:
    """A delegated OCSP signer issued directly by the CA."""
    key = pki.make_key(authority.key.algorithm)
    subject = pki.name(common_name, organisation="calock practice")
    extensions = [pki.key_usage("digital_signature"), pki.extension(x509.AuthorityKeyIdentifier(authority.key.key_id, None, None))]
    if ekus:
        extensions.append(pki.extended_key_usage(*ekus))
    if nocheck:
        extensions.append(("1.3.6.1.5.5.7.48.1.5", False, der.tlv(0x05)))
    certificate = authority.issue(subject, key.spki_der, not_before=not_before, not_after=not_after, extensions=extensions)
    return Authority(key, subject, certificate, (certificate, *authority.chain))


def _key_bits(spki_der: bytes) -> bytes:
    """The subjectPublicKey BIT STRING without its unused-bits octet: what key hashes are taken over."""
    raw = PublicKeyInfo.load(spki_der)["public_key"].contents
    assert isinstance(raw, bytes)
    return raw[1:]
