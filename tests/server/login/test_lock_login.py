"""Logging in with a lock: who gets in, and what exactly stops everybody else."""

from __future__ import annotations

import pytest
from lock_world import HOST, Browser, make_lock

from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding
from calock.server.sessions import cookies
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def bound(world, lock, member=None):
    browser = Browser()
    browser.enter(world.admin)
    answer = browser.bind(lock, member or world.member)
    assert answer.status_code == 200, answer.content.decode()
    return Binding.objects.get(pk=answer.json()["binding"]["id"])


@pytest.mark.parametrize("algorithm", ["SM2", "EC", "RSA"])
def test_a_bound_lock_lets_its_account_in(lock_world, algorithm):
    lock = make_lock(algorithm)
    bound(lock_world, lock)
    browser = Browser()
    answer = browser.log_in(lock, provider=lock.family.provider)
    assert answer.status_code == 200, answer.content.decode()
    session = Session.objects.get(digest=cookies.digest(browser.client.cookies[cookies.session_cookie()].value))
    assert session.account == lock_world.member
    assert session.method == "ca"
    row = AuditEvent.objects.get(event="login:ca:succeeded")
    assert (row.actor, row.lock, row.provider) == (lock_world.member.pk, session.lock_id, lock.family.provider)
    assert HOST  # the challenge was signed for this host
