"""Attack rows A03 to A12 (challenge and answer), as far as the core decides them. Spending a challenge once is the server's."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from worlds.core_trust import ALGORITHM, AT, CHALLENGE, KINDS, ORIGIN, answer, key, raw_signature, world

from calock.core import challenge, libcrypto
from calock.core.certificates import signatures
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement, moment, read_statement
from calock.core.verdict import Step
from calock.wire.token import parse_token

KEY = bytes(range(32))
CONTEXT = b"cookie|site"


def _said(at: datetime, purpose: str = "login", **words: str) -> Statement:
    return Statement(purpose=purpose, site="shanxi", origin=ORIGIN, time=moment(at), **words)


def _issue(**changes: object) -> str:
    values = {"statement": _said(AT), "context": CONTEXT, "key": KEY, "now": AT, **changes}
    return challenge.issue(**values)  # type: ignore[arg-type]


def _refused(text: str, **changes: object) -> Reason:
    values = {"purpose": "login", "statement": _said, "context": CONTEXT, "key": KEY, "now": AT, **changes}
    with pytest.raises(Refusal) as caught:
        challenge.open_challenge(text, **values)  # type: ignore[arg-type]
    return caught.value.reason


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_answer_is_accepted(kind: str) -> None:
    verdict = world(kind).verify_token(answer(world(kind).lock(), key(kind)))
    assert verdict.reason is None
    assert [check.step for check in verdict.checks if check.step == Step.SIGNATURE] == [Step.SIGNATURE, Step.SIGNATURE]
    steps = [check.step for check in verdict.checks]
    assert steps.index(Step.PATH) > max(i for i, step in enumerate(steps) if step in (Step.GATE, Step.SIGNATURE))


def test_a03_challenge_too_old() -> None:
    assert _refused(_issue(), now=AT + timedelta(seconds=120)) is Reason.CHALLENGE_EXPIRED


def test_a03_challenge_from_the_future() -> None:
    assert _refused(_issue(now=AT + timedelta(hours=1))) is Reason.CHALLENGE_FROM_FUTURE


def test_a04_challenge_of_another_browser() -> None:
    assert _refused(_issue(), context=b"other cookie|site") is Reason.CHALLENGE_WRONG_CONTEXT


def test_a05_challenge_of_another_purpose() -> None:
    bind = _issue(statement=_said(AT, "bind"))
    assert _refused(bind) is Reason.CHALLENGE_WRONG_PURPOSE
    assert _refused(bind.replace("c2.bind.", "c2.login.")) is Reason.CHALLENGE_FORGED


def test_a107_a_challenge_stands_for_one_statement_and_anybody_can_compute_its_digest() -> None:
    said = _said(AT, "bind", account="cssbjgys02", organisation="测试供应商")
    text = _issue(statement=said)
    assert len(text) <= 128
    written = '{"account":"cssbjgys02","organisation":"测试供应商","origin":"' + ORIGIN + '","purpose":"bind","site":"shanxi",'
    sha256 = hashlib.sha256(f'{written}"time":"{AT:%Y-%m-%dT%H:%M:%SZ}"}}'.encode())
    assert text.split(".")[4] == base64.urlsafe_b64encode(sha256.digest()).decode().rstrip("=")
    others = ({"account": "another"}, {"organisation": "别家"}, {"by": "boss"}, {"provider": "x"}, {"account": ""})
    for other in others:
        words = {"account": "cssbjgys02", "organisation": "测试供应商", **other}
        found = _refused(text, purpose="bind", statement=lambda at, words=words: _said(at, "bind", **words))
        assert found is Reason.CHALLENGE_WRONG_CONTEXT
    parts = text.split(".")
    parts[4] = _said(AT, "bind", account="another").digest
    assert _refused(".".join(parts), purpose="bind") is Reason.CHALLENGE_FORGED


def test_a107_only_the_canonical_text_is_a_statement() -> None:
    text = _said(AT, account="甲").text()
    assert read_statement(text).account == "甲"
    escaped, more, spaced = text.replace("甲", "\\u7532"), text[:-1] + ',"z":"1"}', text.replace(":", ": ", 1)
    for other in (escaped, more, spaced, text + " ", text[:-1] + ',"by":""}', "{}", "[]", "", "x" * 3000, "\ud800"):
        with pytest.raises(Refusal) as caught:
            read_statement(other)
        assert caught.value.reason is Reason.CHALLENGE_MALFORMED


@pytest.mark.parametrize(
    "text", ["", "c2", "c2.....", "x" * 200, "c2.login.1.2.3.4", "c2.login.zzzzzzzzzzzzzzzzzz.a.b.c", "c2.登录.1.a.b.c", "\x00" * 6]
)
def test_a03_challenge_that_is_none(text: str) -> None:
    assert _refused(text) in (Reason.CHALLENGE_MALFORMED, Reason.CHALLENGE_FORGED)


def test_a03_challenge_made_with_another_key() -> None:
    assert _refused(_issue(key=bytes(32))) is Reason.CHALLENGE_FORGED


def test_challenge_opens_with_what_it_was_made_for() -> None:
    text = _issue(statement=_said(AT, "unbind"))
    opened = challenge.open_challenge(
        text, purpose="unbind", statement=lambda at: _said(at, "unbind"), context=CONTEXT, key=KEY, now=AT + timedelta(seconds=119)
    )
    assert len(text) <= challenge.MAX_LENGTH
    assert (opened.purpose, opened.expires_at) == ("unbind", AT + timedelta(seconds=120))
    assert opened.digest == challenge.digest_of(text)
    assert _issue() != _issue()


@pytest.mark.parametrize(
    "origin",
    [
        "https://login.example.evil.example", "https://sub.login.example", "https://login.example:8443", "null",
        "https://login.example.",
        "https://xn--logn-5pa.example", "https://LOGIN.example", "http://login.example", "https://login.example/",
    ],
)  # fmt: skip
def test_a06_answer_for_another_origin(origin: str) -> None:
    token = answer(world().lock(), key("EC"), origin=origin)
    assert world().verify_token(token).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("kind", KINDS)
def test_a07_signature_over_other_bytes_is_no_answer(kind: str) -> None:
    document = b"a document the victim signed elsewhere"
    for message in (document, ORIGIN.encode() + CHALLENGE.encode(), signatures.digest(ALGORITHM[kind], CHALLENGE.encode())):
        signature = base64.b64encode(raw_signature(key(kind), message)).decode()
        token = answer(world(kind).lock(), key(kind), signature=signature)
        assert world(kind).verify_token(token).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.TOKEN_EMPTY),
        (b"  \n ", Reason.TOKEN_EMPTY),
        (b"{", Reason.TOKEN_MALFORMED),
        (b"x" * 10_000_000, Reason.TOKEN_TOO_LARGE),
        (b"[]", Reason.TOKEN_MALFORMED),
        (b"null", Reason.TOKEN_MALFORMED),
        (b"[" * 9_000, Reason.TOKEN_MALFORMED),
        (b"\xff\xfe{}", Reason.TOKEN_MALFORMED),
        (b"\x00" * 99, Reason.TOKEN_MALFORMED),
    ],
    ids=["empty", "blank", "one byte", "10 MB", "array", "null", "nested", "not UTF-8", "NUL"],
)
def test_a08_text_that_is_no_answer(text: bytes, reason: Reason) -> None:
    with pytest.raises(Refusal) as caught:
        parse_token(text)
    assert caught.value.reason is reason


@pytest.mark.parametrize("field", ["unverifiedCertificate", "signature"])
@pytest.mark.parametrize("damage", ["{}\n", " {}", "{}=", "{}\x00", "-_{}", "%{}", "é{}"])
def test_a08_fields_that_are_not_base64(field: str, damage: str) -> None:
    token = answer(world().lock(), key("EC"))
    fields = {
        "format": token.format, "algorithm": token.algorithm, "signature": token.signature,
        "unverifiedCertificate": token.unverified_certificate,
    }  # fmt: skip
    fields[field] = damage.format(fields[field])
    verdict = world().verify_token(parse_token(json.dumps(fields).encode()))
    assert verdict.reason in (Reason.TOKEN_MALFORMED, Reason.CERTIFICATE_UNPARSABLE)


@pytest.mark.parametrize(
    "name", ["none", "", "HS256", "MD5", "RS1", "SHA1withRSA", "es256", "EdDSA", "ES256 ", "RS256\x00", "算法"]
)
def test_a09_algorithm_of_the_request_is_not_believed(name: str) -> None:
    token = answer(world().lock(), key("EC"), algorithm=name)
    assert world().verify_token(token).reason is Reason.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize(
    ("kind", "name"), [("EC", "RS256"), ("EC", "SM2"), ("RSA", "ES256"), ("RSA", "SM2"), ("SM2", "ES256"), ("SM2", "PS256")]
)
def test_a09_algorithm_must_fit_the_key(kind: str, name: str) -> None:
    token = answer(world(kind).lock(), key(kind), algorithm=name)
    assert world(kind).verify_token(token).reason is Reason.ALGORITHM_KEY_MISMATCH


@pytest.mark.parametrize("kind", ["EC", "SM2"])
def test_a10_r_and_s_outside_their_range(kind: str) -> None:
    order = libcrypto.N if kind == "SM2" else signatures._ORDERS["secp256r1"][1]
    good = base64.b64decode(answer(world(kind).lock(), key(kind)).signature)
    r, s = good[:32], good[32:]
    zero, n = bytes(32), order.to_bytes(32, "big")
    tricks = [zero + zero, zero + s, r + zero, n + s, r + n, b"\xff" * 64, r, b"", good + b"\x00", b"\x00" + good, good[:63], s + r]
    tricks.append(encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")))  # DER where r‖s belongs
    for trick in tricks:
        token = answer(world(kind).lock(), key(kind), signature=base64.b64encode(trick).decode() or "AA==")
        assert world(kind).verify_token(token).reason is Reason.SIGNATURE_INVALID


def test_a10_the_twin_of_a_signature_is_still_one_answer_to_one_challenge() -> None:
    """(r, n - s) verifies for ECDSA: it may, because what is spent is the challenge, not the signature."""
    good = base64.b64decode(answer(world().lock(), key("EC")).signature)
    twin = signatures._ORDERS["secp256r1"][1] - int.from_bytes(good[32:], "big")
    token = answer(world().lock(), key("EC"), signature=base64.b64encode(good[:32] + twin.to_bytes(32, "big")).decode())
    assert world().verify_token(token).accepted


def test_a11_rsa_tricks() -> None:
    good = base64.b64decode(answer(world("RSA").lock(), key("RSA")).signature)
    message = signatures.signed_message("RS256", ORIGIN, CHALLENGE)
    pss = raw_signature(key("RSA"), message, pss=True)
    tricks = [good + b"\x00", b"\x00" + good, good[:-1], bytes(256), b"\xff" * 256, (1).to_bytes(256, "big"), pss]
    for trick in tricks:
        token = answer(world("RSA").lock(), key("RSA"), signature=base64.b64encode(trick).decode())
        assert world("RSA").verify_token(token).reason is Reason.SIGNATURE_INVALID
    right = answer(world("RSA").lock(), key("RSA"), algorithm="PS256", signature=base64.b64encode(pss).decode())
    assert world("RSA").verify_token(right).accepted
    swapped = answer(world("RSA").lock(), key("RSA"), algorithm="PS256")
    assert world("RSA").verify_token(swapped).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("signer_id", [b"", b"123456781234567", b"ALICE123@YAHOO.COM"])
def test_a12_sm2_with_another_signer_id(signer_id: bytes) -> None:
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)
    wrong = libcrypto.der_to_raw(key("SM2").sign(message, signer_id=signer_id))
    token = answer(world("SM2").lock(), key("SM2"), signature=base64.b64encode(wrong).decode())
    assert world("SM2").verify_token(token).reason is Reason.SIGNATURE_INVALID


def test_a12_sm2_with_inner_hashes_of_sha256() -> None:
    message = signatures.signed_message("ES256", ORIGIN, CHALLENGE)
    token = answer(world("SM2").lock(), key("SM2"), signature=base64.b64encode(raw_signature(key("SM2"), message)).decode())
    assert world("SM2").verify_token(token).reason is Reason.SIGNATURE_INVALID


def test_nothing_costly_happens_before_the_signature_holds() -> None:
    token = answer(world().lock(), key("EC"), challenge="another challenge")
    verdict = world().verify_token(token)
    after = [check for check in verdict.checks if check.step in (Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY)]
    assert verdict.reason is Reason.SIGNATURE_INVALID
    assert [(check.passed, check.detail) for check in after] == [(None, "not reached")] * 4
    assert verdict.path == ()


def test_too_many_stapled_responses() -> None:
    token = answer(world().lock(), key("EC"), stapled_ocsp=("AA==",) * 5)
    assert world().verify_token(token).reason is Reason.TOKEN_TOO_LARGE


def test_an_answer_with_a_malformed_key_identifier_is_refused_by_the_gate() -> None:
    """Found by fuzzing: the provider's rules are looked up by that identifier before the gate has judged it."""
    odd = world().raw_lock(("2.5.29.35", False, b"\x40\x02ab"), drop=("2.5.29.35",))
    assert world().verify_token(answer(odd, key("EC"))).reason is Reason.CERTIFICATE_EXTENSION
