"""Policies, names, certificates and the self-test as values: round trips, refusals, properties over any bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from worlds.core_trust import AT, KINDS, world

from calock.core import selftest
from calock.core.certificates.certificate import Certificate
from calock.core.der import legacy_encodings, names, reader
from calock.core.der.strings import first_text
from calock.core.paths.path import check_path
from calock.core.policy import Policy, PolicyError, json_value
from calock.core.refusals import Refusal
from calock.demo import der

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(list(Policy().to_json()))


def test_policy_round_trip() -> None:
    value = {
        "legacy": [{"what": "SHA1", "until": "2027-01-01T00:00:00+00:00"}], "grace_days": 3, "required_policies": ["1.2.3"],
        "identity": {"lock": [{"source": "dn", "oid": "2.5.4.5", "prefix": "^JJ", "kind": "text"}], "holder_required": True},
        "revocation": {"mode": "if_available", "crl_max_age": None},
    }  # fmt: skip
    made = Policy.from_json(value)
    assert Policy.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.revocation.mode == "if_available"
    assert made.identity.lock[0].prefix == "^JJ"


@pytest.mark.parametrize(
    "value",
    [
        [], None, {"what": 1}, {"grace_days": "3"}, {"grace_days": True}, {"grace_days": -1}, {"rsa_min_bits": 512},
        {"algorithms": ["DSA"]}, {"ekus": ["clientAuth"]}, {"legacy": [{"what": "MD5", "until": "2027-01-01"}]},
        {"legacy": [{"what": "SHA1", "until": "soon"}]}, {"legacy": [{"what": "SHA1"}]}, {"revocation": {"mode": "perhaps"}},
        {"revocation": {"crl_max_age": -5}}, {"revocation": 5}, {"identity": {"holder": [{"source": "oid", "oid": "x"}]}},
        {"identity": {"holder": [{"source": "oid", "oid": "1.2", "prefix": "("}]}}, {"identity": {"holder": [{}]}},
        {"identity": {"holder": {}}}, {"max_depth": 9}, {"curves": "secp256r1"}, {"curves": ["secp192r1"]}, {"rsa_min_bits": 1024},
        {"ekus": ["2.5.29.37.0"]}, {"ekus": []}, {"revocation": {"ocsp_skew": 86400}}, {"revocation": {"future_skew": 86400}},
        {"identity": {"lock": [{"source": "oid", "oid": "1.2.156.10260.4.1.1", "kind": "id_card"}]}},
        {"revocation": {"emergency_until": "2026-11-25T00:00:00Z"}},
    ],
)  # fmt: skip
def test_policy_refuses_what_is_not_meant(value: object) -> None:
    with pytest.raises(PolicyError):
        Policy.from_json(value)


@pytest.mark.parametrize(("key", "value"), [("grace_days", 367), ("max_depth", 9), ("required_policies", ["1.2.x"])])
def test_a_value_outside_its_range_is_refused_with_the_name_of_its_key_alone(key: str, value: object) -> None:
    with pytest.raises(PolicyError, match=rf"^policy\.{key}: [^;]*$"):
        Policy.from_json({key: value})


@pytest.mark.parametrize(
    "text",
    ['{"grace_days":1,"grace_days":1}', '{"revocation":{"mode":"require"},"revocation":{"mode":"off"}}', '[{"a":{"b":1,"b":2}}]',
     r'{"mode":1,"\u006dode":2}'],
)  # fmt: skip
def test_a_key_twice_is_refused(text: str) -> None:
    for given_as in (text, text.encode(), text.encode("utf-16")):
        with pytest.raises(PolicyError, match="occurs twice in one object"):
            json_value(given_as)
    assert json_value('[{"a": 1}, {"a": 2, "b": {"a": 3}}]') == [{"a": 1}, {"a": 2, "b": {"a": 3}}]


def test_an_identity_rule_without_source_is_said_so() -> None:
    with pytest.raises(PolicyError, match=r"^identity\.lock: a rule without source, which is one of oid, dn, device, key$"):
        Policy.from_json({"identity": {"lock": [{"oid": "2.5.4.3"}]}})


@given(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES)
def test_any_json_is_a_policy_or_a_policy_error(value: object) -> None:
    try:
        made = Policy.from_json(value)
    except PolicyError:
        return
    assert Policy.from_json(made.to_json()) == made


@cache
def _lock(kind: str) -> bytes:
    return world(kind).lock()


@given(st.sampled_from(KINDS), st.data())
def test_any_damage_to_a_certificate_is_a_refusal_or_a_certificate(kind: str, data: st.DataObject) -> None:
    whole = bytearray(_lock(kind))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    verdict = world(kind).judge(bytes(whole))
    assert verdict.accepted == (bytes(whole) == _lock(kind))


@given(st.binary(max_size=200))
def test_any_bytes_are_no_certificate(data: bytes) -> None:
    with pytest.raises(Refusal):
        Certificate.parse(data)
    assert legacy_encodings.readable_copy(data) != data
    with suppress(reader.DerError):
        assert isinstance(names.comparison_key(data), tuple)
    assert first_text(data) is None or isinstance(first_text(data), str)


def _name(value: bytes) -> bytes:
    return der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), value)))


def test_names_compare_as_rfc_5280_says() -> None:
    plain = names.comparison_key(_name(der.utf8("Practice CA")))
    for same in (der.printable("practice ca"), der.utf8(" PRACTICE   CA "), der.tlv(0x1E, "practice CA".encode("utf-16-be"))):
        assert names.comparison_key(_name(same)) == plain
    for other in (der.utf8("PracticeCA"), der.utf8("Practice CA."), der.utf8("Рractice CA")):
        assert names.comparison_key(_name(other)) != plain


def test_real_cards_with_two_odd_encodings_are_read() -> None:
    written_false, with_null = ("2.5.29.19", True, b"\x30\x03\x01\x01\x00"), bytes.fromhex("300c06082a8648ce3d0403020500")
    lock = world().raw_lock(written_false, drop=("2.5.29.19",), algorithm=with_null)
    certificate = Certificate.parse(lock)
    assert certificate.sha256 != Certificate.parse(world().raw_lock()).sha256
    assert certificate.basic_constraints == (False, None)
    assert world().judge(lock).accepted
    broken = lock[:-1] + bytes([lock[-1] ^ 1])
    assert not check_path(Certificate.parse(broken), world().register(), at=AT).holds


def test_self_test_holds_and_tells_when_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    selftest.require()
    assert all(answer.right for answer in selftest.run())
    monkeypatch.setattr(selftest.libcrypto, "sm2_verify", lambda *_: True)
    with pytest.raises(selftest.SelfTestError, match="empty signer ID"):
        selftest.require()
    monkeypatch.setattr(selftest.libcrypto, "sm2_verify", lambda *_: 1 / 0)
    with pytest.raises(selftest.SelfTestError, match="ZeroDivisionError"):
        selftest.require()


def test_an_emergency_belongs_to_one_ca_and_ends() -> None:
    key, other = "a" * 64, "b" * 64
    texts = [f"{key}:2026-11-25T08:00:00+08:00", f"{key}:2026-11-24T00:00:00Z", f"{other}:2026-12-01T00:00:00Z"]
    rules = Policy.from_json({"revocation": {"emergencies": texts}}).revocation
    assert rules.emergency_end(key) == datetime(2026, 11, 25, tzinfo=UTC)
    assert rules.emergency_end("c" * 64) is None
    with pytest.raises(PolicyError, match="at most 20"):
        Policy.from_json({"revocation": {"emergencies": texts * 7}})


@given(
    st.integers(0, 255),
    st.sampled_from((0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x101, 0xFFFF, 0x10000)),
    st.binary(max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 255)), max_size=2),
)
@example(0x1F, 0x100, b"", [])  # a tag number above 30 before a long length
def test_every_way_to_read_a_length_is_one(tag: int, size: int, tail: bytes, damage: list[tuple[int, int]]) -> None:
    """The short cuts through long lists of elements and the careful way say the same of every header, right or damaged."""
    whole = bytearray(reader.encode(tag, bytes(size)))
    for place, octet in damage:
        whole[min(place, len(whole) - 1)] = octet
    octets = bytes(whole) + tail

    def outcome(read: Callable[[], object]) -> object:
        try:
            return read()
        except reader.DerError:
            return None

    first = outcome(lambda: reader.element(octets, 0, len(octets)))
    alone = isinstance(first, tuple) and first[2] == len(octets)
    expected = first[1:] if isinstance(first, tuple) and alone else None
    assert outcome(lambda: reader.only(octets, 0, len(octets), octets[0])) == expected
    listed = outcome(lambda: [item[3] for item in reader.children(octets, 0, len(octets), 100_000)])
    if listed is not None:  # bounds leaves tags to its caller
        assert outcome(lambda: reader.bounds(octets, 0, len(octets), 100_000)[1:]) == listed
    if outcome(lambda: reader.bounds(octets, 0, len(octets), 100_000)) is None:
        assert listed is None
