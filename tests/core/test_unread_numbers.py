"""Numbers of holders that no rule reads are told to operators, masked, with the rule that would read them."""

from __future__ import annotations

import pytest
from worlds.core_trust import USCC, world

from calock.core.certificates.certificate import Certificate
from calock.core.checks.unread_numbers import unread_numbers
from calock.core.der import extensions
from calock.core.policy import IdentityRule, IdentityRules, Policy
from calock.demo import der, pki

PERSON = "11010519491231002X"
"""The example of GB 11643-1999."""
CN, ORGANISATION, SERIAL_NUMBER = "2.5.4.3", "2.5.4.10", "2.5.4.5"


def subject(oid: str, text: str) -> bytes:
    return der.sequence(
        der.set_of(der.sequence(der.oid("2.5.4.6"), der.printable("CN"))), der.set_of(der.sequence(der.oid(oid), der.utf8(text)))
    )


DEFAULT = IdentityRules()


def found(lock: bytes, rules: IdentityRules = DEFAULT) -> list[tuple[str, str, str, str | None]]:
    numbers = unread_numbers(Certificate.parse(lock), rules)
    return [(item.kind, item.value, item.oid, item.rule.prefix if item.rule else None) for item in numbers]


IN_A_SUBJECT = [
    (SERIAL_NUMBER, USCC, "uscc", USCC, ""),
    (SERIAL_NUMBER, USCC.lower(), "uscc", USCC, ""),
    (SERIAL_NUMBER, "９１３５０１００Ｍ０００１００Ｙ４３", "uscc", USCC, ""),
    (SERIAL_NUMBER, f"{USCC[:8]}-{USCC[8:]}", "uscc", USCC, ""),
    (SERIAL_NUMBER, PERSON, "id_card", PERSON, ""),
    (ORGANISATION, USCC, "uscc", USCC, ""),
    (CN, f"1@5013SF0{PERSON}", "id_card", PERSON, r"1\@5013SF0"),
    (CN, f"SF{PERSON}", "id_card", PERSON, "SF"),
    (CN, f"某某公司 经办人张三@{USCC}", "uscc", USCC, r".*\@"),
    (CN, f"某某公司（{USCC}）", "uscc", USCC, None),
    (CN, f"{USCC}_张三", "uscc", USCC, None),
    (CN, "代码：９１３５０１００Ｍ０００１００Ｙ４３", "uscc", USCC, ".*："),
    ("2.5.4.97", f"NTRCN-{USCC}", "uscc", USCC, r"NTRCN\-"),
]


def test_no_rule_that_is_proposed_holds_a_number() -> None:
    lock = world().raw_lock(subject=subject(CN, f"{PERSON}|{USCC}"))
    assert [(value, prefix) for _, value, _, prefix in found(lock)] == [(PERSON, None), (USCC, r".*\|")]


@pytest.mark.parametrize(("oid", "text", "kind", "value", "prefix"), IN_A_SUBJECT)
def test_l03_a_number_in_the_subject_is_named_with_the_rule_that_reads_it(
    oid: str, text: str, kind: str, value: str, prefix: str | None
) -> None:
    lock = world().raw_lock(subject=subject(oid, text))
    assert found(lock) == [(kind, value, oid, prefix)]
    (number,) = unread_numbers(Certificate.parse(lock), IdentityRules())
    assert value not in repr(number)
    assert value[6:14] not in number.masked
    assert oid in number.place
    if number.rule is not None:
        with_it = Policy(identity=IdentityRules(holder=(number.rule,)))
        identity = world().judge(lock, with_it).identity
        assert identity is not None
        assert (identity.holder_kind, identity.holder_id) == (kind, value)
        assert found(lock, with_it.identity) == []


@pytest.mark.parametrize("oid", ["1.2.86.21.1.1", "2.5.29.1", "2.16.840.1.113731.9", "1.3.6.1.4.1.5315.100.2.4", "2.5.29.17"])
@pytest.mark.parametrize(
    "wrap", [der.utf8, der.printable, lambda text: text.encode(), lambda text: der.sequence(der.octets(text.encode()))]
)
def test_l03_a_number_in_any_extension_is_named(oid: str, wrap: object) -> None:
    lock = world().raw_lock((oid, False, wrap(USCC)))  # type: ignore[operator]
    assert found(lock) == [("uscc", USCC, oid, "")]


@pytest.mark.parametrize(
    "text",
    [
        f"{USCC[:-1]}X", f"{PERSON[:-1]}1", "110105194913310029", USCC[:-1], f"x{USCC}1", f"0123456789abcdef{USCC}", "",
        "太原练习有限公司",
    ],
)  # fmt: skip
def test_l03_what_is_no_number_with_valid_check_digits_is_not_named(text: str) -> None:
    assert found(world().raw_lock(subject=subject(CN, text))) == []


def test_l03_a_number_that_a_rule_reads_is_not_named_wherever_it_stands_again() -> None:
    extra = pki.text_extension(pki.USCC_OID, USCC)
    assert found(world().raw_lock(extra, subject=subject(SERIAL_NUMBER, USCC))) == []
    assert found(world().raw_lock(extra, subject=subject(SERIAL_NUMBER, PERSON))) == [("id_card", PERSON, SERIAL_NUMBER, "")]
    elsewhere = IdentityRules(holder=(IdentityRule("dn", CN, kind="uscc"),))
    assert found(world().raw_lock(extra), elsewhere) == [("uscc", USCC, pki.USCC_OID, "")]


def other_name(text: str) -> bytes:
    return der.sequence(der.tlv(0xA0, der.oid("1.3.6.1.4.1.311.20.2.3"), der.tlv(0xA0, der.utf8(text))))


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        (other_name(USCC), ""),
        (der.sequence(der.integer(1), der.utf8(USCC)), ""),
        (der.sequence(der.utf8("太原"), der.utf8(USCC)), None),
        (der.sequence(der.set_of(der.utf8("太原")), der.octets(der.printable(USCC))), None),
    ],
)
def test_l03_a_number_behind_other_values_of_an_extension_is_named(value: bytes, prefix: str | None) -> None:
    """A rule reads the first text of an extension: the number is named either way, with a rule where one reads it."""
    lock = world().raw_lock(("2.5.29.17", False, value))
    assert found(lock) == [("uscc", USCC, "2.5.29.17", prefix)]


def test_l03_key_hashes_and_addresses_are_not_looked_at() -> None:
    for oid in ("2.5.29.14", "2.5.29.35", "2.5.29.31", "1.3.6.1.5.5.7.1.1"):
        assert oid in extensions.USED or oid == "1.3.6.1.5.5.7.1.1"
        assert found(world().raw_lock((oid, False, der.utf8(USCC)), drop=(oid,))) == []
