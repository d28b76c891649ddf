"""Who runs the jobs: a fault in one stops no other and ends no loop, one runner a machine, and a wake that is not lost."""

from __future__ import annotations

import json
import tempfile
import threading
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command

from calock.server.jobs import owner
from calock.server.jobs import runner as runner_module
from calock.server.jobs.runner import Job, Runner, states_file


@pytest.mark.django_db(transaction=True)
def test_a_job_that_fails_runs_again_and_disturbs_no_other():
    ran = threading.Semaphore(0)
    failed = threading.Semaphore(0)

    def fails():
        failed.release()
        raise RuntimeError("broken")

    runner = Runner([Job("good", 0.01, ran.release), Job("bad", 0.01, fails)])
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        for _ in range(3):
            assert ran.acquire(timeout=20)
            assert failed.acquire(timeout=20)
    finally:
        runner.stop.set()
        thread.join(20)
    states = json.loads(states_file().read_text())
    assert states["bad"]["lastError"] == "RuntimeError: broken"
    assert states["good"]["failures"] == 0


@contextmanager
def running(*jobs: Job):
    runner = Runner(jobs)
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        yield runner
    finally:
        runner.stop.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_f4_a_full_disk_ends_no_job_and_its_end_is_enough(monkeypatch):
    """What a job's run is written down with may fail as well: the next run comes all the same, and is written down again."""
    ran, refused, full = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
    real = tempfile.mkstemp

    def mkstemp(*args, **named):
        if full.is_set():
            refused.release()
            raise OSError(28, "No space left on device")
        return real(*args, **named)

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    with running(Job("sessions", 0.01, ran.release)):
        assert ran.acquire(timeout=20)
        full.set()
        for _ in range(3):
            assert refused.acquire(timeout=20)
        stuck = states_file().read_text()
        full.clear()
        while ran.acquire(blocking=False):
            pass
        for _ in range(3):
            assert ran.acquire(timeout=20)
    assert states_file().read_text() != stuck
    assert json.loads(states_file().read_text())["sessions"]["lastError"] == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [SystemExit(2), MemoryError(), KeyboardInterrupt(), RecursionError("x")], ids=repr)
def test_f4_nothing_that_a_job_raises_ends_its_loop(error):
    ran = threading.Semaphore(0)

    def fails():
        ran.release()
        raise error

    with running(Job("bad", 0.01, fails)):
        for _ in range(3):
            assert ran.acquire(timeout=20)


@pytest.mark.django_db(transaction=True)
def test_f4_nothing_that_writing_it_down_raises_ends_the_loop_either(monkeypatch):
    ran = threading.Semaphore(0)

    def broken():
        raise RuntimeError("broken")

    monkeypatch.setattr(runner_module, "close_old_connections", broken)
    monkeypatch.setattr(Runner, "_replace_states", lambda _: broken())
    job = Job("any", 0.01, lambda: None)
    real = Runner.once

    def once(self, job):
        ran.release()
        real(self, job)

    monkeypatch.setattr(Runner, "once", once)
    with running(job):
        for _ in range(3):
            assert ran.acquire(timeout=20)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_woken_runs_now_and_a_wake_during_a_run_is_not_lost():
    started, go = threading.Semaphore(0), threading.Semaphore(0)

    def run():
        started.release()
        go.acquire(timeout=20)

    job = Job("sessions", 3600.0, run)
    with running(job):
        assert started.acquire(timeout=20)
        job.wake.set()  # while it runs: what woke it may have come after it looked
        go.release()
        assert started.acquire(timeout=20)
        go.release()
        job.wake.set()
        assert started.acquire(timeout=20)
        go.release()
        assert not started.acquire(timeout=0.3)  # once for each time


@pytest.mark.django_db(transaction=True)
def test_one_runner_a_machine_and_the_second_takes_over():
    first_ran, second_ran = threading.Event(), threading.Event()
    first, second = Runner([Job("a", 5, first_ran.set)]), Runner([Job("b", 5, second_ran.set)])
    threads = [threading.Thread(target=first.run), threading.Thread(target=second.run)]
    threads[0].start()
    try:
        assert first_ran.wait(20)
        threads[1].start()
        assert not second_ran.wait(0.3)
        first.stop.set()
        assert second_ran.wait(20)
    finally:
        first.stop.set()
        second.stop.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.parametrize("command", ["refresh_revocation", "jobs"])
def test_a_command_run_as_another_user_leaves_no_files_that_the_server_cannot_read(db, monkeypatch, command):
    monkeypatch.setattr(owner.os, "geteuid", lambda: 12345)
    with pytest.raises(CommandError, match="sudo -u"):
        call_command(command)
