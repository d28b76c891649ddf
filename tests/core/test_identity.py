"""Reading lock and holder: check digits, prefixes, order of rules, masks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds.core_trust import USCC, world

from calock.core.checks import identity
from calock.core.policy import IdentityRule, IdentityRules, Kind, Policy, RevocationRules
from calock.core.refusals import Reason
from calock.demo import der, pki

ID_CARD = "11010519491231002X"
"""The example of GB 11643-1999."""
OFF = RevocationRules(mode="off")


@pytest.mark.parametrize("value", [USCC, "91110000600037341L"])
def test_uscc(value: str) -> None:
    assert identity.uscc_valid(value)


@given(st.text(alphabet="0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=17, max_size=17))
def test_exactly_one_check_character_fits(body: str) -> None:
    assert sum(identity.uscc_valid(body + last) for last in "0123456789ABCDEFGHJKLMNPQRTUWXY") == (body != "0" * 17)


@given(st.integers(0, 17), st.sampled_from("0123456789ABCDEFGHJKLMNPQRTUWXY"))
def test_one_wrong_character_is_found(place: int, other: str) -> None:
    changed = USCC[:place] + other + USCC[place + 1 :]
    assert identity.uscc_valid(changed) == (changed == USCC)


@given(st.text(max_size=20))
def test_any_text_is_judged(text: str) -> None:
    assert identity.uscc_valid(text) in (True, False)
    assert identity.id_card_valid(text) in (True, False)


def test_id_card() -> None:
    assert identity.id_card_valid(ID_CARD)
    assert identity.id_card_valid(ID_CARD.lower())
    assert not identity.id_card_valid("110105194912310021")
    assert not identity.id_card_valid("110105194902310020")  # 31 February
    assert not identity.id_card_valid("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X")


def _identify(certificate: bytes, *, serial: str = "", **rules: object) -> tuple[Reason | None, identity.Identity | None]:
    policy = Policy(identity=IdentityRules(**rules), revocation=OFF)  # type: ignore[arg-type]
    verdict = world().judge(certificate, policy, device_serial=serial)
    return verdict.reason, verdict.identity


FIRM_OF_FIGURES, PERSON_OF_FIGURES = "911401001234500003", "140102199003071235"
"""Numbers of figures alone: each has the other's shape, and not its check digit."""


@pytest.mark.parametrize("kinds", [("uscc", "id_card"), ("id_card", "uscc")])
@pytest.mark.parametrize(("number", "kind"), [(FIRM_OF_FIGURES, "uscc"), (PERSON_OF_FIGURES, "id_card"), (USCC, "uscc")])
def test_a_place_that_holds_a_firms_or_a_persons_number_is_read_by_two_rules(
    number: str, kind: Kind, kinds: tuple[Kind, Kind]
) -> None:
    rules = tuple(IdentityRule("dn", "2.5.4.5", kind=each) for each in kinds)

    def lock(text: str) -> bytes:
        return world().raw_lock(subject=der.sequence(der.set_of(der.sequence(der.oid("2.5.4.5"), der.printable(text)))))

    reason, found = _identify(lock(number), holder=rules)
    assert reason is None
    assert found is not None
    assert (found.holder_kind, found.holder_id) == (kind, number)
    wrong = number[:-1] + ("1" if number[-1] != "1" else "2")
    assert _identify(lock(wrong), holder=rules) == (Reason.HOLDER_ID_INVALID, None)


def test_wrong_check_digit_is_refused_and_not_passed_over() -> None:
    wrong = USCC[:-1] + "0"
    reason, found = _identify(world().lock(uscc=wrong, person_id=ID_CARD))
    assert (reason, found) == (Reason.HOLDER_ID_INVALID, None)


@pytest.mark.parametrize("other", ["123456789", "0" * 18])
def test_a_value_of_another_shape_does_not_apply(other: str) -> None:
    reason, found = _identify(world().lock(uscc=other, person_id=ID_CARD))
    assert reason is None
    assert found is not None
    assert (found.holder_kind, found.holder_id, found.holder_masked) == ("id_card", ID_CARD, "*" * 14 + "002X")
    assert ID_CARD not in repr(found)


def test_holder_required() -> None:
    assert _identify(world().lock(uscc=""), holder_required=True) == (Reason.HOLDER_ID_MISSING, None)
    assert _identify(world().lock(uscc=""))[0] is None


def test_prefix_is_matched_and_cut_off() -> None:
    rule = IdentityRule("oid", pki.LOCK_ID_OID, prefix=r"1@5013SF0", kind="id_card")
    _, found = _identify(world().lock(lock_id="1@5013SF0" + ID_CARD), holder=(rule,))
    assert found is not None
    assert found.holder_id == ID_CARD
    _, found = _identify(world().lock(lock_id="2@5013SF0" + ID_CARD), holder=(rule,))
    assert found is not None
    assert found.holder_id == ""


@pytest.mark.parametrize(
    "value",
    [
        der.utf8(USCC), der.printable(USCC), der.tlv(0x16, USCC.encode()), der.tlv(0x1E, USCC.encode("utf-16-be")), USCC.encode(),
        der.octets(USCC.encode()), der.sequence(der.utf8(USCC)), der.tlv(0xA0, der.utf8(USCC)), der.tlv(0x80, USCC.encode()),
        der.sequence(der.oid("1.2.3"), der.utf8(USCC)), der.utf8(USCC + "\0"), der.utf8("\ufeff" + USCC), USCC.encode() + b"\r\n",
        USCC.encode() + b"\0",
    ],
)  # fmt: skip
def test_encodings_that_cas_use(value: bytes) -> None:
    _, found = _identify(world().raw_lock((pki.USCC_OID, False, value)))
    assert found is not None
    assert found.holder_id == USCC


def test_lock_rules_in_order() -> None:
    by_extension, by_device = IdentityRule("oid", pki.LOCK_ID_OID), IdentityRule("device")
    _, found = _identify(world().lock(lock_id="LOCK-1"), serial="DEVICE-1", lock=(by_extension, by_device))
    assert found is not None
    assert (found.lock_id, found.lock_source) == ("LOCK-1", "oid")
    _, found = _identify(world().lock(), serial="DEVICE-1", lock=(by_extension, by_device))
    assert found is not None
    assert (found.lock_id, found.lock_source) == ("DEVICE-1", "device")
    _, found = _identify(world().lock(), serial="DEVICE-1")
    assert found is not None
    assert found.lock_source == "key"


def test_a_device_never_names_a_holder() -> None:
    _, found = _identify(world().lock(uscc=""), serial=USCC, holder=(IdentityRule("device", kind="uscc"),))
    assert found is not None
    assert found.holder_id == ""


@pytest.mark.parametrize(
    "text", [USCC.lower(), f" {USCC[:2]} {USCC[2:]} ", f"{USCC[:8]}-{USCC[8:]}", "".join(chr(ord(c) + 0xFEE0) for c in USCC)]
)
def test_ways_of_writing_one_number_are_one_holder(text: str) -> None:
    """Or a certificate of another organisation would pass for one that names nobody."""
    _, found = _identify(world().lock(uscc=text))
    assert found is not None
    assert (found.holder_kind, found.holder_id) == ("uscc", USCC)


@pytest.mark.parametrize("text", ["12345678-9", "E12345678", "?", "91350100M000100Y43X", "0" * 18, "123456789012345678"])
def test_a_number_that_cannot_be_read_is_not_nobody(text: str) -> None:
    assert _identify(world().lock(uscc=text)) == (Reason.HOLDER_ID_INVALID, None)
    as_text = IdentityRule("oid", pki.USCC_OID, kind="text")
    _, found = _identify(world().lock(uscc=text), holder=(*IdentityRules().holder, as_text))
    assert found is not None
    assert (found.holder_kind, found.holder_id) == ("text", text)


@pytest.mark.parametrize("value", [der.bits(USCC.encode()), der.integer(91350100), USCC.encode("utf-16-le"), b"\xff" * 20])
def test_an_extension_that_is_no_text_is_not_nobody(value: bytes) -> None:
    """It names somebody: the lock would pass for one without a holder."""
    assert _identify(world().raw_lock((pki.USCC_OID, False, value))) == (Reason.HOLDER_ID_INVALID, None)
    read = _identify(world().raw_lock((pki.USCC_OID, False, value), pki.text_extension(pki.PERSON_ID_OID, ID_CARD)))[1]
    assert read is not None
    assert read.holder_id == ID_CARD


def test_a_number_behind_an_empty_value_is_read() -> None:
    _, found = _identify(world().raw_lock((pki.USCC_OID, False, der.sequence(der.utf8(" "), der.utf8(USCC)))))
    assert found is not None
    assert found.holder_id == USCC


def in_utf8(octets: bytes) -> bytes:
    """A UTF8String, whatever it holds."""
    return der.tlv(0x0C, octets)


@pytest.mark.parametrize("name", ["张三".encode("gb18030"), "Müller".encode("latin-1")])
def test_a_name_in_another_character_set_is_no_holder_and_no_lock(name: bytes) -> None:
    """Namesakes would be one holder, and who has the number before this name another one than before."""
    by_number, by_text = IdentityRule("oid", pki.LOCK_ID_OID, kind="id_card"), IdentityRule("oid", pki.LOCK_ID_OID, kind="text")
    before_number = world().raw_lock((pki.LOCK_ID_OID, False, der.sequence(in_utf8(name), der.printable(ID_CARD))))
    for rule in (by_number, by_text):
        _, found = _identify(before_number, holder=(rule,))
        assert found is not None
        assert found.holder_id == ID_CARD
    before_serial = world().raw_lock((pki.LOCK_ID_OID, False, der.sequence(in_utf8(name), der.printable("SN123456"))))
    _, found = _identify(before_serial, lock=(by_text,))
    assert found is not None
    assert found.lock_id == "SN123456"
    alone = world().raw_lock((pki.LOCK_ID_OID, False, in_utf8(name)))
    assert _identify(alone, holder=(by_text,), holder_required=True) == (Reason.HOLDER_ID_MISSING, None)
    _, found = _identify(alone, lock=(by_text,))
    assert found is not None
    assert found.lock_source == "key"


def test_a_text_with_a_nul_is_no_lock_id() -> None:
    """It never was: whose lock its key named until now would have another id."""
    _, found = _identify(world().lock(lock_id="SN123456\0"), lock=(IdentityRule("oid", pki.LOCK_ID_OID),))
    assert found is not None
    assert found.lock_source == "key"


@pytest.mark.parametrize("value", [b"", der.utf8(""), der.tlv(0x05), der.utf8("  "), der.tlv(0x1E, b"\0 ")])
def test_an_empty_extension_names_nobody(value: bytes) -> None:
    assert _identify(world().raw_lock((pki.USCC_OID, False, value)))[0] is None


@pytest.mark.parametrize("text", [ID_CARD, ID_CARD.lower()])
def test_a_persons_number_is_never_a_lock_id(text: str) -> None:
    """It would be shown to everybody as CA锁ID, and stored in clear."""
    _, found = _identify(world().lock(lock_id=text), lock=(IdentityRule("oid", pki.LOCK_ID_OID),))
    assert found is not None
    assert found.lock_source == "key"
    assert text.upper() not in found.lock_id
