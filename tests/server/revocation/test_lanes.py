"""Lanes of background work: none waits for what another one is waiting for."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from calock.server.jobs.lanes import Lanes


def test_a_lane_that_waits_keeps_none_waiting_and_gets_no_more_threads_than_it_may_have():
    lanes, over, at_it = Lanes("test", at_once=3, of_one=2), threading.Event(), threading.Semaphore(0)

    def slow():
        at_it.release()
        over.wait(20)

    first = [lanes.put("slow", slow) for _ in range(4)]
    assert at_it.acquire(timeout=20)
    assert at_it.acquire(timeout=20)
    for _ in range(5):
        lanes.put("quick", lambda: None).result(20)
    assert not any(work.done() for work in first)
    over.set()
    for work in first:
        work.result(20)


def test_lanes_take_turns():
    lanes, go, done = Lanes("test", at_once=1, of_one=1), threading.Event(), []
    lanes.put("first", lambda: go.wait(20))
    waiting = [lanes.put(lane, partial(done.append, lane)) for lane in "aaabbc"]
    go.set()
    for work in waiting:
        work.result(20)
    assert done == ["a", "b", "c", "a", "b", "a"]


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(2)], ids=repr)
def test_work_that_fails_says_so_and_ends_no_lane(error):
    lanes = Lanes("test", at_once=1, of_one=1)

    def fails():
        raise error

    failed = lanes.put("a", fails)
    lanes.put("a", lambda: None).result(20)
    assert failed.exception(20) is error
