"""The fixed corpus of the bundle's fuzz targets, and simple damage to it, in every test run."""

from __future__ import annotations

import random

import pytest
from fuzz.bundle_targets import CORPUS, SEEDS, TARGETS

SEED = 20261122


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


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_and_damage(name):
    chance = random.Random(SEED)
    seeds = sorted((CORPUS / SEEDS[name]).iterdir())
    assert seeds
    for path in seeds:
        TARGETS[name](path.read_bytes())
        for _ in range(300):
            TARGETS[name](damaged(path.read_bytes(), chance))
