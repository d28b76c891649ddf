"""Asking OCSP while somebody waits: only after everything else held, only the provider's own responder, once, and briefly."""

from __future__ import annotations

import tempfile
from datetime import timedelta

import pytest
from worlds.kept import kept
from worlds.responses import ocsp_answer, ocsp_responder
from worlds.revocation import HOUR, CrlWorld, dripping, endless, install_ca, moment, nonce_of

from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.refusals import Reason
from calock.core.revocation.evidence import RevocationEvidence
from calock.core.verdict import Step
from calock.demo import pki
from calock.server.egress.connections import Limits
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register
from calock.server.revocation import live, ocsp_cache
from calock.server.revocation.evidence import forget_evidence
from calock.server.revocation.live import with_live_answers
from calock.server.revocation.refresh import refresh_crl

pytestmark = pytest.mark.django_db


def _by_ocsp_alone(algorithm: str) -> str:
    install_ca(algorithm, ocsp=True)
    RevocationSource.objects.get(url__endswith="/issuing.crl").delete()
    return algorithm


kept_each_ca = kept(_by_ocsp_alone, params=["EC", "SM2"])


@pytest.fixture
def world(kept_each_ca, db, source):
    """The root publishes a CRL; the locks' CA answers by OCSP alone."""
    made = CrlWorld(source, kept_each_ca())
    assert refresh_crl(made.root).ok
    forget_evidence()
    source.asked.clear()
    return made


def judged(der):
    def verify(evidence: RevocationEvidence):
        steps = frozenset({Step.GATE, Step.PATH, Step.REVOCATION})
        return verify_certificate(der, VerificationInputs(current_register(), moment(), evidence, steps=steps))

    return with_live_answers(verify)


def answer_with(world, *, echo=True, **fields):
    """Serve OCSP answers about the world's lock."""

    def answer(handler):
        values = {"this_update": moment(), "next_update": moment() + HOUR, **fields}
        serial = values.pop("serial", world.leaf.serial)
        status = values.pop("status", "good")
        if echo:
            values.setdefault("nonce", nonce_of(handler.body))
        authority = values.pop("authority", world.family.issuing)
        digest = "sm3" if world.family.issuing.key.algorithm == "SM2" else "sha1"
        body = ocsp_answer(authority, serial, status, **{"digest": digest, **values})
        handler.send(body, Content_Type="application/ocsp-response")

    world.source.answers["/ocsp"] = answer


def asked(world):
    return [line for line in world.source.asked if "ocsp" in line]


def test_a_good_answer_lets_in_and_is_asked_for_once(world):
    answer_with(world)
    for _ in range(3):
        verdict = judged(world.lock.certificate)
        assert verdict.reason is None
    assert asked(world) == ["POST /ocsp"]
    assert verdict.revocation[0].source == "ocsp"


def test_a_full_disk_costs_nobody_his_login(world, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    answer_with(world)
    monkeypatch.setattr(tempfile, "mkstemp", full)
    for _ in range(2):
        assert judged(world.lock.certificate).reason is None
    assert asked(world) == ["POST /ocsp"]


def test_another_process_of_the_machine_uses_the_same_answer(world):
    answer_with(world)
    assert judged(world.lock.certificate).reason is None
    ocsp_cache.forget_memory()
    assert judged(world.lock.certificate).reason is None
    assert asked(world) == ["POST /ocsp"]


@pytest.mark.parametrize(
    ("reason", "seen"), [("keyCompromise", Reason.CERTIFICATE_REVOKED), ("certificateHold", Reason.CERTIFICATE_ON_HOLD)]
)
def test_revoked_and_on_hold(world, reason, seen):
    answer_with(world, status="revoked", reason=reason)
    assert judged(world.lock.certificate).reason is seen


def test_a40_unknown_is_refused_and_not_asked_again_at_once(world):
    answer_with(world, status="unknown")
    for _ in range(3):
        assert judged(world.lock.certificate).reason is Reason.REVOCATION_UNKNOWN
    assert asked(world) == ["POST /ocsp"]


def expect_unavailable(world, error):
    for _ in range(2):
        assert judged(world.lock.certificate).reason is Reason.REVOCATION_UNAVAILABLE
    assert len(asked(world)) == 1  # nobody hammers a failing responder
    assert world.issuing_ocsp.last_error == error


@pytest.fixture(autouse=True)
def _ocsp_row(monkeypatch):
    monkeypatch.setattr(CrlWorld, "issuing_ocsp", property(lambda _: RevocationSource.objects.get(kind="ocsp")), raising=False)


def test_a40_an_old_answer_replayed_without_nonce(world):
    answer_with(world, echo=False, this_update=moment() - timedelta(minutes=30))
    expect_unavailable(world, "the OCSP answer is older than 600 s (by the rule ocsp_live_max_age)")


def test_a40_a_fresh_answer_without_nonce_counts_by_its_age(world):
    answer_with(world, echo=False)
    assert judged(world.lock.certificate).reason is None


def test_a40_another_nonce(world):
    answer_with(world, nonce=b"\1" * 32)
    expect_unavailable(world, "the OCSP answer does not carry our nonce")


def test_a40_signer_without_ocsp_signing(world):
    signer = ocsp_responder(world.family.issuing, not_before=moment() - HOUR, not_after=moment() + HOUR, ekus=())
    answer_with(world, responder=signer)
    expect_unavailable(world, "the OCSP signer's certificate is not for OCSP signing (id-kp-OCSPSigning)")


def test_a40_delegated_signer(world):
    signer = ocsp_responder(world.family.issuing, not_before=moment() - HOUR, not_after=moment() + HOUR)
    answer_with(world, responder=signer)
    assert judged(world.lock.certificate).reason is None


def test_a40_delegate_of_the_root_may_not_answer_for_the_ca_below(world):
    signer = ocsp_responder(world.family.root, not_before=moment() - HOUR, not_after=moment() + HOUR)
    answer_with(world, responder=signer)
    expect_unavailable(world, "the OCSP signer's certificate was not issued by the CA's own key")


def test_a40_wrong_signer(world):
    answer_with(world, key=pki.make_key(world.family.issuing.key.algorithm))
    expect_unavailable(world, "OCSP signature: the signature does not hold")


def test_a40_about_another_serial(world):
    answer_with(world, serial=4711)
    expect_unavailable(world, "the OCSP answer is about another certificate")


@pytest.mark.parametrize("code", [1, 2, 3, 5, 6])
def test_a40_try_later_and_other_errors(world, code):
    world.source.serve("/ocsp", bytes([0x30, 3, 0x0A, 1, code]))
    assert judged(world.lock.certificate).reason is Reason.REVOCATION_UNAVAILABLE
    assert world.issuing_ocsp.last_error.startswith("the OCSP responder answered")


def test_a40_status_500(world):
    world.source.answers["/ocsp"] = lambda handler: handler.send(b"", status=500)
    expect_unavailable(world, "answered with status 500")


def test_a40_huge_body(world):
    world.source.answers["/ocsp"] = endless(2 << 30, announced=False)
    expect_unavailable(world, "longer than 65536 bytes")


def test_a40_slow_drip(world, monkeypatch):
    monkeypatch.setattr(live, "OCSP_LIMITS", Limits(65536, 0.3))
    world.source.answers["/ocsp"] = dripping
    expect_unavailable(world, "not finished within 0.3 s")


def test_a40_the_limits_are_the_promised_ones():
    assert Limits(64 * 1024, 3.0) == live.OCSP_LIMITS


def test_a43_nobody_is_asked_about_a_certificate_of_a_stranger(world):
    stranger = pki.make_root("stranger", "EC", not_before=moment() - HOUR, not_after=moment() + HOUR)
    url = world.source.url("/from-the-certificate.crl")
    der = stranger.issue_lock("x", pki.make_key("EC"), not_before=moment() - HOUR, not_after=moment() + HOUR, crl_url=url)
    assert judged(der).reason is Reason.CERTIFICATE_UNTRUSTED
    assert world.source.asked == []


def test_a42_an_address_inside_a_recognised_certificate_is_not_followed(world):
    der = world.family.issuing.issue_lock(
        "x",
        pki.make_key(world.family.issuing.key.algorithm),
        not_before=moment() - HOUR,
        not_after=moment() + HOUR,
        crl_url=world.source.url("/from-the-certificate.crl"),
    )
    assert judged(der).reason is Reason.REVOCATION_UNAVAILABLE
    assert set(world.source.asked) <= {"POST /ocsp"}


def test_an_expired_certificate_causes_no_request(world):
    der = world.family.issuing.issue_lock(
        "x",
        pki.make_key(world.family.issuing.key.algorithm),
        not_before=moment() - 2 * HOUR,
        not_after=moment() - HOUR,
    )
    assert judged(der).reason is Reason.CERTIFICATE_EXPIRED
    assert world.source.asked == []


def test_the_crl_is_fetched_live_when_nobody_answers_by_ocsp(kept_ca, db, source):
    world = CrlWorld(source, kept_ca())
    assert judged(world.lock.certificate).reason is None
    assert sorted(source.asked) == ["GET /issuing.crl", "GET /root.crl"]


def test_one_dead_responder_holds_up_one_login_not_all(world):
    world.source.answers["/ocsp"] = lambda handler: handler.send(b"", status=503)
    algorithm = world.family.issuing.key.algorithm
    for number in range(5):
        der = world.family.issuing.issue_lock(
            f"user {number}", pki.make_key(algorithm), not_before=moment() - HOUR, not_after=moment() + HOUR
        )
        assert judged(der).reason is Reason.REVOCATION_UNAVAILABLE
    assert len(asked(world)) == 1
    live.forget_failures()
    answer_with(world)
    assert judged(world.lock.certificate).reason is None
