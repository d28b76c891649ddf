"""The fixed corpus of every fuzz target, and simple damage to it, in every test run: a value or a refusal, never anything else."""

from __future__ import annotations

import random

import pytest
from fuzz.driver import targets

SEED = 20261122
DAMAGED = 40
"""Of each file; ``make fuzz`` tries a hundred thousand."""


def damaged(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place, kind = chance.randrange(len(out)), chance.randrange(3)
        if kind == 0:
            out[place] = chance.randrange(256)
        elif kind == 1:
            del out[place : place + chance.randrange(1, 9)]
            out = out or bytearray(b"\0")
        else:
            out[place:place] = chance.randbytes(chance.randrange(1, 9))
    return bytes(out)


@pytest.mark.parametrize("name", targets())
def test_corpus_and_damage(name: str) -> None:
    chance, target = random.Random(SEED), targets()[name]
    assert target.seeds
    for path in target.seeds:
        data = path.read_bytes()
        target.run(data)
        for _ in range(DAMAGED):
            target.run(damaged(data, chance))
