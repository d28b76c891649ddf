"""R8: a revoked lock is out within a minute, added up by running the jobs themselves on a clock of the test's."""

from __future__ import annotations

import pytest
from worlds.revocation import CrlWorld, conditional, session_with

from calock.server.egress.fetch import PEEK
from calock.server.jobs.all import all_jobs
from calock.server.jobs.runner import Job
from calock.server.locks.models import LockCertificate, RevokedCertificate

PROMISE = 60.0
STEP = 1.0


class Machine:
    """The runner, second by second: each job at its period, and when it is woken if ``wakes``.

    No lucky order helps: the sweep comes before the fetch of the same second, and whoever looks at the clock does so a little after
    whoever looked before.
    """

    def __init__(self, *, wakes: bool) -> None:
        self.now = 1000.0
        self.wakes = wakes
        jobs = {job.name: job for job in all_jobs(clock=self._clock)}
        self.jobs: list[Job] = [jobs["sessions"], jobs["ocsp"], jobs["crl"]]
        self.next = dict.fromkeys(jobs, self.now)

    def _clock(self) -> float:
        self.now += 0.001
        return self.now

    def step(self) -> None:
        for job in self.jobs:
            if self.next[job.name] <= self.now or (self.wakes and job.wake.is_set()):
                job.wake.clear()
                self.next[job.name] = self.now + job.every
                job.run()
                if job.finish:
                    job.finish()
        self.now += STEP

    def step_until(self, done) -> float:
        """Seconds until ``done``, twice the promise at most."""
        start = self.now
        while not done() and self.now < start + 2 * PROMISE:
            self.step()
        return self.now - start


def with_validators(source, body):
    source.answers["/issuing.crl"] = conditional(body)


def without_validators(source, body):
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
    """The worst moment to be revoked: just after its CA's source was looked at. The sweep may stand anywhere in its period then.

    Each second later that it comes is one more to wait: looked at are its first and its last.
    """
    world = CrlWorld.installed(source)
    session = session_with(world, world.leaf, "one")
    machine = Machine(wakes=wakes)
    sweep = machine.jobs[0]

    def over() -> bool:
        session.refresh_from_db()
        return session.ended_at is not None

    def looks() -> int:
        return source.asked.count("GET /issuing.crl")

    waited = []
    for place in (0.0, sweep.every - STEP):
        publish(source, world.crl(entries=entries))
        for _ in range(2):  # the good one is taken in, and looked at once more
            before = looks()
            machine.step_until(lambda before=before: looks() > before)
        type(session).objects.update(ended_at=None, end_reason="")
        LockCertificate.objects.update(revoked_at=None)  # it is final: only a test takes it back, to look at the next moment
        RevokedCertificate.objects.all().delete()
        machine.next["sessions"] = machine.now + place
        body = world.crl(reason="keyCompromise", entries=entries)
        assert (len(body) > PEEK) == bool(entries)
        publish(source, body)
        waited.append(machine.step_until(over))
        assert session.end_reason == "certificate revoked"
    assert max(waited) <= PROMISE
    assert min(waited) > 20  # it was the worst moment
