"""Certificates, CRLs and OCSP answers as CAs in the field write them, and the verdict on a lock among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from cryptography import x509
from worlds.core_trust import AT, END, START, key, world

from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.der import reader
from calock.core.policy import Policy, RevocationRules
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.core.verdict import Verdict
from calock.demo import der, pki

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


TOLERANT = Policy(signature_encoding="tolerant")


LAX = Policy(strict_extensions=False)


CN, ORGANISATION = "2.5.4.3", "2.5.4.10"


PRINTABLE, T61, UTF8, IA5, NUMERIC = 0x13, 0x14, 0x0C, 0x16, 0x12


def name(*attributes: tuple[str, int, bytes]) -> bytes:
    """A Name of attributes (OID, tag of the string type, octets)."""
    return der.sequence(*(der.set_of(der.sequence(der.oid(oid), der.tlv(tag, octets))) for oid, tag, octets in attributes))


def with_tbs(certificate: bytes, old: bytes, new: bytes, signer: pki.Key) -> bytes:
    """A certificate or CRL in which one element is written otherwise, signed anew by ``signer``."""
    outer = certificate[slice(*reader.whole(certificate))]
    tbs = outer[: reader.element(outer, 0, len(outer))[2]]
    assert tbs.count(old) == 1
    return pki.signed(rewritten(tbs, old, new), signer)


def rewritten(element: bytes, old: bytes, new: bytes) -> bytes:
    """DER in which one inner element is replaced, with the lengths around it corrected."""
    if element == old:
        return new
    if not element[0] & 0x20 and element[0] != 0x04:
        return element
    contents = element[slice(*reader.whole(element, element[0]))]
    if old not in contents:
        return element
    parts = [contents[begin:end] for _, begin, _, end in reader.children(contents, 0, len(contents))]
    return der.tlv(element[0], *(rewritten(part, old, new) for part in parts))


def lock_extensions(ca: pki.Authority) -> list[pki.Extension]:
    key_id = pki.extension(x509.AuthorityKeyIdentifier(ca.key.key_id, None, None))
    return [pki.key_usage("digital_signature"), key_id]


def named_authority(kind: str, subject: bytes) -> pki.Authority:
    """A CA below the practice root, with any name."""
    here = world(kind)
    own = key(kind, "named ca")
    extensions = pki.ca_extensions(own, issuer=here.root.key, path_length=0)
    certificate = here.root.issue(subject, own.spki_der, not_before=START, not_after=END, extensions=extensions)
    return pki.Authority(own, subject, certificate, (certificate, *here.root.chain))


def judged(
    lock: bytes, ca: pki.Authority, root: pki.Authority, *, crls: Sequence[bytes] = (), ocsp: Sequence[bytes] = (), policy: Policy
) -> Verdict:
    """The verdict on a lock; without evidence revocation is not asked about."""
    rules = policy if crls or ocsp else replace(policy, revocation=RevocationRules(mode="off"))
    cas = (CaCertificate.of(root.certificate, anchor=True), CaCertificate.of(ca.certificate))
    parsed = [Certificate.parse(item.certificate) for item in (root, ca)]
    evidence = InMemoryEvidence(crls, ocsp, anchors=parsed[:1], others=parsed[1:], policy=rules, at=AT)
    register = Register([ProviderTrust("p", cas, rules)])
    return verify_certificate(lock, VerificationInputs(register, AT, evidence))
