"""Bytes that somebody made to hurt: each is an error that the operator sees, none an exception in a job or a login."""

from __future__ import annotations

import logging
from functools import partial

import pytest
from worlds.browser import Browser, reason_of
from worlds.kept import kept
from worlds.responses import single_answer
from worlds.revocation import HOUR, CrlWorld, install_bound_lock, moment, nonce_of

from calock.core.refusals import Reason
from calock.demo import der
from calock.server.audit.models import AuditEvent
from calock.server.providers.models import RevocationSource
from calock.server.revocation import ingest, live
from calock.server.revocation.evidence import forget_evidence
from calock.server.revocation.health import Health, health_of
from calock.server.revocation.refresh import forget_removed_sources, refresh_crl

pytestmark = pytest.mark.django_db

MANY = der.sequence(*(der.set_of(der.sequence(der.oid("2.5.4.3"), der.utf8(f"x{number}"))) for number in range(70)))
"""A name of more attributes than anybody has."""
FAULTS = [ValueError("x"), KeyError("x"), UnicodeError("x"), RecursionError("x"), OverflowError("x"), MemoryError("x"), TypeError()]


def failures() -> list[tuple[str, str]]:
    rows = AuditEvent.objects.filter(event="provider:revocation:failed").order_by("at")
    return [(row.reason, row.details["error"]) for row in rows]


def test_a40_a_crl_by_an_issuer_of_seventy_attributes(world):
    world.publish(world.crl(issuer=MANY))
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNTRUSTED
    assert world.issuing.last_error == outcome.error != ""
    assert health_of(world.issuing, at=moment()).health is Health.FAILING
    assert failures() == [("REVOCATION_UNTRUSTED", outcome.error)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_whatever_a_crl_does_to_our_parsers_is_written_down(world, monkeypatch, caplog, fault):
    """The last resort: the row never stays green over a fault, and the log has its trace."""
    assert refresh_crl(world.issuing).ok
    world.publish()

    def broken(_data):
        raise fault

    monkeypatch.setattr(ingest, "read_crl", broken)
    with caplog.at_level(logging.ERROR):
        outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNTRUSTED
    assert world.issuing.last_error == f"it cannot be read: {type(fault).__name__}"
    assert failures() == [("REVOCATION_UNTRUSTED", world.issuing.last_error)]
    assert "Traceback" in caplog.text
    monkeypatch.undo()
    assert refresh_crl(world.issuing).changed


def test_a40_an_etag_that_was_cut_at_a_carriage_return_stops_no_later_fetch(world, source):
    body = world.crl()

    def answer(handler):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nETag: " % len(body)
        handler.wfile.write(head + b"a" * 199 + b"\r\n bb\r\n\r\n" + body)

    source.answers["/issuing.crl"] = answer
    assert [refresh_crl(world.issuing).error for _ in range(3)] == [""] * 3


def test_a_number_longer_than_any_column(world):
    world.publish(world.crl(number=1 << 300))
    assert refresh_crl(world.issuing).reason is Reason.REVOCATION_UNTRUSTED
    assert "CRLNumber" in world.issuing.last_error


def test_an_error_text_of_unprintable_characters_can_be_stored(world, source):
    source.answers["/issuing.crl"] = lambda handler: handler.send(b"", status=302, Location="http://a\x01.example/")
    assert not refresh_crl(world.issuing).ok
    assert world.issuing.last_error.isprintable()


def test_a_source_that_was_taken_away_meanwhile(world):
    row = world.issuing
    RevocationSource.objects.filter(pk=row.pk).delete()
    assert refresh_crl(row).error == "the source was taken away"


kept_bound = kept(partial(install_bound_lock, "EC", ocsp=True))


@pytest.fixture
def bound(kept_bound, db, source):
    """A bound lock whose CA answers by OCSP alone; every login asks."""
    world = CrlWorld(source, "EC", lock=kept_bound())
    assert refresh_crl(world.root).ok
    assert refresh_crl(world.issuing).ok
    world.issuing.delete()
    assert forget_removed_sources() == 1
    source.answers.pop("/issuing.crl")
    forget_evidence()
    return world


def ocsp_by(world, responder: bytes, request: bytes) -> bytes:
    """An answer whose responderID is ``responder``, signed by the CA."""
    at, issuing = moment(), world.family.issuing
    single = single_answer(issuing, world.leaf.serial, "good", this_update=at, next_update=at + HOUR)
    nonce = der.sequence(der.oid("1.3.6.1.5.5.7.48.1.2"), der.octets(der.octets(nonce_of(request))))
    extensions = der.tlv(0xA1, der.sequence(nonce))
    tbs = der.sequence(der.tlv(0xA1, responder), der.generalized_time(at), der.sequence(single), extensions)
    basic = der.sequence(tbs, issuing.key.signature_algorithm, der.bits(issuing.key.sign(tbs)))
    body = der.tlv(0xA0, der.sequence(der.oid("1.3.6.1.5.5.7.48.1.1"), der.octets(basic)))
    return der.sequence(der.enumerated(0), body)


def test_the_answer_that_is_made_here_counts_when_the_name_is_the_cas(bound, source):
    """Without this the next test would prove nothing."""
    source.answers["/ocsp"] = lambda handler: handler.send(ocsp_by(bound, bound.family.issuing.subject, handler.body))
    assert Browser().log_in(bound.lock).status_code == 200


def test_a40_an_ocsp_answer_by_a_responder_of_seventy_attributes_is_no_500(bound, source):
    source.answers["/ocsp"] = lambda handler: handler.send(ocsp_by(bound, MANY, handler.body))
    answer = Browser(raise_request_exception=False).log_in(bound.lock)
    assert (answer.status_code, reason_of(answer)) == (403, "REVOCATION_UNAVAILABLE")
    row = RevocationSource.objects.get(kind="ocsp")
    assert row.last_error
    assert health_of(row, at=moment()).health is Health.FAILING
    assert failures() == [("REVOCATION_UNTRUSTED", row.last_error)]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_whatever_an_ocsp_answer_does_to_our_parsers_is_no_500(bound, source, monkeypatch, caplog, fault):
    def broken(_data):
        raise fault

    source.serve("/ocsp", b"whatever")
    monkeypatch.setattr(live, "read_response", broken)
    answer = Browser(raise_request_exception=False).log_in(bound.lock)
    assert (answer.status_code, reason_of(answer)) == (403, "REVOCATION_UNAVAILABLE")
    assert RevocationSource.objects.get(kind="ocsp").last_error == f"it cannot be read: {type(fault).__name__}"
    assert "Traceback" in caplog.text
    assert len(failures()) == 1
