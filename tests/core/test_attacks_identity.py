"""Attack rows A26 to A28: whom a certificate names."""

from __future__ import annotations

import hashlib

import pytest
from worlds.core_trust import DATES, OFF, USCC, key, trusting, world

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.demo import der, pki


def _name(*attributes: tuple[str, bytes], together: bool = False) -> bytes:
    pairs = [der.sequence(der.oid(oid), value) for oid, value in attributes]
    return der.sequence(der.set_of(*pairs)) if together else der.sequence(*(der.set_of(pair) for pair in pairs))


CN = "2.5.4.3"


@pytest.mark.parametrize(
    "subject",
    [
        _name((CN, der.utf8("victim")), (CN, der.utf8("x"))),
        _name((CN, der.utf8("victim")), (CN, der.utf8("x")), together=True),
        _name((CN, der.utf8("x/CN=victim"))),
        _name((CN, der.utf8("x, CN=victim"))),
        _name((CN, der.utf8("victim\x00x"))),
        _name((CN, der.utf8("victim\nCN=x"))),
        _name((CN, der.tlv(0x14, b"victim"))),
        _name((CN, der.tlv(0x1E, "victim".encode("utf-16-be")))),
        _name((CN, der.utf8("VICTIM"))),
        _name((CN, der.utf8("victim  "))),
        _name((CN, der.utf8("\N{RIGHT-TO-LEFT OVERRIDE}mitciv"))),
    ],
)
def test_a26_names_never_decide_identity(subject: bytes) -> None:
    """Nothing in a name makes one certificate pass for another: what identifies are the CA's key, the serial and the key."""
    victim = world().raw_lock(subject=_name((CN, der.utf8("victim"))), serial=11)
    verdict = world().judge(world().raw_lock(subject=subject, spki=key("EC", "attacker").spki_der, serial=12))
    certificate = verdict.certificate
    assert certificate is not None
    genuine = world().judge(victim)
    assert genuine.certificate is not None
    assert genuine.identity is not None
    assert (certificate.serial, certificate.spki_sha256) != (genuine.certificate.serial, genuine.certificate.spki_sha256)
    if verdict.identity is not None:
        assert verdict.identity.holder_id == ""
        assert verdict.identity.lock_id == certificate.spki_sha256[:20].upper() != genuine.identity.lock_id
    for shown in (certificate.subject_cn, certificate.subject_text):
        assert shown.isprintable()
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in shown


def test_a26_a_rule_on_a_name_takes_one_value_or_none() -> None:
    """Where a provider's rule does read an attribute, a second one beside it, of any encoding, makes it read nothing."""
    rules = Policy.from_json({"identity": {"lock": [{"source": "dn", "oid": CN}]}})

    def lock_id(*values: bytes) -> tuple[str, str]:
        verdict = world().judge(world().raw_lock(subject=_name(*((CN, value) for value in values))), rules)
        assert verdict.identity is not None
        return verdict.identity.lock_source, verdict.identity.lock_id

    assert lock_id(der.utf8("LOCK-1")) == ("dn", "LOCK-1")
    for other in (der.utf8("LOCK-2"), der.tlv(0x1E, "LOCK-2".encode("utf-16-be")), der.printable("lock-1")):
        assert lock_id(der.utf8("LOCK-1"), other)[0] == "key"
    assert lock_id(der.utf8("LOCK-1\n"))[1] != "LOCK-1\n"


def test_a26_separators_inside_a_name_are_escaped() -> None:
    certificate = Certificate.parse(world().raw_lock(subject=_name((CN, der.utf8("x, CN=victim+O=y")))))
    assert certificate.subject_text == "CN=x\\, CN\\=victim\\+O\\=y"


def test_a26_two_values_of_one_attribute_name_nobody() -> None:
    rules = Policy.from_json(
        {"identity": {"holder": [{"source": "dn", "oid": "2.5.4.97", "kind": "uscc"}], "holder_required": True}}
    )
    two = _name(("2.5.4.97", der.utf8(USCC)), ("2.5.4.97", der.utf8("91110000600037341L")))
    verdict = world().judge(world().raw_lock(subject=two), rules)
    assert (verdict.reason, verdict.identity) == (Reason.HOLDER_ID_INVALID, None)
    one = world().judge(world().raw_lock(subject=_name(("2.5.4.97", der.utf8(USCC)))), rules)
    assert one.identity is not None
    assert one.identity.holder_id == USCC


def test_a27_same_subject_serial_and_holder_under_two_cas() -> None:
    root = pki.make_root("practice root", "EC", key("EC", "second root"), **DATES)
    other = root.intermediate("practice CA", key("EC", "second ca"), **DATES)
    cas = (CaCertificate.of(root.certificate, anchor=True), CaCertificate.of(other.certificate))
    first = world().register(OFF).providers[0]
    register = Register([first, ProviderTrust("second", cas, OFF)])
    mine = world().judge(world().lock(), register=register)
    theirs = other.issue_lock("practice holder", key("EC"), **DATES, uscc=USCC, serial=4242)
    verdict = world().judge(theirs, register=register)
    assert mine.accepted
    assert verdict.accepted
    assert mine.provider is not None
    assert verdict.provider is not None
    assert (mine.provider.code, verdict.provider.code) == ("practice", "second")
    assert mine.issuer is not None
    assert verdict.issuer is not None
    assert mine.issuer.spki_sha256 != verdict.issuer.spki_sha256
    assert world().judge(theirs, register=register, provider="practice").reason is Reason.PROVIDER_MISMATCH


def test_a28_one_key_certified_twice_is_visible_as_one_key() -> None:
    """By two CAs, in two encodings of the name: whoever compares keys sees one (what binding makes of it: tests/server/locks)."""
    other = world().root.intermediate("second CA", key("EC", "second"), **DATES)
    register = trusting(world().ca.certificate, other.certificate)
    old, new = (
        world().judge(issuer.issue_lock("holder", key("EC"), **DATES, serial=10), register=register)
        for issuer in (world().ca, other)
    )
    assert old.accepted
    assert new.accepted
    assert old.certificate is not None
    assert new.certificate is not None
    assert old.certificate.spki_sha256 == new.certificate.spki_sha256 == hashlib.sha256(key("EC").spki_der).hexdigest()
    assert old.issuer is not None
    assert new.issuer is not None
    assert old.issuer.spki_sha256 != new.issuer.spki_sha256
