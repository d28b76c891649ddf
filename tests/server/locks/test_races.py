"""Two who decide about one lock at once: what PostgreSQL lets cross each other. SQLite has one writer at a time."""

from __future__ import annotations

import pytest
from django.db import connection
from lock_world import USCC, binding_of, in_parallel, make_lock, make_lock_world, meanwhile

from calock.core.certificate import Certificate
from calock.server.challenges import answers
from calock.server.locks import predecessors, services
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


@pytest.fixture
def world(transactional_db, monkeypatch):
    made = make_lock_world("EC")
    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(made.evidence()))
    monkeypatch.setattr(predecessors, "current_evidence", made.evidence)
    made.evidence()  # once, not in every thread
    return made


def once(monkeypatch, module, name, *, after=None, before=None):
    """Let something happen just before or after the first call of ``module.name``, and not again."""
    real = getattr(module, name)

    def wrapped(*args, **kwargs):
        monkeypatch.setattr(module, name, real)
        if before is not None:
            before()
        result = real(*args, **kwargs)
        if after is not None:
            after()
        return result

    monkeypatch.setattr(module, name, wrapped)


# --- one key, one lock


def test_a_key_that_another_lock_took_meanwhile_is_not_bound_again(world, monkeypatch):
    """Two certificates over one key, with different lock ids: the second bind has looked, and finds no lock of that key."""
    one, two = make_lock("EC", lock_id="SX-0001", uscc=USCC), make_lock("EC", lock_id="SX-0002", uscc=USCC)
    assert one.key is two.key
    first, second = binding_of(one, world.member), binding_of(two, world.colleague)
    outcomes = []
    once(monkeypatch, services, "lock_of", after=lambda: outcomes.append(meanwhile(first)))
    assert second() == "LOCK_BOUND_TO_OTHER"
    assert outcomes == ["bound"]
    assert Binding.objects.get().account == world.member
    assert Lock.objects.count() == LockKey.objects.count() == LockCertificate.objects.count() == 1


def test_of_two_who_bind_one_key_at_once_one_wins(world):
    for number in range(8):
        pair = [make_lock("EC", number=number, lock_id=f"{letter}-{number}", uscc=USCC) for letter in "AB"]
        acts = [binding_of(lock, person) for lock, person in zip(pair, (world.member, world.colleague), strict=True)]
        assert sorted(in_parallel(acts)) == ["LOCK_BOUND_TO_OTHER", "bound"]
        key = Certificate.parse(pair[0].certificate).spki_sha256
        assert LockCertificate.objects.filter(spki_sha256=key).count() == 1
