"""R8: a revoked lock is out within a minute, added up by running the jobs themselves on a clock of the test's."""

from __future__ import annotations

import pytest
from revocation_source import CrlWorld, conditional, session_with

from calock.server.jobs.all import all_jobs
from calock.server.jobs.runner import Job
from calock.server.providers.fetch import PEEK

PROMISE = 60.0
STEP = 1.0


class Machine:
    """The runner, second by second: each job at its period, and when it is woken if ``wakes``.

    The sweep comes before the fetch of the same second: nothing is gained by a lucky order.
    """

    def __init__(self, *, wakes: bool) -> None:
        self.now = 1000.0
        self.wakes = wakes
        jobs = {job.name: job for job in all_jobs(clock=lambda: self.now)}
        self.jobs: list[Job] = [jobs["sessions"], jobs["ocsp"], jobs["crl"]]
        self.next = dict.fromkeys(jobs, self.now)

    def step(self) -> None:
        for job in self.jobs:
            if self.next[job.name] <= self.now or (self.wakes and job.wake.is_set()):
                job.wake.clear()
                self.next[job.name] = self.now + job.every
                job.run()
                if job.finish:
                    job.finish()
        self.now += STEP

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.step()


def with_validators(world, source, body):
    source.answers["/issuing.crl"] = conditional(body)


def without_validators(world, source, body):
    source.serve("/issuing.crl", body)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wakes", [True, False], ids=["woken", "by-the-clock-alone"])
@pytest.mark.parametrize(
    ("publish", "entries"),
    [
        pytest.param(with_validators, 0, id="etag"),
        pytest.param(without_validators, 0, id="small"),
        pytest.param(without_validators, 2000, id="large-without-etag"),
    ],
)
def test_r8_whenever_a_lock_is_revoked_its_sessions_are_over_within_the_promised_minute(source, publish, entries, wakes):
    world = CrlWorld(source)
    session = session_with(world, world.leaf, "one")
    machine = Machine(wakes=wakes)
    worst = 0.0
    for moment_in_the_period in range(0, 36, 7):
        publish(world, source, world.crl(entries=entries))
        machine.run(PROMISE)
        type(session).objects.update(ended_at=None, end_reason="")
        machine.run(moment_in_the_period)
        session.refresh_from_db()
        assert session.ended_at is None
        body = world.crl(reason="keyCompromise", entries=entries)
        assert (len(body) > PEEK) == bool(entries)
        publish(world, source, body)
        revoked = machine.now
        while session.ended_at is None and machine.now < revoked + 2 * PROMISE:
            machine.step()
            session.refresh_from_db()
        worst = max(worst, machine.now - revoked)
    assert worst <= PROMISE
    assert session.end_reason == "certificate revoked"
