"""R8, R9, A45 through the front door: a browser, a bound lock, a CRL source that changes, and nothing in between replaced."""

from __future__ import annotations

import shutil

import pytest
from worlds.browser import Browser, reason_of
from worlds.locks import make_lock_world
from worlds.practice import make_lock
from worlds.revocation import CrlWorld

from calock.core.certificates.certificate import Certificate
from calock.demo import pki
from calock.server.jobs.sessions import sweep_sessions
from calock.server.revocation import manifest
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.refresh import refresh_crl
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["SM2", "RSA"])
def bound(source, request, db):
    """A lock that its member bound, with the CRLs of its CA served live."""
    people = make_lock_world(request.param)
    world = CrlWorld.installed(source, request.param)
    world.lock = make_lock(request.param, lock_id="LIVE-1")
    refresh(world)
    browser = Browser()
    browser.enter(people.member)
    answer = browser.bind(world.lock, people.member)
    assert answer.status_code == 200, answer.content
    Session.objects.all().delete()
    return world


def refresh(world):
    for row in (world.root, world.issuing):
        assert refresh_crl(row).ok
    forget_evidence()


def revoke(world):
    serial = Certificate.parse(world.lock.certificate).serial
    world.publish(world.crl(reason="keyCompromise", revoked=serial))


def test_r8_revoked_means_out_for_new_and_for_living_sessions(bound):
    browser = Browser()
    assert browser.log_in(bound.lock).status_code == 200
    assert not sweep_sessions()
    revoke(bound)
    refresh(bound)
    assert sweep_sessions().ended == 1
    assert browser.client.get("/api/bindings").status_code == 401
    assert reason_of(Browser().log_in(bound.lock)) == "CERTIFICATE_REVOKED"


def test_r8_a_refused_login_ends_the_living_sessions_of_its_lock_without_waiting_for_the_sweep(bound):
    browser = Browser()
    assert browser.log_in(bound.lock).status_code == 200
    revoke(bound)
    refresh(bound)
    assert reason_of(Browser().log_in(bound.lock)) == "CERTIFICATE_REVOKED"
    assert browser.client.get("/api/bindings").status_code == 401


def test_r9_fail_closed_without_data_and_in_again_with_it(bound, source):
    shutil.rmtree(manifest.directory())
    forget_evidence()
    answers = dict(source.answers)
    source.answers.clear()
    assert reason_of(Browser().log_in(bound.lock)) == "REVOCATION_UNAVAILABLE"
    source.answers.update(answers)
    refresh(bound)
    assert Browser().log_in(bound.lock).status_code == 200


def test_r9_a_crl_by_the_wrong_signer_lets_nobody_in(bound):
    shutil.rmtree(manifest.directory())
    bound.publish(bound.crl(key=pki.make_key(bound.family.issuing.key.algorithm)))
    assert not refresh_crl(bound.issuing).ok
    assert refresh_crl(bound.root).ok
    forget_evidence()
    assert reason_of(Browser().log_in(bound.lock)) == "REVOCATION_UNTRUSTED"


def test_logins_cost_no_query_for_revocation(bound, django_assert_max_num_queries):
    issuer = Certificate.parse(bound.family.issuing.certificate)
    current_evidence()
    with django_assert_max_num_queries(0):
        for _ in range(100):
            assert current_evidence().crls_for(issuer)
