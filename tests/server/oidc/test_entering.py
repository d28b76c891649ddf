"""What an entry asks of the database, and what is written of it: all or nothing, and nothing behind a session's end."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from worlds import races, relying
from worlds.browser import Browser, context

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.gate.models import Pass
from calock.server.grants.decide import Enter
from calock.server.grants.models import Grant, PendingRequest
from calock.server.grants.services import new_grant, open_grant, wait_for_person
from calock.server.oidc.models import Code
from calock.server.outbox.models import Message
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]


def written() -> tuple[int, ...]:
    return Grant.objects.count(), Pass.objects.count(), AuditEvent.objects.filter(event=Event.APPLICATION_ENTERED).count()


def refused(rp, made, **more) -> Reason:
    """Why somebody who goes by ``made`` is not let in now."""
    grant = new_grant(
        application=rp.application,
        session=made.session,
        entered=Enter("password", made.at),
        protocol="gate",
        context=made,
    )
    with pytest.raises(Refusal) as refusal:
        open_grant(grant, Pass.new("shown", grant=grant), answers=more.get("answers"), context=made)
    return refusal.value.reason


def test_an_entry_asks_nothing_twice_and_writes_its_rows_together(rp, by_password):
    """By password: what a lock proved asks the register too, every few seconds."""
    rp.enter(by_password)
    with CaptureQueriesContext(connection) as queries:
        code = rp.answer(by_password, scope="openid profile calock")["code"]
        token = rp.exchange(code).json()["access_token"]
        assert rp.user_info(token).status_code == 200
    frame = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SELECT JSON(")  # the last: what Django asks SQLite once in a process
    asked = [query["sql"].split()[0] for query in queries if not query["sql"].startswith(frame)]
    if connection.vendor == "postgresql":
        authorize, token_request = ["SELECT", "SELECT", "WITH"], ["SELECT", "SELECT", "SELECT", "WITH"]
    else:
        authorize, token_request = ["SELECT"] * 3 + ["INSERT"] * 3, ["SELECT"] * 3 + ["UPDATE", "INSERT"]
    assert asked == [*authorize, *token_request, "SELECT"]


def test_nothing_is_written_of_an_entry_whose_session_ended_meanwhile(rp, lock_world):
    made = context(account=lock_world.member)
    Session.objects.filter(pk=made.session.pk).update(ended_at=timezone.now())
    assert refused(rp, made) == Reason.SESSION_ENDED
    assert written() == (0, 0, 0)


def test_a_request_is_answered_once_and_still_waits_when_its_person_is_gone(rp, lock_world):
    made = context(account=lock_world.member)
    pending = wait_for_person(rp.application, "gate", {}, context=made)
    Session.objects.filter(pk=made.session.pk).update(ended_at=timezone.now())
    assert refused(rp, made, answers=pending) == Reason.SESSION_ENDED
    assert PendingRequest.objects.count() == 1
    PendingRequest.objects.all().delete()
    again = context(account=lock_world.member)
    assert refused(rp, again, answers=pending) == Reason.APPLICATION_REQUEST_OVER
    assert written() == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_whoever_ends_a_session_finds_every_entry_that_was_written_in_it(committed_lock_world):
    rp = relying.register(logout_url="https://caigou.example/ended")
    for _ in range(4):
        browser = Browser()
        session = browser.enter(committed_lock_world.member)

        def end(pk: str = session.pk) -> int:
            return end_sessions(Session.objects.filter(pk=pk), reason="test", at=timezone.now())

        races.in_parallel([*[lambda browser=browser: rp.ask(browser)] * 2, end, *[lambda browser=browser: rp.ask(browser)] * 2])
        grants = Grant.objects.filter(session=session)
        assert Code.objects.filter(grant__in=grants).count() == grants.count()
        told = Message.objects.filter(key__in=[str(grant.pk) for grant in grants])
        assert told.count() == (1 if grants.exists() else 0)
        assert rp.ask(browser).status_code == 302, "to the login"
