"""Kill the source, let the CRL run out, serve one by the wrong signer, an older, a truncated one, one of 100 MB: through the login.

Each against a live source: what the person at the login page is told, by reason and in words, and what the operator sees.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from django.utils import timezone
from worlds.browser import Browser
from worlds.kept import kept
from worlds.revocation import HOUR, CrlWorld, LiveSource, dripping, endless, install_bound_lock, moment

from calock.demo import pki
from calock.server.audit.models import AuditEvent
from calock.server.egress.connections import Limits
from calock.server.revocation import live_crl, manifest
from calock.server.revocation.evidence import forget_evidence
from calock.server.revocation.health import Health, health_of
from calock.server.revocation.live import forget_failures
from calock.server.revocation.refresh import refresh_crl

pytestmark = pytest.mark.django_db
NO_STATUS = "暂时无法核验证书状态"
REVOKED = "证书已被吊销，不能使用"


def kill(world: CrlWorld, source: LiveSource) -> None:
    source.stop()


def ended(world: CrlWorld, source: LiveSource) -> None:
    world.publish(world.crl(this_update=moment() - 2 * HOUR, next_update=moment() - HOUR))


def wrong_signer(world: CrlWorld, source: LiveSource) -> None:
    world.publish(world.crl(key=pki.make_key(world.family.issuing.key.algorithm)))


def older(world: CrlWorld, source: LiveSource) -> None:
    world.publish(world.crl(number=5))


def truncated(world: CrlWorld, source: LiveSource) -> None:
    body = world.crl()
    world.publish(body[: len(body) // 2])


def cut_on_the_wire(world: CrlWorld, source: LiveSource) -> None:
    body = world.crl()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:100])

    source.answers["/issuing.crl"] = answer


def of_100_mb(world: CrlWorld, source: LiveSource) -> None:
    source.answers["/issuing.crl"] = endless(100 << 20, announced=True)


def of_100_mb_unannounced(world: CrlWorld, source: LiveSource) -> None:
    source.answers["/issuing.crl"] = endless(100 << 20, announced=False)


def drip(world: CrlWorld, source: LiveSource) -> None:
    source.answers["/issuing.crl"] = dripping


@dataclass(frozen=True)
class Way:
    """One way in which a source fails, and what is seen of it."""

    serve: Callable[[CrlWorld, LiveSource], None]
    reason: str
    """That a person is given where nothing else is held."""
    error: str
    """What the operator reads, as a pattern."""


WAYS = [
    Way(kill, "REVOCATION_UNAVAILABLE", r"connection refused"),
    Way(ended, "REVOCATION_STALE", r"the source serves a CRL that ended at \d{4}-\d\d-\d\dT.*"),
    Way(wrong_signer, "REVOCATION_UNTRUSTED", r"CRL signature: the signature does not hold"),
    Way(older, "REVOCATION_UNTRUSTED", r"its number is below [0-9a-f]+ seen before \(CRLNumber\)"),
    Way(truncated, "REVOCATION_UNTRUSTED", r"not a CRL: truncated"),
    Way(cut_on_the_wire, "REVOCATION_UNAVAILABLE", r"ended after 100 of \d+ bytes"),
    Way(of_100_mb, "REVOCATION_UNAVAILABLE", r"announces 104857600 bytes; at most (8388608|67108864)"),
    Way(of_100_mb_unannounced, "REVOCATION_UNAVAILABLE", r"longer than (8388608|67108864) bytes"),
    Way(drip, "REVOCATION_UNAVAILABLE", r"not finished within 0\.[0-9] s"),
]


kept_bound = kept(partial(install_bound_lock, "SM2"))


@pytest.fixture
def bound(kept_bound, source, db, monkeypatch):
    """An SM2 lock that its member bound, with the CRLs of its CA served live."""
    monkeypatch.setattr(live_crl, "CRL_LIVE_LIMITS", Limits(8 << 20, 0.9))  # of a login: the drip is not waited for
    world = CrlWorld(source, "SM2", lock=kept_bound())
    for row in (world.root, world.issuing):
        assert refresh_crl(row).ok
    return world


def told(answer) -> tuple[int, str, str]:
    """What the person sees."""
    body = answer.json()
    error = body.get("error", {"reason": "", "message": ""})
    return answer.status_code, error["reason"], error["message"]


def operator_sees(world: CrlWorld, way: Way) -> None:
    """The error beside the source, its health on the dashboard, and one audit row."""
    row = world.issuing
    assert re.fullmatch(way.error, row.last_error), row.last_error
    assert health_of(row, at=moment()).health is Health.FAILING
    failures = AuditEvent.objects.filter(event="provider:revocation:failed", provider=world.family.provider)
    assert [failure.details["error"] for failure in failures] == [row.last_error]


def background(world: CrlWorld) -> bool:
    """What the jobs of the machine do every half minute."""
    outcome = refresh_crl(world.issuing, limits=Limits(64 << 20, 0.9 if world.source.answers["/issuing.crl"] is dripping else 60))
    forget_evidence()
    return outcome.ok


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.serve.__name__)
def test_where_nothing_is_held_nobody_is_let_in_and_everybody_is_told_why(bound, source, way):
    shutil.rmtree(manifest.directory())
    way.serve(bound, source)
    if way.serve is not kill:  # the CA above publishes as ever
        refresh_crl(bound.root)
    forget_evidence()
    assert told(Browser().log_in(bound.lock)) == (403, way.reason, NO_STATUS)
    operator_sees(bound, way)
    assert AuditEvent.objects.get(event="login:ca:refused").reason == way.reason
    assert not background(bound)
    forget_failures()
    assert told(Browser().log_in(bound.lock)) == (403, way.reason, NO_STATUS)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.serve.__name__)
def test_what_is_held_goes_on_counting_and_the_operator_is_told(bound, source, way):
    way.serve(bound, source)
    assert not background(bound)
    assert told(Browser().log_in(bound.lock))[0] == 200
    operator_sees(bound, way)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.serve.__name__)
def test_nothing_that_a_source_does_brings_a_revoked_lock_back(bound, source, way):
    bound.publish(bound.crl(reason="keyCompromise"))
    assert background(bound)
    way.serve(bound, source)
    assert not background(bound)
    assert told(Browser().log_in(bound.lock)) == (403, "CERTIFICATE_REVOKED", REVOKED)
    operator_sees(bound, way)


@pytest.mark.parametrize("killed", [True, False])
def test_the_crl_that_is_held_runs_out(bound, source, monkeypatch, killed):
    """Whether its source is dead or goes on serving it unchanged."""
    if killed:
        source.stop()
    real, after = timezone.now, 7 * HOUR
    monkeypatch.setattr(timezone, "now", lambda: real() + after)
    assert told(Browser().log_in(bound.lock)) == (403, "REVOCATION_STALE", NO_STATUS)
    row = bound.issuing
    assert row.last_error.startswith("connection refused" if killed else "the source serves a CRL that ended at")
    assert health_of(row, at=timezone.now()).health is Health.EXPIRED


@pytest.mark.parametrize("way", WAYS[1:], ids=lambda way: way.serve.__name__)
def test_when_the_source_is_well_again_so_is_everybody(bound, source, way):
    shutil.rmtree(manifest.directory())
    way.serve(bound, source)
    assert not background(bound)
    bound.publish()
    refresh_crl(bound.root)
    assert background(bound)
    assert told(Browser().log_in(bound.lock))[0] == 200
    assert bound.issuing.last_error == ""
    assert health_of(bound.issuing, at=moment()).health is Health.GOOD
