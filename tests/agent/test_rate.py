"""How often one page may ask."""

from __future__ import annotations

from calock.agent.rate import MAX_KEYS, TokenBucket


def test_a_burst_then_a_rate_per_key() -> None:
    now = [0.0]
    bucket = TokenBucket(burst=3, per_second=1.0, clock=lambda: now[0])
    assert [bucket.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take("b")
    now[0] = 1.0
    assert [bucket.take("a") for _ in range(2)] == [True, False]
    now[0] = 100.0
    assert [bucket.take("a") for _ in range(4)] == [True, True, True, False]


def test_memory_is_bounded() -> None:
    bucket = TokenBucket(burst=1, per_second=0.1)
    for number in range(10 * MAX_KEYS):
        bucket.take(str(number))
    assert len(bucket._levels) <= MAX_KEYS
