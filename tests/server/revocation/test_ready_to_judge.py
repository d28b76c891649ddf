"""``/readyz`` of a machine that could judge no lock, or fewer than the others can."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from calock.server.jobs.readiness import problems
from calock.server.revocation import store
from calock.server.revocation.evidence import forget_evidence
from calock.server.revocation.refresh import refresh_crl

NONE = "revocation: this machine has no current CRL, so no lock can log in here"


def about_revocation(**kwargs) -> list[str]:
    return [line for line in problems(**kwargs) if line.startswith("revocation:")]


def fetch(world) -> None:
    for source in (world.issuing, world.root):
        assert refresh_crl(source).ok
    forget_evidence()


def test_a_machine_that_has_fetched_nothing_is_not_ready(world):
    assert about_revocation() == [NONE]
    fetch(world)
    assert about_revocation() == []


def test_a_machine_whose_crls_have_all_run_out_is_not_ready(world):
    fetch(world)
    assert about_revocation(at=timezone.now() + timedelta(hours=7)) == [NONE]


def test_a_machine_that_lacks_what_others_have_says_how_much(world):
    fetch(world)
    root = world.root
    store.forget({(root.ca_record.spki_sha256, root.url)})
    forget_evidence()
    assert about_revocation() == ["revocation: this machine lacks the current CRLs of 1 CAs"]


def test_a_source_that_gave_nothing_to_any_machine_is_no_fault_of_this_one(world):
    """The console and the log say it; a balancer that took machines out for it would take out all of them."""
    world.source.answers.pop("/root.crl")
    assert refresh_crl(world.issuing).ok
    assert not refresh_crl(world.root).ok
    forget_evidence()
    assert about_revocation() == []
