"""Attack rows A29 to A31: size, depth, hashes. A32 and A33 are about CSRs: calock takes none, which its source tree shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from worlds.core_trust import AT, DATES, OFF, key, trusting, world

import calock
from calock.core.paths import ca_path, path
from calock.core.paths.chain import ChainFault
from calock.core.refusals import Reason
from calock.demo import der, pki


def test_a29_chain_of_a_hundred() -> None:
    above, cas = world().root, []
    for level in range(100):
        above = above.intermediate(f"level {level}", key("EC", "one for all"), **DATES, path_length=None)
        cas.append(above.certificate)
    lock = above.issue_lock("holder", key("EC"), **DATES)
    verdict = world().judge(lock, register=trusting(*cas))
    assert verdict.reason is Reason.PATH_TOO_LONG


def test_a29_eight_deep_is_the_limit() -> None:
    above, cas = world().root, []
    for level in range(7):
        lock = above.issue_lock("holder", key("EC"), **DATES)
        verdict = world().judge(lock, register=trusting(*cas))
        assert verdict.accepted, level
        above = above.intermediate(f"level {level}", key("EC", f"level {level}"), **DATES, path_length=None)
        cas.append(above.certificate)
    lock = above.issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=trusting(*cas)).reason is Reason.PATH_TOO_LONG


@pytest.mark.parametrize("most", range(1, 9))
def test_a29_the_providers_limit_counts_leaf_and_anchor(most: int) -> None:
    above, cas, accepted = world().root, [], []
    for level in range(most + 1):
        lock = above.issue_lock("holder", key("EC"), **DATES)
        verdict = world().judge(lock, register=trusting(*cas, policy=replace(OFF, max_depth=most)))
        accepted.append(verdict.accepted)
        assert verdict.reason in (None, Reason.PATH_TOO_LONG)
        above = above.intermediate(f"level {level}", key("EC", f"level {level}"), **DATES, path_length=None)
        cas.append(above.certificate)
    assert accepted == [level + 2 <= most for level in range(most + 1)]


def test_a29_more_namesakes_than_are_tried_is_said() -> None:
    right, spare = world().ca, key("EC", "namesake")
    others = [
        world().root.issue(right.subject, spare.spki_der, extensions=pki.ca_extensions(spare, issuer=world().root.key), **DATES)
        for _ in range(40)
    ]
    policy = replace(OFF, strict_extensions=False)
    lock = world().raw_lock(drop=("2.5.29.35",))
    for cas, accepted in ((others[:5], True), (others, False)):
        verdict = world().judge(lock, register=trusting(*cas, right.certificate, policy=policy))
        assert verdict.accepted is accepted
        assert accepted or "not all CA certificates of its issuer's name were tried" in verdict.failure.detail


def test_a29_cross_signed_loop() -> None:
    one, two = key("EC", "loop one"), key("EC", "loop two")
    name_one, name_two = pki.name("loop one"), pki.name("loop two")
    first = pki.Authority(two, name_two, b"", ()).issue(
        name_one, one.spki_der, **DATES, extensions=pki.ca_extensions(one, issuer=two)
    )
    second = pki.Authority(one, name_one, b"", ()).issue(
        name_two, two.spki_der, **DATES, extensions=pki.ca_extensions(two, issuer=one)
    )
    lock = pki.Authority(one, name_one, first, ()).issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=trusting(first, second)).reason is Reason.CERTIFICATE_UNTRUSTED


def test_a29_very_many_intermediates_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same-name intermediates that certify one another: a search would not end (BetterTLS); ours looks at a bounded number."""
    subject, cas = pki.name("same name"), []
    twins = [pki.Authority(key("EC", f"twin {number}"), subject, b"", ()) for number in range(40)]
    for number in range(400):
        issuer, twin = twins[number % 40], twins[(number * 7 + 1) % 40]
        extensions = [
            pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
            pki.key_usage("key_cert_sign"),
        ]
        made = issuer.issue(subject, twin.key.spki_der, **DATES, extensions=extensions)
        cas.append(made)
    register = trusting(*cas, policy=replace(OFF, strict_extensions=False))
    lock = twins[0].issue(pki.name("holder"), key("EC").spki_der, **DATES, extensions=[pki.key_usage("digital_signature")])
    judged: list[object] = []
    looked_up: list[object] = []
    candidates = register.candidates
    monkeypatch.setattr(register, "candidates", lambda *asked: looked_up.append(asked) or candidates(*asked))
    monkeypatch.setattr(path, "chain_fault", lambda *asked, **_: judged.append(asked) or ChainFault(20, 0, "no"))
    assert world().judge(lock, register=register).reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(judged) <= ca_path.MAX_CANDIDATES
    assert len(looked_up) <= ca_path.MAX_VISITS + 2
    looked_up.clear()
    assert world().judge(lock, register=register).reason is Reason.CERTIFICATE_UNTRUSTED
    assert len(looked_up) <= 2  # what was written down is kept


def test_a30_oversized_and_odd_certificates() -> None:
    many = x509.SubjectAlternativeName([x509.DNSName(f"n{number}.example") for number in range(10_000)])
    assert world().judge(world().raw_lock(pki.extension(many))).reason is Reason.CERTIFICATE_TOO_LARGE
    assert world().judge(b"\x30\x84\x00\x10\x00\x00" + bytes(1 << 20)).reason is Reason.CERTIFICATE_TOO_LARGE
    deep = b""
    for _ in range(10_000):
        deep = der.tlv(0x30, deep) if len(deep) < 30_000 else deep
    assert world().judge(deep).reason is Reason.CERTIFICATE_UNPARSABLE
    good = world().lock()
    indefinite = b"\x30\x80" + good[4:] + b"\x00\x00"
    assert world().judge(indefinite).reason is Reason.CERTIFICATE_UNPARSABLE
    assert world().judge(world().raw_lock(("1.2.156.99999.9", False, deep[:30_000]))).accepted


@pytest.mark.parametrize("serial", [0, -1, -(1 << 100), 1 << 159, 1 << 168])
def test_a30_serial_numbers(serial: int) -> None:
    assert world().judge(world().raw_lock(serial=serial)).reason in (Reason.CERTIFICATE_SERIAL, Reason.CERTIFICATE_UNPARSABLE)


def test_a30_version_one() -> None:
    tbs_without = world().ca.issue(pki.name("old"), key("EC").spki_der, **DATES, version=0)
    assert world().judge(tbs_without).reason is Reason.CERTIFICATE_VERSION


@pytest.mark.parametrize("algorithm", [pki.ECDSA_WITH_SHA1, pki.RSA_WITH_SHA1])
def test_a31_leaf_signed_over_sha1(algorithm: bytes) -> None:
    kind = "EC" if algorithm == pki.ECDSA_WITH_SHA1 else "RSA"
    lock = world(kind).raw_lock(algorithm=algorithm, digest=hashes.SHA1())
    assert world(kind).judge(lock).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM
    assert world(kind).judge(lock, replace(OFF, legacy=(("SHA1", AT + timedelta(days=1)),))).accepted
    assert world(kind).judge(lock, replace(OFF, legacy=(("SHA1", AT),))).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM


def test_a31_md5_and_unknown_algorithms() -> None:
    md5 = der.sequence(der.oid("1.2.840.113549.1.1.4"), der.tlv(0x05))
    assert world("RSA").judge(world("RSA").raw_lock(algorithm=md5)).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM
    unknown = der.sequence(der.oid("1.2.3.4"))
    assert world().judge(world().raw_lock(algorithm=unknown)).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM


def test_a31_intermediate_signed_over_sha1() -> None:
    root, made = world().root, key("EC", "sha1 ca")
    certificate = root.issue(pki.name("old CA"), made.spki_der, **DATES, algorithm=pki.ECDSA_WITH_SHA1,
                             digest=hashes.SHA1(), extensions=pki.ca_extensions(made, issuer=root.key))  # fmt: skip
    register = trusting(certificate)
    lock = pki.Authority(made, pki.name("old CA"), certificate, ()).issue_lock("holder", key("EC"), **DATES)
    assert world().judge(lock, register=register).reason is Reason.CERTIFICATE_SIGNATURE_ALGORITHM


def test_a31_algorithm_inside_differs_from_the_one_outside() -> None:
    lock = world().lock()
    at = lock.rindex(pki.ECDSA_WITH_SHA256)
    mixed = lock[:at] + pki.ECDSA_WITH_SHA384 + lock[at + len(pki.ECDSA_WITH_SHA384) :]
    assert world().judge(mixed).reason in (Reason.CERTIFICATE_SIGNATURE_ALGORITHM, Reason.CERTIFICATE_UNPARSABLE)


def test_a32_a33_no_certificate_request_is_taken_anywhere() -> None:
    source = Path(calock.__file__).parent
    readers = ("load_pem_x509_csr", "load_der_x509_csr", "CertificateSigningRequest", "CertificationRequest", "pkcs10")
    found = [str(file) for file in source.rglob("*.py") for word in readers if word in file.read_text("utf-8")]
    assert found == []
