"""The fixed corpus of the fuzz targets, and simple damage to it, in every test run: a value or a refusal, never anything else."""

from __future__ import annotations

import random

import pytest
from fuzz.revocation_targets import CORPUS, SEEDS, TARGETS

SEED = 20261122


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_and_damage(name):
    chance = random.Random(SEED)
    seeds = sorted((CORPUS / SEEDS[name]).iterdir())
    assert seeds
    for path in seeds:
        data = path.read_bytes()
        TARGETS[name](data)
        for _ in range(150):
            changed = bytearray(data)
            for _ in range(chance.randrange(1, 4)):
                place = chance.randrange(len(changed))
                kind = chance.randrange(3)
                if kind == 0:
                    changed[place] = chance.randrange(256)
                elif kind == 1:
                    del changed[place : place + chance.randrange(1, 9)]
                    changed = changed or bytearray(b"\0")
                else:
                    changed[place:place] = chance.randbytes(chance.randrange(1, 9))
            TARGETS[name](bytes(changed))
