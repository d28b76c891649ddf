"""OCSP bytes from outside: every malformed response ends in a refusal, and what is read agrees with cryptography's reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.x509 import ocsp as reference
from hypothesis import given
from hypothesis import strategies as st
from worlds.responses import ocsp_answer, single_answer

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.ca_graph import CaGraph
from calock.core.revocation.evidence import responses_about
from calock.core.revocation.ocsp import MAX_SIZE, CertStatus, read_response
from calock.demo import der, pki

AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)
CA = pki.make_root("CA", "EC", not_before=AT - DAY, not_after=AT + DAY)
ISSUER = Certificate.parse(CA.certificate)
GRAPH = CaGraph([ISSUER], (), policy=Policy(), at=AT)


def response(serial: int = 5, status: str = "good", **fields) -> bytes:
    return ocsp_answer(CA, serial, status, **{"this_update": AT, "next_update": AT + DAY, **fields})


def judged(data: bytes, serial: int = 5):
    return responses_about(read_response(data), ISSUER, serial, graph=GRAPH)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        ("good", {}),
        ("unknown", {"next_update": None}),
        ("revoked", {"revoked_at": AT - DAY}),
        ("revoked", {"revoked_at": AT - DAY, "reason": "superseded"}),
    ],
)
@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_the_reading_agrees_with_cryptography(status, fields, digest):
    data = response(2**150 + 7, status, digest=digest, nonce=b"n" * 32, **fields)
    ours = read_response(data)
    theirs = reference.load_der_ocsp_response(data)
    (answer,) = ours.responses
    assert answer.status.name == theirs.certificate_status.name
    assert answer.this_update == theirs.this_update_utc
    assert answer.next_update == theirs.next_update_utc
    assert answer.revoked_at == theirs.revocation_time_utc
    assert answer.cert_id.serial == theirs.serial_number
    assert answer.cert_id.key_hash == theirs.issuer_key_hash
    assert answer.cert_id.name_hash == theirs.issuer_name_hash
    assert ours.nonce == b"n" * 32


def test_every_truncation_is_refused():
    data = response()
    for size in range(len(data)):
        with pytest.raises(Refusal):
            judged(data[:size])


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=255))
def test_no_changed_octet_makes_another_answer(place, change):
    """Whatever octet is changed, the answer is refused, about something else, or still the one that was signed."""
    data = bytearray(response(status="revoked", revoked_at=AT - DAY, reason="keyCompromise"))
    data[place % len(data)] ^= change
    try:
        found = judged(bytes(data))
    except Refusal as refusal:
        assert refusal.reason in (Reason.REVOCATION_UNTRUSTED, Reason.REVOCATION_UNAVAILABLE)
        return
    assert [item.answer.status for item in found] in ([], [CertStatus.REVOKED])


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data):
    with pytest.raises(Refusal):
        read_response(data)


@given(st.binary(max_size=200))
def test_any_bytes_inside_a_well_formed_envelope_are_refused(body):
    with pytest.raises(Refusal):
        read_response(
            der.sequence(
                der.enumerated(0), der.tlv(0xA0, der.sequence(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(der.sequence(body))))
            )
        )


def test_too_large():
    with pytest.raises(Refusal, match="at most"):
        read_response(bytes(MAX_SIZE + 1))


def test_too_many_answers():
    more = [single_answer(CA, serial, "good", this_update=AT) for serial in range(100)]
    with pytest.raises(Refusal):
        read_response(response(more=more))


def test_an_unknown_critical_extension_of_one_answer():
    single = single_answer(CA, 6, "good", this_update=AT)
    body = single[2:] if single[1] < 0x80 else single[3:]
    extension = der.sequence(der.oid("1.2.3.4"), der.boolean(True), der.octets(b"x"))
    critical = der.tlv(0x30, body + der.tlv(0xA1, der.sequence(extension)))
    with pytest.raises(Refusal, match="critical"):
        read_response(response(more=[critical]))
