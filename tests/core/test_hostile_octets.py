"""What no CA writes and any stranger can send: a refusal with a reason, before anything is trusted, and never an exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from worlds.core_trust import AT, END, START, World, answer, key, world
from worlds.responses import ocsp_answer, single_answer

from calock.cli import report
from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.der import names
from calock.core.policy import Policy, RevocationRules
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.check import check_revocation
from calock.core.revocation.evidence import FinalRevocation, InMemoryEvidence
from calock.core.trail.heads import Head
from calock.core.verdict import Step
from calock.demo import der, pki

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFF = Policy(revocation=RevocationRules(mode="off"))
EDI, X400 = der.tlv(0xA5, der.sequence(der.utf8("x"))), der.tlv(0xA3, der.sequence())
PATH_AND_REVOCATION = frozenset({Step.PATH, Step.REVOCATION})


def points(name: bytes) -> bytes:
    return der.sequence(der.sequence(der.tlv(0xA0, der.tlv(0xA0, name))))


IGNORED = {
    "SAN with x400Address": ("2.5.29.17", der.sequence(X400)),
    "IAN with ediPartyName": ("2.5.29.18", der.sequence(EDI)),
    "CRL points with x400Address": ("2.5.29.31", points(X400)),
    "freshestCRL with x400Address": ("2.5.29.46", points(X400)),
    "AIA with x400Address": ("1.3.6.1.5.5.7.1.1", der.sequence(der.sequence(der.oid("1.3.6.1.5.5.7.48.1"), X400))),
    "SIA with ediPartyName": ("1.3.6.1.5.5.7.1.11", der.sequence(der.sequence(der.oid("1.3.6.1.5.5.7.48.1"), EDI))),
    "TLS feature nobody knows": ("1.3.6.1.5.5.7.1.24", der.sequence(der.integer(99))),
    "policy qualifier that is none": (
        "2.5.29.32", der.sequence(der.sequence(der.oid("1.2.3.4"), der.sequence(der.sequence(der.oid("1.2.3.5"), der.utf8("x"))))),
    ),
    "no DER at all": ("2.5.29.9", b"\xff\xff"),
}  # fmt: skip
"""What no step uses: RFC 5280 clause 4.2 lets it be anything as long as it is not critical."""
REFUSED = {
    "SAN with ediPartyName": ("2.5.29.17", der.sequence(EDI)),
    "IP address of three octets": ("2.5.29.17", der.sequence(der.tlv(0x87, b"\x01\x02\x03"))),
    "two lists in one EXPLICIT tag": ("2.5.29.17", der.sequence() + der.sequence()),
    "CRL points that are none": ("2.5.29.31", der.utf8("x")),
    "policies that are none": ("2.5.29.32", der.utf8("x")),
    "name constraints that are none": ("2.5.29.30", der.sequence()),
    "negative pathLen": ("2.5.29.19", der.sequence(der.integer(-1))),
    "policy constraints that are none": ("2.5.29.36", der.utf8("x")),
    "inhibitAnyPolicy that is none": ("2.5.29.54", der.utf8("x")),
}  # fmt: skip
"""What a step uses and cannot read."""


@pytest.mark.parametrize("critical", [True, False], ids=["critical", "not critical"])
@pytest.mark.parametrize("name", [*IGNORED, *REFUSED])
def test_undecodable_extensions(name: str, critical: bool) -> None:
    """No signature holds yet when the gate looks at them: anybody can send them."""
    oid, value = {**IGNORED, **REFUSED}[name]
    lock = world().raw_lock((oid, critical, value), drop=(oid,))
    expected = (Reason.CERTIFICATE_EXTENSION,) if name in REFUSED else (None, Reason.CERTIFICATE_EXTENSION) if critical else (None,)
    assert world().judge(lock).reason in expected
    stranger = answer(lock, key("EC", "stranger"))
    assert world().verify_token(stranger).reason in (*(Reason.SIGNATURE_INVALID if one is None else one for one in expected),)
    without_gate = verify_certificate(lock, world().setting(steps=PATH_AND_REVOCATION))
    for verdict in (world().judge(lock), without_gate):
        assert json.loads(report.as_json(verdict, AT, ()))["accepted"] is verdict.accepted
        assert report.as_text(verdict, AT, ())


@pytest.mark.parametrize("oid", ["2.5.29.9", "2.5.29.18", "2.5.29.46", "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.1.3"])
def test_a_critical_extension_that_cannot_be_read_is_refused_in_words_for_operators(oid: str) -> None:
    failure = world().judge(world().raw_lock((oid, True, b"\xff\xff"))).failure
    assert failure is not None
    assert failure.reason is Reason.CERTIFICATE_EXTENSION
    assert oid in failure.detail
    assert "ParseError" not in failure.detail


@pytest.mark.parametrize("dates", [("00000101000000Z", "20290101000000Z"), ("20260101000000Z", "00000101000000Z")])
def test_dates_that_do_not_exist(monkeypatch: pytest.MonkeyPatch, dates: tuple[str, str]) -> None:
    written = iter([der.tlv(0x18, moment.encode()) for moment in dates])
    with monkeypatch.context() as patch:
        patch.setattr(pki.der, "time", lambda _: next(written))
        lock = world().raw_lock()
    assert world().judge(lock).reason is Reason.CERTIFICATE_UNPARSABLE
    assert world().verify_token(answer(lock, key("EC"))).reason is Reason.CERTIFICATE_UNPARSABLE


def test_days_of_grace_at_the_end_of_time() -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    root = pki.make_root("for ever", "EC", key("EC", "root"), not_before=START, not_after=end)
    lock = root.issue_lock("h", key("EC"), not_before=START, not_after=end)
    register = Register(
        [ProviderTrust("p", (CaCertificate.of(root.certificate, anchor=True),), Policy(grace_days=3, revocation=OFF.revocation))]
    )
    assert verify_certificate(lock, VerificationInputs(register, AT)).accepted
    assert verify_certificate(lock, VerificationInputs(register, datetime.max.replace(tzinfo=UTC))).accepted


@pytest.mark.parametrize("moment", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)], ids=["last", "first"])
def test_the_ends_of_time_are_moments_like_others(moment: datetime) -> None:
    here = world()
    leaf, ca, root = map(Certificate.parse, (here.lock(), here.ca.certificate, here.root.certificate))
    answers = [ocsp_answer(here.ca, leaf.serial, this_update=AT, next_update=next_update) for next_update in (None, AT + HOUR)]
    evidence = InMemoryEvidence(here.crls(), answers, anchors=[root], others=[ca], at=AT)
    assert check_revocation([leaf, ca, root], evidence=evidence, policy=Policy(), at=moment).reason is Reason.REVOCATION_STALE
    assert not verify_certificate(here.lock(), here.setting(at=moment)).accepted


# --- revocation data


class Told:
    """A leaf's status by the data that each test makes."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.leaf, self.ca, self.root = map(Certificate.parse, (here.lock(), here.ca.certificate, here.root.certificate))
        self.good = here.ca.crl(this_update=AT - HOUR, next_update=AT + DAY)

    def reason(self, *crls: bytes, ocsp: Any = (), stapled: Any = (), leaf: bytes | None = None, **rules: Any) -> Reason | None:
        policy = Policy(revocation=RevocationRules(**rules))
        blobs = [self.here.root.crl(this_update=AT - HOUR, next_update=AT + DAY), *crls]
        evidence = InMemoryEvidence(blobs, ocsp, anchors=[self.root], others=[self.ca], policy=policy, at=AT)
        path = [Certificate.parse(leaf) if leaf else self.leaf, self.ca, self.root]
        return check_revocation(path, evidence=evidence, policy=policy, at=AT, stapled=stapled).reason

    def answer_by_name(self, name: bytes, *certificates: bytes, by: pki.Key | None = None, status: Any = "good") -> bytes:
        """An OCSP response whose responderID is a name."""
        single = single_answer(self.here.ca, self.leaf.serial, status, this_update=AT - HOUR / 60, next_update=AT + HOUR)
        signer = by or key("EC", "attacker")
        tbs = der.sequence(der.tlv(0xA1, name), der.generalized_time(AT), der.sequence(single))
        sent = [der.tlv(0xA0, der.sequence(*certificates))] if certificates else []
        basic = der.sequence(tbs, signer.signature_algorithm, der.bits(signer.sign(tbs)), *sent)
        return der.sequence(der.enumerated(0), der.tlv(0xA0, der.sequence(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(basic))))


@pytest.fixture
def told() -> Told:
    return Told(world())


LONG_NAME = der.sequence(*(der.set_of(der.sequence(der.oid("2.5.4.3"), der.utf8(f"x{number}"))) for number in range(70)))


def test_a_crl_issuer_of_seventy_attributes(told: Told) -> None:
    crl = told.here.ca.crl(this_update=AT - HOUR, next_update=AT + DAY, issuer=LONG_NAME)
    assert told.reason(crl) is Reason.REVOCATION_UNTRUSTED
    assert told.reason(crl, told.good) is None


def _attacker(name: bytes = b"") -> bytes:
    own = pki.make_root("attacker", "EC", key("EC", "attacker"), not_before=START, not_after=END)
    return own.issue(name or own.subject, key("EC", "attacker").spki_der, not_before=START, not_after=END)


HOSTILE_ANSWERS: dict[str, Callable[[Told], bytes]] = {
    "responder of seventy attributes": lambda told: told.answer_by_name(LONG_NAME),
    "certificate of seventy attributes sent along": lambda told: told.answer_by_name(pki.name("attacker"), _attacker(LONG_NAME)),
    "signed by nobody": lambda told: told.answer_by_name(pki.name("attacker"), _attacker()),
    "no response at all": lambda _: der.sequence(der.enumerated(0)),
}


@pytest.mark.parametrize("name", HOSTILE_ANSWERS)
def test_hostile_ocsp_answers(told: Told, name: str) -> None:
    """Stapled ones come with the request, so from anybody; they may neither help nor stop the server."""
    blob = HOSTILE_ANSWERS[name](told)
    assert told.reason(ocsp=[blob]) is Reason.REVOCATION_UNTRUSTED
    assert told.reason(stapled=[blob]) is Reason.REVOCATION_UNTRUSTED
    assert told.reason(told.good, ocsp=[blob]) is None
    assert told.reason(told.good, stapled=[blob]) is None


def _delegate(told: Told, *extra: pki.Extension, eku: bytes | None = None, **changes: Any) -> bytes:
    extensions = [
        pki.key_usage("digital_signature"),
        ("2.5.29.37", False, eku or der.sequence(der.oid("1.3.6.1.5.5.7.3.9"))),
        ("1.3.6.1.5.5.7.48.1.5", False, der.tlv(0x05)),
        *extra,
    ]
    values = {"not_before": AT - DAY, "not_after": AT + DAY, "extensions": extensions, **changes}
    made = told.here.ca.issue(pki.name("responder"), key("EC", "responder").spki_der, **values)
    return told.answer_by_name(pki.name("responder"), made, by=key("EC", "responder"))


BAD_DELEGATES: dict[str, dict[str, Any]] = {
    "unknown critical extension": {"extra": [("1.2.156.99999.9", True, der.utf8("?"))]},
    "an extension twice": {"extra": [("1.2.156.99999.9", False, der.utf8("?"))] * 2},
    "a CA": {"extra": [pki.extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)]},
    "malformed extended key usage": {"eku": der.sequence()},
    "serial 0": {"serial": 0},
    "version 1": {"version": 0, "extensions": []},
}


@pytest.mark.parametrize("name", BAD_DELEGATES)
def test_delegates_that_are_none(told: Told, name: str) -> None:
    changes = dict(BAD_DELEGATES[name])
    blob = _delegate(told, *changes.pop("extra", ()), **changes)
    assert told.reason(ocsp=[blob]) is Reason.REVOCATION_UNTRUSTED
    assert told.reason(ocsp=[_delegate(told)]) is None


def test_unknown_beats_good_in_one_answer_whatever_the_order(told: Told) -> None:
    good, unknown = (
        single_answer(told.here.ca, told.leaf.serial, status, this_update=AT, next_update=AT + HOUR)
        for status in ("good", "unknown")
    )
    for first, second in (("good", unknown), ("unknown", good)):
        blob = ocsp_answer(told.here.ca, told.leaf.serial, first, this_update=AT, next_update=AT + HOUR, more=[second])
        assert told.reason(ocsp=[blob]) is Reason.REVOCATION_UNKNOWN


# --- which CRL a certificate means, in the two encodings that are read although they are not DER

URL = "http://ca.example/part.crl"
POINT = pki.extension(x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(URL)], None, None, None)]))
WRITTEN_FALSE, NULL_PARAMETERS = ("2.5.29.19", True, b"\x30\x03\x01\x01\x00"), bytes.fromhex("300c06082a8648ce3d0403020500")
FINNISH: dict[str, Callable[[], bytes]] = {
    "usual": lambda: world().raw_lock(POINT),
    "cA FALSE written out": lambda: world().raw_lock(WRITTEN_FALSE, POINT, drop=("2.5.29.19",)),
    "NULL parameters": lambda: world().raw_lock(POINT, algorithm=NULL_PARAMETERS),
    "both": lambda: world().raw_lock(WRITTEN_FALSE, POINT, drop=("2.5.29.19",), algorithm=NULL_PARAMETERS),
}


def _part(told: Told, *revoked: int) -> bytes:
    fields = dict.fromkeys(
        ("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False
    )
    scope = x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(URL)], relative_name=None, only_some_reasons=None, **fields
    )
    entries = [(serial, AT - HOUR, "keyCompromise") for serial in revoked]
    return told.here.ca.crl(entries, this_update=AT - HOUR, next_update=AT + DAY, extra=[pki.extension(scope, critical=True)])


@pytest.mark.parametrize("name", FINNISH)
def test_partitioned_crls_reach_every_encoding(told: Told, name: str) -> None:
    leaf = FINNISH[name]()
    assert told.reason(_part(told), leaf=leaf) is None
    assert told.reason(_part(told, 4243), told.good, leaf=leaf) is Reason.CERTIFICATE_REVOKED
    assert told.reason(_part(told), leaf=told.here.raw_lock()) is Reason.REVOCATION_UNAVAILABLE


def test_a_certificate_that_does_not_say_legibly_which_crl_it_means(told: Told) -> None:
    """Nobody can say then that it is on none."""
    lock = told.here.raw_lock(("2.5.29.31", False, der.sequence(der.sequence(der.tlv(0xA0, der.utf8("?"))))))
    with pytest.raises(Refusal) as refused:
        told.reason(_part(told), told.good, leaf=lock)
    assert refused.value.reason is Reason.CERTIFICATE_EXTENSION
    assert told.here.judge(lock).reason is Reason.CERTIFICATE_EXTENSION


# --- revoked is final


def test_a_final_revocation_outlives_the_delta_that_told_it(told: Told) -> None:
    ca, serial = told.here.ca, told.leaf.serial

    def crl(*entries: tuple[int, datetime, str], number: int, age: timedelta, end: datetime, base: int | None = None) -> bytes:
        extra = [("2.5.29.27", True, der.integer(base))] if base else []
        return ca.crl(entries, number=number, this_update=AT - age, next_update=end, extra=extra)

    revoked, held = (serial, AT - 4 * HOUR, "keyCompromise"), (serial, AT - 4 * HOUR, "certificateHold")
    whole = crl(number=5, age=5 * HOUR, end=AT + DAY)
    ended = {"number": 7, "age": 3 * HOUR, "end": AT - HOUR, "base": 5}
    assert told.reason(whole, crl(revoked, **ended)) is Reason.CERTIFICATE_REVOKED
    assert told.reason(whole, crl(held, **ended)) is None
    silent = crl(number=8, age=HOUR, end=AT + DAY, base=5)
    assert told.reason(whole, crl(revoked, number=7, age=3 * HOUR, end=AT + DAY, base=5), silent) is Reason.CERTIFICATE_REVOKED
    newer = crl(number=9, age=HOUR, end=AT + DAY)
    assert told.reason(newer, crl(revoked, number=5, age=5 * HOUR, end=AT - HOUR)) is Reason.CERTIFICATE_REVOKED
    assert told.reason(newer, crl(held, number=5, age=5 * HOUR, end=AT - HOUR)) is None


# --- bounds


def test_long_hostile_names_are_compared_without_being_folded() -> None:
    """Folding 56 KB of combining marks took 600 ms of anybody's asking; long values are compared octet for octet."""
    marks = "a" + "\u0301\u0316" * 300
    name = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.utf8(marks))))
    assert next(iter(names.comparison_key(name)[0]))[1] == marks.encode()
    assert names._kept_key.cache_info().maxsize == 256
    before = names._kept_key.cache_info().currsize
    for number in range(300):
        long = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.utf8(f"{number}" + "x" * 1100))))
        names.comparison_key(long)
    assert names._kept_key.cache_info().currsize == before


def test_what_is_known_for_good_needs_no_data_any_more(told: Told) -> None:
    """The source that proved it may be gone, and every source at hand may say good: revoked it stays, for a CA as for a lock."""

    class Remembering(InMemoryEvidence):
        known: frozenset[tuple[str, int]] = frozenset()

        def final_for(self, issuer: Certificate, serial: int) -> FinalRevocation | None:
            if (issuer.spki_sha256, serial) not in self.known:
                return None
            return FinalRevocation(AT - DAY, "stapled", "0" * 64, "keyCompromise")

    evidence = Remembering(told.here.crls(), anchors=[told.root], others=[told.ca], at=AT)

    def verdict() -> Any:
        return told.here.judge(told.here.lock(), evidence=evidence)

    assert verdict().accepted
    evidence.known = frozenset({(told.ca.spki_sha256, told.leaf.serial)})
    assert verdict().reason is Reason.CERTIFICATE_REVOKED
    assert (verdict().revocation[0].source, verdict().revocation[0].revoked_at) == ("stapled", AT - DAY)
    evidence.known = frozenset({(told.root.spki_sha256, told.ca.serial)})
    assert verdict().reason is Reason.CA_REVOKED


def test_a_head_that_is_nested_without_end_is_no_head():
    with pytest.raises(ValueError, match="not an audit head"):
        Head.of_line("[" * 100_000)
