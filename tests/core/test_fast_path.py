"""The plain case of a path's last step accepts nothing that OpenSSL's path engine refuses: a differential test over mutations.

Each mutated certificate is signed anew by the right key, so that only what it says decides, never its signature.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import pytest
from cryptography import x509
from worlds.core_trust import AT, END, KINDS, START, key, world

from calock.core.certificates.certificate import Certificate
from calock.core.paths import chain, fast_path
from calock.core.paths.ca_path import CaPath
from calock.core.paths.chain import chain_fault, openssl_fault
from calock.core.paths.path import check_path
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, Issuer, ProviderTrust, Register
from calock.demo import der, pki

SEED = 20261125
MUTATIONS = 3000
DATES = {"not_before": START, "not_after": END}
UTF8 = der.utf8("?")
AKI = "2.5.29.35"


@cache
def above(kind: str) -> CaPath:
    """The issuing CA as an anchor: what a leaf is judged under once its CA part is settled."""
    ca = CaCertificate.of(world(kind).ca.certificate, anchor=True)
    return CaPath((Issuer(ProviderTrust("p", (ca,)), ca),))


def disagreement(leaf: bytes, kind: str, *, strict: bool, path: CaPath | None = None) -> tuple[bool, str]:
    """(whether it is plain, what OpenSSL holds against it when it is)."""
    path = path or above(kind)
    try:
        certificate = Certificate.parse(leaf)
    except Refusal:
        return False, ""
    if not fast_path.verified_directly(certificate, path.issuer.certificate, strict=strict):
        return False, ""
    fault = openssl_fault(certificate, path, strict=strict)
    return True, fault.text if fault else ""


def names(*values: x509.GeneralName) -> pki.Extension:
    return pki.extension(x509.SubjectAlternativeName(values))


LEAVES: dict[str, tuple[list[pki.Extension], tuple[str, ...], dict[str, object]]] = {
    "usual": ([], (), {}),
    "no basicConstraints": ([], ("2.5.29.19",), {}),
    "CA": ([pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)], ("2.5.29.19",), {}),
    "path length without CA": ([("2.5.29.19", True, der.sequence(der.integer(0)))], ("2.5.29.19",), {}),
    "no keyUsage": ([], ("2.5.29.15",), {}),
    "may sign certificates": ([pki.key_usage("digital_signature", "key_cert_sign")], ("2.5.29.15",), {}),
    "may sign CRLs": ([pki.key_usage("digital_signature", "crl_sign")], ("2.5.29.15",), {}),
    "no AKI": ([], (AKI,), {}),
    "AKI of another key": ([pki.extension(x509.AuthorityKeyIdentifier(b"\x01" * 20, None, None))], (AKI,), {}),
    "empty AKI": ([(AKI, False, der.sequence())], (AKI,), {}),
    "AKI by another issuer": (
        [pki.extension(x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(x509.Name([]))], 7))], (AKI,), {},
    ),
    "name constraints in a leaf": ([pki.extension(x509.NameConstraints([x509.DNSName("a")], None), critical=True)], (), {}),
    "unknown critical": ([("1.2.156.99999.9", True, UTF8)], (), {}),
    "unknown": ([("1.2.156.99999.9", False, UTF8)], (), {}),
    "proxy": ([("1.3.6.1.5.5.7.1.14", True, der.sequence(der.sequence(der.oid("1.3.6.1.5.5.7.21.1"))))], (), {}),
    "IP addresses": ([("1.3.6.1.5.5.7.1.7", True, der.sequence())], (), {}),
    "Netscape CA": ([("2.16.840.1.113730.1.1", False, b"\x03\x02\x00\x04")], (), {}),
    "SAN": ([names(x509.DNSName("a.example"), x509.RFC822Name("a@b.example"))], (), {}),
    "empty SAN": ([("2.5.29.17", False, der.sequence())], (), {}),
    "malformed SAN": ([("2.5.29.17", False, b"\x30\x03\x82\x05ab")], (), {}),
    "empty subject": ([], (), {"subject": der.sequence()}),
    "empty subject, SAN": ([names(x509.DNSName("a.example"))], (), {"subject": der.sequence()}),
    "self-issued": ([], (), {"subject": pki.name("practice CA", organisation="calock practice")}),
    "version 1": ([], (), {"version": 0}),
    "version 2": ([], (), {"version": 1}),
    "serial 0": ([], (), {"serial": 0}),
    "expired": ([], (), {"not_before": START, "not_after": START}),
    "malformed CRL points": ([("2.5.29.31", False, UTF8)], (), {}),
    "malformed EKU": ([("2.5.29.37", False, der.sequence())], (), {}),
    "twice": ([("1.2.156.99999.9", False, UTF8)] * 2, (), {}),
}  # fmt: skip


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LEAVES)
def test_what_is_plain_is_good_to_openssl(name: str, kind: str, strict: bool) -> None:
    extra, drop, changes = LEAVES[name]
    _, fault = disagreement(world(kind).raw_lock(*extra, drop=drop, **changes), kind, strict=strict)
    assert fault == ""


@pytest.mark.parametrize("kind", KINDS)
def test_the_locks_of_a_ca_are_plain(kind: str) -> None:
    lock = world(kind).lock(crl_url="http://ca.example/a.crl", lock_id="3301")
    assert disagreement(lock, kind, strict=True) == (True, "")


def test_a_plain_lock_never_meets_the_path_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the short way would be none; and what is not plain meets it."""
    register = world().register()
    assert check_path(Certificate.parse(world().lock()), register, at=AT).holds
    judged: list[object] = []
    monkeypatch.setattr(chain, "_verify_chain", lambda *arguments, **_: judged.append(arguments))
    assert check_path(Certificate.parse(world().lock(serial=7)), register, at=AT).holds
    assert judged == []
    check_path(Certificate.parse(world().raw_lock(("1.2.156.99999.9", True, UTF8))), register, at=AT)
    assert len(judged) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
def test_the_first_leaf_of_a_ca_is_openssls(strict: bool, kind: str) -> None:
    """What OpenSSL has against an issuing CA itself, such as an anchor without a key identifier, it says at the first leaf."""
    bare = key(kind, "no identifier")
    extensions = [pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True), pki.key_usage("key_cert_sign")]
    subject = pki.name("no identifier")
    root = pki.Authority(bare, subject, b"", ()).issue(subject, bare.spki_der, **DATES, extensions=extensions)
    ca = CaCertificate.of(root, anchor=True)
    path = CaPath((Issuer(ProviderTrust("p", (ca,)), ca),))
    for serial in (5, 6, 7):
        leaf = Certificate.parse(pki.Authority(bare, subject, root, ()).issue_lock("h", key(kind), **DATES, serial=serial))
        assert (chain_fault(leaf, path, strict=strict) is None) is (openssl_fault(leaf, path, strict=strict) is None) is not strict


@pytest.mark.parametrize("kind", KINDS)
def test_another_keys_signature_is_refused(kind: str) -> None:
    stranger = pki.Authority(key(kind, "stranger"), world(kind).ca.subject, b"", ())
    forged = stranger.issue(
        pki.name("h"), key(kind).spki_der, **DATES,
        extensions=[pki.extension(x509.AuthorityKeyIdentifier(world(kind).ca.key.key_id, None, None))],
    )  # fmt: skip
    assert not fast_path.verified_directly(Certificate.parse(forged), above(kind).issuer.certificate, strict=True)
    fault = chain_fault(Certificate.parse(forged), above(kind), strict=True)
    assert fault is not None
    assert "signature" in fault.text


def test_algorithm_of_another_kind_of_key() -> None:
    """An RSA algorithm over an EC issuer's key, and the other way round."""
    for kind, algorithm in (("EC", pki.RSA_WITH_SHA256), ("RSA", pki.ECDSA_WITH_SHA256), ("SM2", pki.ECDSA_WITH_SHA256)):
        lock = Certificate.parse(world(kind).raw_lock(algorithm=algorithm))
        assert not fast_path.verified_directly(lock, above(kind).issuer.certificate, strict=True)
        assert chain_fault(lock, above(kind), strict=True) is not None


def mutated(tbs: bytes, chance: random.Random) -> bytes:
    """One to three octets changed, or a few left out or put in."""
    data = bytearray(tbs)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                data[place] = chance.choice((0, 1, 0x30, 0x80, 0xA0, 0xFF))
            case 2:
                del data[place : place + chance.randint(1, 2)]
            case _:
                data[place:place] = data[place : place + chance.randint(1, 4)]
    return bytes(data)


def resigned(certificate: bytes, signer: pki.Key, chance: random.Random) -> Iterator[bytes]:
    tbs = Certificate.parse(certificate).tbs
    for _ in range(MUTATIONS):
        yield pki.signed(mutated(tbs, chance), signer)


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])
def test_mutated_leaves_signed_anew(strict: bool) -> None:
    chance = random.Random(SEED)
    lock = world().lock(crl_url="http://ca.example/a.crl", extra=[names(x509.DNSName("a.example"))])
    outcomes = [disagreement(leaf, "EC", strict=strict) for leaf in resigned(lock, world().ca.key, chance)]
    plainly = sum(is_plain for is_plain, _ in outcomes)
    assert {fault for _, fault in outcomes} == {""}
    assert MUTATIONS > plainly > MUTATIONS // 50  # neither nothing nor everything passed: the comparison was one


def test_mutated_issuers_signed_anew() -> None:
    """Whatever the issuing CA's own certificate says, a leaf is not accepted under it that OpenSSL refuses."""
    chance = random.Random(SEED + 1)
    leaf = world().lock()
    plainly = 0
    for certificate in resigned(world().ca.certificate, world().root.key, chance):
        try:
            ca = CaCertificate.of(certificate, anchor=True)
            path = CaPath((Issuer(ProviderTrust("p", (ca,)), ca),))
        except Refusal:
            continue
        is_plain, fault = disagreement(leaf, "EC", strict=False, path=path)
        assert fault == "", certificate.hex()
        plainly += is_plain
    assert plainly > MUTATIONS // 50


def test_a_trusted_certificate_without_key_usage_may_do_everything() -> None:
    """RFC 5280 clause 6.1.4 n: if present. An intermediate CA's key usage must be there, and an anchor's basicConstraints."""
    basic = pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)

    def authority(name: str, signer: pki.Authority | None, *extensions: pki.Extension) -> pki.Authority:
        own = pki.Authority(key("EC", name), pki.name(name), b"", ())
        above = signer or own
        ids = [pki.extension(x509.SubjectKeyIdentifier(own.key.key_id)),
               pki.extension(x509.AuthorityKeyIdentifier(above.key.key_id, None, None))]  # fmt: skip
        made = above.issue(own.subject, own.key.spki_der, **DATES, extensions=[*ids, *extensions])
        return pki.Authority(own.key, own.subject, made, (made,))

    def reason(issuer: pki.Authority, *above: pki.Authority) -> Reason | None:
        *between, anchor = (issuer, *above)
        cas = (CaCertificate.of(anchor.certificate, anchor=True), *(CaCertificate.of(ca.certificate) for ca in between))
        register = Register([ProviderTrust("p", cas)])
        checks = check_path(Certificate.parse(issuer.issue_lock("h", key("EC"), **DATES)), register, at=AT).checks
        return next((check.reason for check in checks if check.passed is False), None)

    bare = authority("bare root", None, basic)
    assert reason(bare) is None
    below = authority("below", bare, basic, pki.key_usage("key_cert_sign"))
    assert reason(below, bare) is None
    assert reason(authority("without usage", bare, basic), bare) is Reason.PATH_INVALID
    assert reason(authority("no basicConstraints", None, pki.key_usage("key_cert_sign"))) is Reason.PATH_INVALID
