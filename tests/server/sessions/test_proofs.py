"""What a person proved in a session counts as long as what they proved it with is good."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone
from worlds.browser import logged_in
from worlds.practice import make_lock

from calock.server.providers.models import Provider
from calock.server.providers.services import suspend_provider
from calock.server.sessions.models import Session
from calock.server.sessions.services import add_proof, forget_proofs

pytestmark = pytest.mark.django_db


@pytest.fixture
def proved(lock_world) -> Session:
    """A session that a password opened, and in which a lock proved its person a moment ago."""
    browser, lock = logged_in(lock_world.member), make_lock()
    assert browser.bind(lock, lock_world.member).status_code == 200
    assert browser.step_up(lock).status_code == 200
    return Session.objects.get(proved_lock__isnull=False)


def test_a_proof_that_was_forgotten_since_the_request_began_does_not_come_back(proved):
    forget_proofs(Session.objects.all())
    assert proved.lock_proved_at is not None  # the request's own copy
    with transaction.atomic():
        add_proof(session=proved, lock_id=None, at=timezone.now())
    row = Session.objects.get(pk=proved.pk)
    assert (row.lock_proved_at, row.proved_lock) == (None, None)
    assert row.password_proved_at is not None
    assert row.is_intact()


def test_what_a_lock_proved_counts_no_longer_once_its_ca_is_not_recognised(lock_world, proved):
    provider = Provider.objects.get(code="lianxi-sm2")
    assert suspend_provider(provider=provider, reason="通报", by=lock_world.operator, context=None) == 0
    row = Session.objects.get(pk=proved.pk)
    assert (row.ended_at, row.lock_proved_at, row.proved_lock) == (None, None, None)
    assert row.is_intact()
