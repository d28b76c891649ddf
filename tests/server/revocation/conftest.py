from __future__ import annotations

import shutil

import pytest
from worlds.revocation import CrlWorld, live_source

from calock.server.revocation import manifest, ocsp_cache
from calock.server.revocation.evidence import forget_evidence
from calock.server.revocation.live import forget_failures


@pytest.fixture(autouse=True)
def _empty_store():
    """Every test starts with a machine that has fetched nothing."""
    for place in (manifest.directory(), ocsp_cache.directory()):
        shutil.rmtree(place, ignore_errors=True)
    forget_evidence()
    forget_failures()
    yield
    forget_evidence()


@pytest.fixture
def source():
    with live_source() as server:
        yield server


@pytest.fixture
def world(db, source):
    return CrlWorld(source)


@pytest.fixture
def sm2_world(db, source):
    return CrlWorld(source, "SM2")
