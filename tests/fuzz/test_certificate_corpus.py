"""The fixed corpus of the certificate, answer, challenge and policy targets, and simple damage to it, in every test run."""

from __future__ import annotations

import random

import pytest
from fuzz.certificate_targets import CORPUS, TARGETS
from fuzz.test_bundle_corpus import SEED, damaged


@pytest.mark.parametrize("name", TARGETS)
def test_corpus_and_damage(name):
    chance = random.Random(SEED)
    seeds = sorted((CORPUS / name).iterdir())
    assert seeds
    for path in seeds:
        TARGETS[name](path.read_bytes())
        for _ in range(150):
            TARGETS[name](damaged(path.read_bytes(), chance))
