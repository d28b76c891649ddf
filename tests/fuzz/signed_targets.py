"""Fuzz targets behind a signature that holds: the signed part is the input, and the right key signs it.

So the fuzzer reaches what lies behind the signature check: linking, scopes, times, the decision. Keys are this process's own.
"""

# ruff: noqa: PLC0415 - the parsers are imported under the fuzzer's instrumentation
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from worlds.responses import ocsp_answer

IMPORTS = ("calock.core.decision.verify", "calock.core.revocation.evidence", "calock.core.paths.chain")
AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DATES = {"not_before": AT - 300 * DAY, "not_after": AT + 300 * DAY}


class _World:
    """A root, an issuing CA, a lock, a responder; and what verification makes of them."""

    def __init__(self) -> None:
        from calock.core.certificates.certificate import Certificate
        from calock.core.register import CaCertificate, ProviderTrust, Register
        from calock.demo import pki

        self.root = pki.make_root("root", "EC", **DATES)
        self.ca = self.root.intermediate("issuing", **DATES)
        self.key = pki.make_key("EC")
        self.lock = self.ca.issue_lock("h", self.key, **DATES, serial=7, crl_url="http://ca.example/a.crl")
        self.responder = self.ca.issue(
            pki.name("responder"), self.key.spki_der, **DATES,
            extensions=[pki.key_usage("digital_signature"), pki.extended_key_usage("1.3.6.1.5.5.7.3.9"),
                        ("1.3.6.1.5.5.7.48.1.5", False, b"\x05\x00")],
        )  # fmt: skip
        self.leaf, self.issuing, self.anchor = map(Certificate.parse, (self.lock, self.ca.certificate, self.root.certificate))
        cas = (CaCertificate.of(self.root.certificate, anchor=True), CaCertificate.of(self.ca.certificate))
        self.register = Register([ProviderTrust("fuzz", cas)])
        self.above = self.root.crl(this_update=AT - DAY / 2, next_update=AT + DAY)

    def reason(self, crls: list[bytes], ocsp: list[bytes], stapled: list[bytes]) -> Any:
        from calock.core.policy import Policy
        from calock.core.revocation.check import check_revocation
        from calock.core.revocation.evidence import InMemoryEvidence

        evidence = InMemoryEvidence([self.above, *crls], ocsp, anchors=[self.anchor], others=[self.issuing], at=AT)
        path = [self.leaf, self.issuing, self.anchor]
        return check_revocation(path, evidence=evidence, policy=Policy(), at=AT, stapled=stapled).reason


@cache
def world() -> _World:
    return _World()


def signed_certificate(data: bytes) -> None:
    """A TBSCertificate of the issuing CA: judged whole; the short way of the path accepts nothing that OpenSSL refuses."""
    from calock.core.certificates.certificate import Certificate
    from calock.core.decision.verify import VerificationInputs, verify_certificate
    from calock.core.paths.ca_path import candidate_paths
    from calock.core.paths.chain import openssl_fault
    from calock.core.paths.fast_path import verified_directly
    from calock.core.refusals import Refusal
    from calock.demo import pki

    here = world()
    der = pki.signed(data, here.ca.key)
    verdict = verify_certificate(der, VerificationInputs(here.register, AT))
    if verdict.accepted:
        raise AssertionError("nothing is accepted without revocation data")
    try:
        leaf = Certificate.parse(der)
    except Refusal:
        return
    [path] = candidate_paths(Certificate.parse(here.lock), here.register).paths
    for strict in (True, False):
        fault = openssl_fault(leaf, path, strict=strict) if verified_directly(leaf, here.issuing, strict=strict) else None
        if fault is not None:
            raise AssertionError(f"plain, but OpenSSL: {fault.text}")


def signed_crl(data: bytes) -> None:
    """A TBSCertList of the issuing CA, alone and beside a good one."""
    from calock.core.refusals import Reason, Refusal
    from calock.demo import pki

    crl = pki.signed(data, world().ca.key)
    good = world().ca.crl(this_update=AT - DAY / 2, next_update=AT + DAY)
    for crls in ([crl], [good, crl]):
        try:
            world().reason(crls, [], [])
        except Refusal as refusal:
            if refusal.reason is not Reason.CERTIFICATE_EXTENSION:
                raise


def signed_ocsp(data: bytes) -> None:
    """A ResponseData by the issuing CA, and by a delegate; at hand and stapled."""
    from calock.demo import der

    here = world()
    for signer, sent in ((here.ca.key, b""), (here.key, der.tlv(0xA0, der.sequence(here.responder)))):
        basic = der.sequence(data, signer.signature_algorithm, der.bits(signer.sign(data)), sent)
        response = der.sequence(der.enumerated(0), der.tlv(0xA0, der.sequence(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(basic))))
        here.reason([], [response], [])
        here.reason([], [], [response])


def signed_delegate(data: bytes) -> None:
    """A TBSCertificate of the issuing CA as that of an OCSP responder, sent along with its answer."""
    from calock.demo import pki

    here = world()
    certificate = pki.signed(data, here.ca.key)
    responder = pki.Authority(here.key, pki.name("responder"), certificate, ())
    here.reason([], [ocsp_answer(here.ca, 7, this_update=AT, next_update=AT + DAY, responder=responder)], [])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "signed_certificate": signed_certificate,
    "signed_crl": signed_crl,
    "signed_ocsp": signed_ocsp,
    "signed_delegate": signed_delegate,
}
