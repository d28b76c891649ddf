"""The revocation step by OCSP: which answer counts, who may sign it, and what decides when sources disagree."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as reference
from worlds.core_revocation import AT, DAY, HOUR
from worlds.responses import ocsp_responder, single_answer

from calock.core.certificates.certificate import Certificate
from calock.core.der.layout import key_bits
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason
from calock.core.revocation import ocsp
from calock.demo import pki


def test_a_good_answer_is_enough_for_the_leaf(world):
    result = world.judge(ocsp=[world.answer()])
    assert result.reason is None
    assert result.statuses[0].source == "ocsp"


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512", "sm3", "sm3 without key"])
def test_certificate_ids_by_each_hash(world, digest):
    assert world.reason(ocsp=[world.answer(digest=digest)]) is None
    assert world.reason(ocsp=[world.answer("revoked", digest=digest)]) is Reason.CERTIFICATE_REVOKED


def test_a_certificate_id_whose_serial_lacks_its_sign_octet_means_the_unsigned_number(world):
    lacking = world.leaf.serial - (1 << world.leaf.serial.bit_length())
    assert world.reason(ocsp=[world.answer(serial=lacking)]) is None
    assert world.reason(world.crl(), ocsp=[world.answer("revoked", serial=lacking)]) is Reason.CERTIFICATE_REVOKED
    short = world.issue(serial=0x81)
    assert world.reason(leaf=short, ocsp=[world.answer(serial=-0x7F)]) is Reason.REVOCATION_UNAVAILABLE


@pytest.mark.parametrize("digest", ["sha256", "sm3"])
def test_a_responder_may_be_named_by_another_hash_of_its_key(world, digest):
    assert world.reason(ocsp=[world.answer(responder_digest=digest)]) is None


def test_a_stapled_answer_is_judged_like_the_others(world):
    assert world.judge(stapled=[world.answer()]).statuses[0].source == "stapled"
    assert world.reason(stapled=[world.answer("revoked")]) is Reason.CERTIFICATE_REVOKED
    assert world.reason(stapled=[world.answer(this_update=AT - 2 * HOUR)]) is Reason.REVOCATION_STALE
    assert world.reason(stapled=[world.answer(key=pki.make_key(world.algorithm))]) is Reason.REVOCATION_UNTRUSTED
    assert world.reason(stapled=[b"rubbish"]) is Reason.REVOCATION_UNTRUSTED
    assert world.reason(world.crl(), stapled=[b"rubbish"]) is None


def test_revoked_by_any_source_is_final(world):
    revoked_crl, revoked_answer = world.crl("keyCompromise"), world.answer("revoked", reason="keyCompromise")
    assert world.reason(revoked_crl, ocsp=[world.answer()]) is Reason.CERTIFICATE_REVOKED
    assert world.reason(world.crl(), ocsp=[revoked_answer]) is Reason.CERTIFICATE_REVOKED
    assert world.reason(world.crl(), ocsp=[world.answer(), revoked_answer]) is Reason.CERTIFICATE_REVOKED
    assert world.reason(world.crl(), ocsp=[world.answer()], stapled=[revoked_answer]) is Reason.CERTIFICATE_REVOKED
    old = world.answer("revoked", this_update=AT - 9 * DAY, next_update=AT - 8 * DAY)
    assert world.reason(world.crl(), ocsp=[old]) is Reason.CERTIFICATE_REVOKED


def test_a40_unknown_is_refused_whatever_else_says(world):
    unknown = world.answer("unknown")
    assert world.reason(ocsp=[unknown]) is Reason.REVOCATION_UNKNOWN
    assert world.reason(world.crl(), ocsp=[unknown]) is Reason.REVOCATION_UNKNOWN


def test_on_hold(world):
    assert world.reason(ocsp=[world.answer("revoked", reason="certificateHold")]) is Reason.CERTIFICATE_ON_HOLD


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"this_update": AT - 61 * timedelta(minutes=1)}, Reason.REVOCATION_STALE),
        ({"this_update": AT - 59 * timedelta(minutes=1)}, None),
        ({"this_update": AT - HOUR / 2, "next_update": AT - 6 * timedelta(minutes=1)}, Reason.REVOCATION_STALE),
        ({"this_update": AT - HOUR / 2, "next_update": AT - 4 * timedelta(minutes=1)}, None),
        ({"this_update": AT - 11 * timedelta(minutes=1), "next_update": None}, Reason.REVOCATION_STALE),
        ({"this_update": AT - 9 * timedelta(minutes=1), "next_update": None}, None),
        ({"this_update": AT + 4 * timedelta(minutes=1)}, None),
        ({"this_update": AT + 6 * timedelta(minutes=1)}, Reason.REVOCATION_STALE),
        ({"this_update": AT - HOUR / 60, "next_update": AT - HOUR / 30}, Reason.REVOCATION_UNTRUSTED),
    ],
)
def test_a40_ages(world, fields, expected):
    assert world.reason(ocsp=[world.answer(**fields)]) is expected


def test_a40_another_serial_is_no_answer(world):
    assert world.reason(ocsp=[world.answer(serial=99)]) is Reason.REVOCATION_UNAVAILABLE


def test_a40_duplicates_the_newest_but_revoked_wins(world):
    def single(status, minutes):
        return single_answer(
            world.issuing, world.leaf.serial, status, this_update=AT - timedelta(minutes=minutes), next_update=AT + HOUR
        )

    assert world.reason(ocsp=[world.answer(this_update=AT - 3 * HOUR, more=[single("good", 1)])]) is None
    assert world.reason(ocsp=[world.answer(more=[single("revoked", 50)])]) is Reason.CERTIFICATE_REVOKED


def delegate(world, **fields):
    dates = {"not_before": AT - DAY, "not_after": AT + DAY, **fields}
    return ocsp_responder(dates.pop("by", world.issuing), **dates)


def test_delegated_responder(world):
    assert world.reason(ocsp=[world.answer(responder=delegate(world))]) is None


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"ekus": ()}, "id-kp-OCSPSigning"),
        ({"ekus": ("1.3.6.1.5.5.7.3.2", "2.5.29.37.0")}, "id-kp-OCSPSigning"),
        ({"not_after": AT - HOUR}, "not valid at this time"),
        ({"not_before": AT + HOUR}, "not valid at this time"),
    ],
)
def test_a40_delegates_that_may_not_answer(world, fields, detail):
    assert detail in world.detail(ocsp=[world.answer(responder=delegate(world, **fields))])


def test_a40_delegate_of_the_ca_above(world):
    made = world.answer(responder=delegate(world, by=world.root))
    assert "not issued by the CA's own key" in world.detail(ocsp=[made])


def test_a40_delegate_of_a_delegate(world):
    first = delegate(world)
    second = delegate(world, by=first)
    answer = world.answer(responder=second, responder_certificates=[second.certificate, first.certificate])
    assert "not issued by the CA's own key" in world.detail(ocsp=[answer])


def test_a40_one_responder_key_for_two_cas_needs_a_certificate_of_each(world):
    """PyHanko's multitasking responder: certified by one CA, answering for its neighbour."""
    neighbour = world.root.intermediate("neighbour", not_before=AT - DAY, not_after=AT + DAY)
    made = world.answer(responder=delegate(world, by=neighbour))
    assert world.reason(ocsp=[made]) is Reason.REVOCATION_UNTRUSTED


def test_nocheck_is_believed_of_short_lives_only(world):
    long_lived = {"not_before": AT - 60 * DAY, "not_after": AT + 60 * DAY}
    for nocheck, fields, expected in (
        (True, {}, None),
        (True, long_lived, Reason.REVOCATION_UNTRUSTED),
        (False, {}, Reason.REVOCATION_UNTRUSTED),
    ):
        made = world.answer(responder=delegate(world, nocheck=nocheck, **fields))
        assert world.reason(ocsp=[made]) is expected
        if expected is not None:  # then its own status decides, by CRL
            assert ("by the rule nocheck_max_days" in world.detail(ocsp=[made])) is nocheck
            assert world.reason(world.crl(), ocsp=[made]) is None


@pytest.mark.parametrize("nocheck", [False, True])
def test_a_revoked_responder_says_nothing(ec, nocheck):
    """Also one that nobody need ask about, when the CRL at hand lists it."""
    responder = delegate(ec, nocheck=nocheck)
    serial = Certificate.parse(responder.certificate).serial
    revoked = ec.crl("keyCompromise", serial=serial)
    result = ec.judge(revoked, ocsp=[ec.answer("unknown", responder=responder)])
    assert result.reason is None  # the CRL says that the leaf is good; what the revoked responder says does not count


def test_a_pinned_responder_is_pinned_for_one_ca(world):
    stranger = pki.make_root("responder", world.algorithm, not_before=AT - DAY, not_after=AT + DAY)
    made = world.answer(responder=stranger)
    assert world.reason(ocsp=[made]) is Reason.REVOCATION_UNTRUSTED

    def pinned(ca):
        return Policy(revocation=RevocationRules(responders=(f"{ca.key.spki_sha256}:{stranger.key.spki_sha256}",)))

    assert world.reason(ocsp=[made], policy=pinned(world.issuing)) is None
    assert world.reason(ocsp=[made], policy=pinned(world.root)) is Reason.REVOCATION_UNTRUSTED


def test_a40_wrong_responder_id(ec):
    """Signed by the right key, but naming another: what OpenSSL's corpus calls WRID."""
    impostor = replace(ec.issuing, key=pki.make_key("EC"))
    made = ec.answer(responder=impostor, responder_certificates=[], key=ec.issuing.key)
    assert "neither the CA nor sent along" in ec.detail(ocsp=[made])


def test_a_responder_may_be_named_by_its_key_identifier_or_a_hash_of_its_whole_key(world):
    key_id = bytes.fromhex(Certificate.parse(world.issuing.certificate).subject_key_id)
    whole = hashlib.sha256(world.issuing.key.spki_der).digest()
    for named in (key_id, whole):
        assert world.reason(ocsp=[world.answer(responder_key_hash=named)]) is None
    assert world.reason(ocsp=[world.answer(responder_key_hash=b"x" * 20)]) is Reason.REVOCATION_UNTRUSTED


def test_a40_error_answers_are_unavailable(world):
    for code in (1, 2, 3, 4, 5, 6, 7):  # 4 is unused, 7 no standard's (RFC 6960 clause 4.2.1)
        assert world.reason(ocsp=[bytes([0x30, 3, 0x0A, 1, code])]) is Reason.REVOCATION_UNAVAILABLE
    assert "status 7" in world.detail(ocsp=[bytes([0x30, 3, 0x0A, 1, 7])])
    assert "holds no answer" in world.detail(ocsp=[bytes([0x30, 3, 0x0A, 1, 0])])


def test_the_request_says_what_we_mean(world):
    issuer = Certificate.parse(world.issuing.certificate)
    for algorithm in (ocsp.OID_SHA1, ocsp.OID_SHA256, ocsp.OID_SM3):
        data = ocsp.build_request(issuer, world.leaf.serial, nonce=b"n" * 32, algorithm=algorithm)
        parsed = reference.load_der_ocsp_request(data)
        assert parsed.serial_number == world.leaf.serial
        assert parsed.issuer_key_hash == ocsp.digest(algorithm, key_bits(issuer.spki_der))
        assert parsed.issuer_name_hash == ocsp.digest(algorithm, issuer.subject_der)
        assert parsed.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32
    with pytest.raises(ValueError, match="32"):
        ocsp.build_request(issuer, 1, nonce=b"short")
