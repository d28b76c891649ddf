from __future__ import annotations

import shutil

import pytest
from worlds.kept import kept
from worlds.revocation import CrlWorld, held_port, install_ca, live_source

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
    with live_source(held_port()) as server:
        yield server


kept_ca = kept(install_ca)
kept_each_ca = kept(install_ca, params=["EC", "SM2"])


@pytest.fixture
def world(kept_ca, db, source):
    return CrlWorld(source, kept_ca())


@pytest.fixture
def each_world(kept_each_ca, db, source):
    return CrlWorld(source, kept_each_ca())
