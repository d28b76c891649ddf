"""The revocation step by CRL: which one counts for which certificate, for how long, and the reasons."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from cryptography import x509
from worlds.core_revocation import AT, DAY, HOUR

from calock.core.certificates.certificate import Certificate
from calock.core.der.containers import values_in
from calock.core.policy import Policy, PolicyError
from calock.core.refusals import Reason
from calock.core.revocation import ocsp
from calock.core.revocation.evidence import InMemoryEvidence
from calock.demo import der, pki


def test_not_on_the_crl_is_good(world):
    result = world.judge(world.crl())
    assert result.reason is None
    assert [status.source for status in result.statuses] == ["crl", "crl"]
    assert result.statuses[0].next_update == AT + DAY
    assert len(result.statuses[0].evidence_sha256) == 64


def test_a36_revoked_held_and_taken_off_hold_by_a_delta(world):
    def delta(reason):
        return world.crl(reason, number=7, this_update=AT - HOUR / 2, extra=[("2.5.29.27", True, der.integer(5))])

    assert world.reason(world.crl("keyCompromise", number=5)) is Reason.CERTIFICATE_REVOKED
    held = world.crl("certificateHold", number=5)
    assert world.reason(held) is Reason.CERTIFICATE_ON_HOLD
    assert world.reason(held, delta("removeFromCRL")) is None
    assert world.reason(held, delta("removeFromCRL"), delta=False) is Reason.CERTIFICATE_ON_HOLD
    assert world.reason(world.crl(number=5), delta("keyCompromise")) is Reason.CERTIFICATE_REVOKED
    assert world.reason(world.crl("keyCompromise", number=5), delta("removeFromCRL")) is Reason.CERTIFICATE_REVOKED


def test_the_status_rests_on_the_crl_that_lists_the_certificate(world):
    def on(reason, crl, other):
        status = world.judge(other, crl).statuses[0]
        assert status.detail == reason
        return status.evidence_sha256 == hashlib.sha256(crl).hexdigest()

    later = {"number": 7, "this_update": AT - HOUR / 2}
    delta = {**later, "extra": [("2.5.29.27", True, der.integer(5))]}
    assert on("keyCompromise", world.crl("keyCompromise", **delta), world.crl(number=5))
    assert on("certificateHold", world.crl("certificateHold", **delta), world.crl(number=5))
    assert on("superseded", world.crl("superseded", number=5), world.crl(**later))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"number": 5}, "not newer than the base"),
        ({"number": 7, "base": 6}, "starts after the base"),
        ({"number": 7, "next_update": AT - HOUR / 4}, "has run out"),
        ({"number": 7, "this_update": AT - 2 * HOUR}, "older than the base"),
    ],
)
def test_a36_a_delta_that_does_not_fit_lifts_nothing(ec, fields, why):
    base = fields.pop("base", 5)
    values = {"number": 7, "this_update": AT - HOUR / 2, "extra": [("2.5.29.27", True, der.integer(base))], **fields}
    assert ec.reason(ec.crl("certificateHold", number=5), ec.crl("removeFromCRL", **values)) is Reason.CERTIFICATE_ON_HOLD, why


def test_a36_a_delta_alone_is_no_data(ec):
    delta = ec.crl(number=7, extra=[("2.5.29.27", True, der.integer(5))])
    assert ec.reason(delta) is Reason.REVOCATION_UNAVAILABLE


def test_a37_crl_of_another_ca_with_the_same_name(world):
    other = pki.make_root(f"{world.algorithm} root", world.algorithm, not_before=AT - DAY, not_after=AT + DAY)
    twin = other.intermediate("issuing", not_before=AT - DAY, not_after=AT + DAY)
    known = [Certificate.parse(twin.certificate)]
    assert world.reason(world.crl(authority=twin)) is Reason.REVOCATION_UNTRUSTED
    # also when the other CA is a recognised one: its CRL counts, but not for this key
    assert world.reason(world.crl(authority=twin), others=known) is Reason.REVOCATION_UNAVAILABLE
    # and it cannot overrule the right one
    assert (
        world.reason(world.crl("keyCompromise"), world.crl(authority=twin, number=99), others=known) is Reason.CERTIFICATE_REVOKED
    )


def test_a38_the_newer_crl_counts(world):
    older, newer = world.crl("certificateHold", number=1, this_update=AT - 2 * HOUR), world.crl(number=2)
    assert world.reason(older, newer) is None
    older, newer = world.crl(number=1, this_update=AT - 2 * HOUR), world.crl("keyCompromise", number=2)
    assert world.reason(older, newer) is Reason.CERTIFICATE_REVOKED
    assert world.reason(newer, older) is Reason.CERTIFICATE_REVOKED


def test_a38_past_next_update_fails_closed(world):
    ended = world.crl(next_update=AT - timedelta(seconds=1))
    assert world.reason(ended) is Reason.REVOCATION_STALE
    assert world.reason(ended, mode="if_available") is Reason.REVOCATION_STALE
    assert world.reason(world.crl(next_update=AT)) is None


def test_a38_revoked_stays_revoked_on_a_crl_that_has_run_out(world):
    assert world.reason(world.crl("keyCompromise", next_update=AT - HOUR / 2)) is Reason.CERTIFICATE_REVOKED
    assert world.reason(world.crl("certificateHold", next_update=AT - HOUR / 2)) is Reason.REVOCATION_STALE


def test_from_the_future(world):
    assert world.reason(world.crl(this_update=AT + timedelta(minutes=4))) is None
    assert world.reason(world.crl(this_update=AT + timedelta(minutes=6))) is Reason.REVOCATION_STALE


@pytest.mark.parametrize(
    ("age", "life"),
    [(timedelta(hours=24, minutes=10), 2 * DAY), (3 * DAY, 7 * DAY), (29 * DAY, 30 * DAY), (HOUR, 2 * HOUR)],
    ids=["daily with an overlap of a day", "weekly", "monthly", "hourly"],
)
def test_l12_a_crl_counts_as_long_as_its_ca_says_unless_the_operator_says_otherwise(world, age, life):
    crl = world.crl(this_update=AT - age, next_update=AT - age + life)
    assert world.reason(crl) is None
    assert world.reason(crl, crl_max_age=int(age.total_seconds()) - 1) is Reason.REVOCATION_STALE
    assert world.reason(world.crl(this_update=AT - life - HOUR, next_update=AT - HOUR)) is Reason.REVOCATION_STALE


def test_l12_a_refusal_by_an_age_limit_names_the_rule(ec):
    months = ec.root_crl(this_update=AT - 90 * DAY, next_update=AT + 90 * DAY)
    assert "(by the rule crl_max_age)" in ec.detail(ec.crl(this_update=AT - 25 * HOUR), crl_max_age=86400)
    assert "(by the rule ca_crl_max_age)" in ec.detail(ec.crl(), root_crl=months, ca_crl_max_age=86400)


def test_age_limits_for_locks_and_for_cas_apart(ec):
    old = ec.crl(this_update=AT - 25 * HOUR)
    assert ec.reason(old, crl_max_age=86400) is Reason.REVOCATION_STALE
    assert ec.reason(old, crl_max_age=26 * 3600) is None
    months = ec.root_crl(this_update=AT - 90 * DAY, next_update=AT + 90 * DAY)
    assert ec.reason(ec.crl(), root_crl=months) is None
    assert ec.reason(ec.crl(), root_crl=months, ca_crl_max_age=86400) is Reason.REVOCATION_STALE


def test_emergency_lifts_the_age_limit_and_nothing_else(ec):
    old = ec.crl(this_update=AT - 25 * HOUR)
    ca = Certificate.parse(ec.issuing.certificate).spki_sha256
    another = Certificate.parse(ec.root.certificate).spki_sha256
    limit = {"crl_max_age": 86400}
    running = {"emergencies": (f"{ca}:{(AT + HOUR).isoformat()}",), **limit}
    assert ec.reason(old, **running) is None
    assert ec.reason(old, emergencies=(f"{ca}:{(AT - HOUR).isoformat()}",), **limit) is Reason.REVOCATION_STALE
    assert ec.reason(old, emergencies=(f"{another}:{(AT + HOUR).isoformat()}",), **limit) is Reason.REVOCATION_STALE
    assert ec.reason(ec.crl(next_update=AT - HOUR / 2), **running) is Reason.REVOCATION_STALE
    assert ec.reason(**running) is Reason.REVOCATION_UNAVAILABLE


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "2026-11-25",
        ":2026-11-25T00:00:00Z",
        f"{'0' * 64}:2026-11-25T00:00:00",
        f"{'0' * 64}:now",
        f"{'0' * 64}:9999-12-31T23:59:59-23:59",
        f"{'0' * 64}:0001-01-01T00:00:00+23:59",
    ],
)
def test_emergency_names_a_ca_and_a_moment(text):
    with pytest.raises(PolicyError):
        Policy.from_json({"revocation": {"emergencies": [text]}})


def test_a41_intermediate_revoked_leaf_fine(world):
    issuing = Certificate.parse(world.issuing.certificate)
    result = world.judge(world.crl(), root_crl=world.root_crl([(issuing.serial, AT - DAY, "cACompromise")]))
    assert result.reason is Reason.CA_REVOKED
    assert [check.name for check in result.checks if check.passed is False] == ["revocation-ca-1"]


def test_a41_nothing_known_of_the_intermediate(world):
    assert world.reason(world.crl(), root_crl=False) is Reason.REVOCATION_UNAVAILABLE


def test_no_data_is_unavailable_and_only_that_may_be_waived(world):
    assert world.reason() is Reason.REVOCATION_UNAVAILABLE
    result = world.judge(mode="if_available", root_crl=world.root_crl())
    assert result.reason is None
    assert result.checks[0].passed is None
    assert world.reason(world.crl("keyCompromise"), mode="if_available") is Reason.CERTIFICATE_REVOKED
    assert world.reason(b"rubbish", mode="if_available") is Reason.REVOCATION_UNTRUSTED


def test_mode_off_skips_and_says_so(ec):
    (check,) = ec.judge(ec.crl("keyCompromise"), mode="off").checks
    assert check.passed is None
    assert "switched off" in check.detail


def test_a39_two_crls_in_one_pem(world):
    def pem(data):
        return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(data) + b"-----END X509 CRL-----\n"

    older, newer = world.crl(number=1, this_update=AT - 2 * HOUR), world.crl("keyCompromise", number=2)
    for both in (pem(older) + pem(newer), pem(newer) + pem(older), b"# comment\n" + pem(newer) + b"\n" + pem(older)):
        assert world.reason(both) is Reason.CERTIFICATE_REVOKED


def idp(**fields) -> list[pki.Extension]:
    values = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False,
    }  # fmt: skip
    return [pki.extension(x509.IssuingDistributionPoint(**{**values, **fields}), critical=True)]


def uri(text: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text)]


def test_a39_idp_that_does_not_fit_the_certificate(ec):
    leaf = ec.issue(crl_url="http://ca.example/a.crl")
    for fields in (
        {"full_name": uri("http://ca.example/b.crl")},
        {"full_name": uri("http://ca.example/A.crl")},
        {"only_contains_ca_certs": True},
        {"only_contains_attribute_certs": True},
    ):
        assert ec.reason(ec.crl(extra=idp(**fields)), leaf=leaf) is Reason.REVOCATION_UNAVAILABLE
        assert "are about others" in ec.detail(ec.crl(extra=idp(**fields)), leaf=leaf)
    same = ({"full_name": uri("http://ca.example/a.crl")}, {"full_name": uri("HTTP://CA.Example/a.crl")})  # RFC 5280 clause 7.4
    for fields in (*same, {"only_contains_user_certs": True}):
        assert ec.reason(ec.crl(extra=idp(**fields)), leaf=leaf) is None
        revoked = ec.crl("keyCompromise", serial=leaf.serial, extra=idp(**fields))
        assert ec.reason(revoked, leaf=leaf) is Reason.CERTIFICATE_REVOKED


@pytest.mark.parametrize(("named", "expected"), [("own", None), ("other", Reason.REVOCATION_UNAVAILABLE)])
def test_a39_a_distribution_point_that_names_its_own_issuer_is_no_indirect_one(ec, named, expected):
    names = {"own": Certificate.parse(ec.issuing.certificate), "other": Certificate.parse(ec.root.certificate)}
    issuer = [x509.DirectoryName(names[named].parsed.subject)]
    point = x509.DistributionPoint(uri("http://ca.example/a.crl"), None, None, issuer)
    leaf = ec.issue(extra=[pki.extension(x509.CRLDistributionPoints([point]))])
    crl = ec.crl(extra=idp(full_name=uri("http://ca.example/a.crl")))
    assert ec.reason(crl, leaf=leaf) is expected


def test_a39_reasons_must_be_covered_together(ec):
    some = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})
    rest = frozenset(x509.ReasonFlags) - some - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
    first, second = ec.crl(extra=idp(only_some_reasons=some)), ec.crl(extra=idp(only_some_reasons=rest))
    assert ec.reason(first) is Reason.REVOCATION_UNTRUSTED
    assert ec.reason(first, second) is None
    assert ec.reason(first, ec.crl("superseded", extra=idp(only_some_reasons=rest))) is Reason.CERTIFICATE_REVOKED


def test_a39_bits_of_reasons_that_are_counted_as_unused_cover_none(ec):
    def some(contents: bytes) -> bytes:
        return ec.crl(extra=[("2.5.29.28", True, der.sequence(der.tlv(0x83, contents)))])

    last = some(b"\x07\0\x80")  # aACompromise
    assert ec.reason(some(b"\x00\x7f"), last) is None
    assert ec.reason(some(b"\x06\x7f"), last) is Reason.REVOCATION_UNTRUSTED  # keyCompromise, and the others among the unused bits


def test_a_separate_crl_key_counts_while_its_certificate_does(ec):
    key = pki.make_key("EC")

    def signer(usages=("crl_sign",), by=None, **fields):
        dates = {"not_before": AT - DAY, "not_after": AT + DAY, **fields}
        certificate = (by or ec.root).issue(ec.issuing.subject, key.spki_der, extensions=[pki.key_usage(*usages)], **dates)
        return pki.Authority(key, ec.issuing.subject, certificate, (certificate,))

    def reason(made, crl_of=None, **fields):
        return ec.reason(ec.crl(crl_of, authority=made), others=[Certificate.parse(made.certificate)], **fields)

    assert reason(signer()) is None
    assert reason(signer(), "superseded") is Reason.CERTIFICATE_REVOKED
    assert reason(signer(("crl_sign", "key_cert_sign"))) is Reason.REVOCATION_UNAVAILABLE  # a second CA of that name
    assert reason(signer(not_after=AT - HOUR)) is Reason.REVOCATION_UNTRUSTED
    assert reason(signer(by=pki.make_root("x", "EC", not_before=AT - DAY, not_after=AT + DAY))) is Reason.REVOCATION_UNAVAILABLE
    made = signer()
    revoked = ec.root_crl([(Certificate.parse(made.certificate).serial, AT - DAY, "keyCompromise")])
    assert reason(made, root_crl=revoked) is Reason.REVOCATION_UNTRUSTED


def test_unusable_evidence_says_why(ec):
    assert "CRL: not a CRL" in ec.detail(b"rubbish")
    assert "CRL signature" in ec.detail(ec.crl(key=pki.make_key("EC")))
    assert ec.detail() == "no revocation data at hand are about this certificate"


@pytest.mark.parametrize("wrap", [bytes, base64.b64encode, base64.encodebytes], ids=["DER", "base64", "base64 in lines"])
def test_evidence_is_read_as_der_and_as_bare_base64(wrap):
    """OCSP responses are often kept as base64 without a PEM header."""
    response = bytes.fromhex("30820122") + bytes(290)
    assert values_in(wrap(response), b"OCSP RESPONSE") == [response]


def test_pem_text_inside_a_der_value_is_its_author_s_and_no_value_of_its_own():
    for label in (b"OCSP RESPONSE", b"X509 CRL"):
        hiding = b"\x30\x82\x10\x00-----BEGIN " + label + b"-----\nMAA=\n-----END " + label + b"-----\n"
        assert values_in(hiding, label) == [hiding]


def test_text_that_only_looks_like_base64_stays_what_it_is():
    assert values_in(b"M\xff not base64", b"OCSP RESPONSE") == [b"M\xff not base64"]


# --- evidence beside certificates that cannot be read


def test_a_ca_whose_key_usage_cannot_be_read_vouches_for_no_crl_signer(ec):
    """Of the name that another CA's issuer has, and so asked whether it vouches for that CA."""
    fields = {"not_before": AT - 900 * DAY, "not_after": AT + 900 * DAY}
    damaged = [("2.5.29.15", True, bytes.fromhex("03020700")), *pki.ca_extensions(ec.root.key, issuer=ec.root.key)[:1]]
    unreadable = ec.root.issue(ec.root.subject, ec.root.key.spki_der, extensions=damaged, **fields)
    twin = ec.root.issue(ec.issuing.subject, pki.make_key("EC").spki_der, extensions=damaged, **fields)
    others = [Certificate.parse(unreadable), Certificate.parse(twin)]
    for known in (others, others[::-1]):
        assert ec.reason(ec.crl(), others=known) is None
        evidence = InMemoryEvidence(
            [ec.crl(), ec.root_crl()], anchors=known, others=[Certificate.parse(ec.issuing.certificate)], at=AT
        )
        assert all(evidence.graph.paths_of(item) for item in known)
        assert not evidence.graph.paths_of(Certificate.parse(ec.issuing.certificate))


def test_a_key_that_is_no_whole_number_of_octets_is_named_by_no_answer(ec):
    answer = ocsp.read_response(ec.answer())
    spki = bytearray(ec.issuing.key.spki_der)
    place = spki.index(b"\x03\x42\x00") + 2
    spki[place], spki[-1] = 1, spki[-1] & 0xFE  # one unused bit
    fields = {"not_before": AT - 900 * DAY, "not_after": AT + 900 * DAY}
    issuer = Certificate.parse(ec.root.issue(ec.issuing.subject, bytes(spki), **fields))
    assert not ocsp.names_certificate(answer.responses[0].cert_id, issuer, ec.leaf.serial)
