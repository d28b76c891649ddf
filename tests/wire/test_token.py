"""What the token parser takes and refuses, before any cryptography."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calock.core.refusals import Reason, Refusal
from calock.wire.token import MAX_TOKEN_CHARACTERS, parse_token

GOOD = {"format": "web-eid:1.0", "unverifiedCertificate": "MIIB", "algorithm": "SM2", "signature": "AAAA"}


def changed(**fields: object) -> bytes:
    return json.dumps({key: value for key, value in {**GOOD, **fields}.items() if value is not ...}).encode()


def test_a_token_is_read_and_unknown_fields_are_ignored() -> None:
    token = parse_token(changed(action="web-eid:authenticate-success", issuerApp="x"))
    assert (token.unverified_certificate, token.algorithm, token.signature) == ("MIIB", "SM2", "AAAA")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.TOKEN_EMPTY),
        (b"  \n", Reason.TOKEN_EMPTY),
        (b"{", Reason.TOKEN_MALFORMED),
        (b"null", Reason.TOKEN_MALFORMED),
        (b"[]", Reason.TOKEN_MALFORMED),
        (b"\x00" * 200, Reason.TOKEN_MALFORMED),
        (b"\xff\xfe", Reason.TOKEN_MALFORMED),
        (b"[" * 9000, Reason.TOKEN_MALFORMED),
        (b" " * (MAX_TOKEN_CHARACTERS + 1) + b"{}", Reason.TOKEN_TOO_LARGE),
        (b"x" * 10_000_000, Reason.TOKEN_TOO_LARGE),
        (changed(unverifiedCertificate=5), Reason.TOKEN_MALFORMED),
        (changed(unverifiedCertificate=["MIIB"]), Reason.TOKEN_MALFORMED),
        (changed(unverifiedCertificate=None), Reason.TOKEN_MALFORMED),
        (changed(signature=...), Reason.TOKEN_MALFORMED),
        (changed(algorithm=...), Reason.TOKEN_MALFORMED),
        (changed(format=...), Reason.TOKEN_MALFORMED),
        (changed(unverifiedCertificate=""), Reason.TOKEN_EMPTY),
        (changed(signature=""), Reason.TOKEN_EMPTY),
        (changed(algorithm=""), Reason.TOKEN_EMPTY),
        (changed(format="web-eid:1.1"), Reason.TOKEN_FORMAT_UNSUPPORTED),
        (changed(format="jwt"), Reason.TOKEN_FORMAT_UNSUPPORTED),
        (changed(signature="A" * 3000), Reason.TOKEN_TOO_LARGE),
    ],
)
def test_what_is_no_token_is_refused_with_its_reason(text: bytes, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        parse_token(text)
    assert refused.value.reason is reason


@given(st.binary(max_size=2000))
def test_no_bytes_at_all_bring_the_parser_down(text: bytes) -> None:
    try:
        parse_token(text)
    except Refusal as refused:
        assert refused.reason.startswith("TOKEN_")
