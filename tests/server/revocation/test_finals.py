"""A CA certificate that its root once revoked for good stays revoked on this machine, whatever the root publishes later."""

from __future__ import annotations

import pytest
from worlds.revocation import moment, session_with

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason
from calock.core.revocation.check import check_revocation
from calock.server.jobs.sessions import sweep_sessions
from calock.server.providers.models import CaRecord, CaState
from calock.server.providers.trust import current_register, forget_register
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.manifest import directory, read_manifest
from calock.server.revocation.refresh import forget_removed_sources, refresh_crl

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(each_world):
    assert refresh_crl(each_world.issuing).ok
    return each_world


def root_publishes(world, reason: str | None) -> None:
    issuing = Certificate.parse(world.family.issuing.certificate)
    body = world.crl(authority=world.family.root, reason=reason, revoked=issuing.serial)
    world.source.serve("/root.crl", body)
    assert refresh_crl(world.root).ok


def finding(world):
    forget_evidence()
    policy = current_register().provider(world.family.provider).policy
    return check_revocation(world.path, evidence=current_evidence(), policy=policy, at=moment())


def test_f5_a_ca_that_was_revoked_is_not_taken_back(world):
    root_publishes(world, "cACompromise")
    sha256 = world.root.sha256
    assert finding(world).reason is Reason.CA_REVOKED
    for _ in range(3):  # the last of these replaces a CRL that does not list it
        root_publishes(world, None)
        found = finding(world)
        assert found.reason is Reason.CA_REVOKED
        assert found.findings[1].sha256 == sha256  # what proved it
        assert found.checks[1].detail.startswith("cACompromise, by the CRL of ")


def test_f5_its_sessions_end_and_stay_ended(world):
    session = session_with(world, world.leaf, "one")
    root_publishes(world, "cACompromise")
    root_publishes(world, None)
    assert sweep_sessions().ended == 1
    session.refresh_from_db()
    assert session.end_reason == "ca revoked"


def test_a_ca_on_hold_may_be_let_go(world):
    root_publishes(world, "certificateHold")
    assert finding(world).reason is Reason.CA_REVOKED
    root_publishes(world, None)
    assert finding(world).reason is None
    assert read_manifest().finals == ()


def test_f5_what_is_final_outlives_its_source_and_its_crl(world):
    root_publishes(world, "cACompromise")
    world.root.delete()
    forget_removed_sources()
    assert finding(world).reason is Reason.CA_REVOKED


def test_f5_a_ca_that_was_recognised_after_the_crl_that_revoked_it(world):
    """Nobody looked for it when that CRL came; who looks when it goes finds it."""
    rows = CaRecord.objects.filter(anchor=False)
    for record in rows:
        record.state = CaState.PENDING
        record.save()
    forget_register()
    root_publishes(world, "cACompromise")
    assert read_manifest().finals == ()
    for record in rows:
        record.state = CaState.RECOGNISED
        record.save()
    forget_register()
    assert finding(world).reason is Reason.CA_REVOKED
    root_publishes(world, None)
    assert finding(world).reason is Reason.CA_REVOKED


def test_a_serial_on_a_crl_of_another_ca_means_nothing(world):
    issuing = Certificate.parse(world.family.issuing.certificate)
    world.publish(world.crl(reason="keyCompromise", revoked=issuing.serial))  # the locks' CA numbers its own certificates
    assert refresh_crl(world.issuing).ok
    root_publishes(world, None)
    assert finding(world).reason is None
    assert read_manifest().finals == ()


def test_locks_are_judged_by_what_is_published_now(world):
    """Only for CAs: a lock's end is written into its own row, and a list of a million serials is no place to keep for ever."""
    world.publish(reason="keyCompromise")
    assert refresh_crl(world.issuing).ok
    assert refresh_crl(world.root).ok
    assert finding(world).reason is Reason.CERTIFICATE_REVOKED
    assert read_manifest().finals == ()


def test_f5_nobody_takes_it_out_of_the_manifest(world):
    root_publishes(world, "cACompromise")
    root_publishes(world, None)
    path = directory() / "manifest"
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"finals":[', b'"finals":[],"x":['))
    assert path.read_bytes() != before
    assert finding(world).reason is Reason.REVOCATION_UNTRUSTED
