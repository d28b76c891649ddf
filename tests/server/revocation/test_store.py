"""The store of a machine: what it forgets, what it never forgets, and what no disk can do to it."""

from __future__ import annotations

import os
import shutil
import time
from datetime import timedelta

import pytest
from worlds.revocation import HOUR, moment

from calock.core.refusals import Reason
from calock.server.providers.models import RevocationSource
from calock.server.revocation import manifest, store
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.health import Health, HeldHere, health_of, held_here
from calock.server.revocation.manifest import directory, read_manifest
from calock.server.revocation.refresh import forget_removed_sources, refresh_crl

pytestmark = pytest.mark.django_db


def left_behind(name: str, *, hours: float = 2.0) -> os.PathLike:
    path = directory() / name
    path.write_bytes(b"x")
    aged(path, hours)
    return path


def aged(path, hours: float = 2.0) -> None:
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def revoked_here(world) -> bool:
    forget_evidence()
    offers = current_evidence().crls_for(world.path[1])
    return any(offer.crl.lookup(world.leaf.serial) is not None for offer in offers)


def test_what_nothing_names_any_more_goes_after_minutes_and_a_new_crl_counts_all_the_same(world):
    refresh_crl(world.issuing)
    aged(directory() / "flights")
    old = [left_behind(name) for name in ("a.idx", "b.crl", ".new-1")]
    young = left_behind("c.idx", hours=0.01)
    foreign = left_behind("README")
    world.publish(reason="keyCompromise")
    outcome = refresh_crl(world.issuing)
    assert (outcome.error, outcome.changed, world.issuing.last_error) == ("", True, "")
    assert [path.exists() for path in old] == [False] * 3
    assert young.exists()
    assert foreign.exists()
    assert (directory() / "flights").is_dir()
    assert revoked_here(world)


def test_what_counts_stays_however_old_it_is(world):
    refresh_crl(world.issuing)
    for path in directory().iterdir():
        aged(path)
    assert store.sweep_files() == 0
    assert held_here(world.issuing) is HeldHere.SAME


def test_one_file_that_cannot_be_deleted_costs_nobody_his_crl(world, monkeypatch):
    stuck, other = left_behind("a.idx"), left_behind("b.idx")
    real = os.unlink

    def unlink(path, *args, **named):
        if os.fspath(path) == os.fspath(stuck):
            raise PermissionError(13, "Permission denied")
        real(path, *args, **named)

    monkeypatch.setattr(os, "unlink", unlink)
    assert refresh_crl(world.issuing).changed
    assert world.issuing.last_error == ""
    assert stuck.exists()
    assert not other.exists()


def test_nothing_is_deleted_while_the_manifest_cannot_be_believed(world):
    refresh_crl(world.issuing)
    (directory() / "manifest").write_bytes(b"nonsense")
    stale = left_behind("a.idx")
    assert store.sweep_files() == 0
    assert stale.exists()


def test_a_store_that_cannot_be_opened_is_the_sources_error(world, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifest.Path, "mkdir", full)
    outcome = refresh_crl(world.issuing)
    assert "No space left" in outcome.error
    assert "No space left" in world.issuing.last_error


def reset_row(world) -> None:
    """What somebody can do who writes to the database."""
    rows = RevocationSource.objects.filter(pk=world.issuing.pk)
    rows.update(this_update=None, next_update=None, crl_number="", sha256="", last_error="")


@pytest.mark.parametrize(
    "older",
    [
        pytest.param(lambda now: {"number": 5}, id="number"),
        pytest.param(lambda now: {"this_update": now - 3 * HOUR}, id="thisUpdate"),
        pytest.param(lambda now: {"number": None}, id="no-number"),
    ],
)
@pytest.mark.parametrize("removed", [False, True])
def test_an_older_crl_is_refused_also_when_the_row_was_reset_or_taken_away_and_put_back(world, older, removed):
    world.publish(reason="keyCompromise")
    refresh_crl(world.issuing)
    if removed:
        row = world.issuing
        row.delete()
        forget_removed_sources()
        row.pk = None
        row.this_update = row.next_update = None
        row.crl_number = row.sha256 = ""
        row.save(force_insert=True)
    else:
        reset_row(world)
    world.publish(world.crl(**older(moment())))
    outcome = refresh_crl(world.issuing)
    assert outcome.reason is Reason.REVOCATION_UNTRUSTED
    assert "seen before" in world.issuing.last_error
    assert revoked_here(world) is not removed  # without its source the CRL does not count; the older one does not either


def test_the_row_still_protects_when_the_files_are_lost(world):
    world.publish(reason="keyCompromise")
    refresh_crl(world.issuing)
    shutil.rmtree(directory())
    world.publish(world.crl(number=5))
    assert "seen before" in refresh_crl(world.issuing).error


def test_after_a_reset_of_the_row_the_newest_is_taken_and_the_row_right_again(world):
    refresh_crl(world.issuing)
    reset_row(world)
    assert held_here(world.issuing) is HeldHere.NEWER
    assert refresh_crl(world.issuing).changed
    assert world.issuing.this_update is not None
    assert held_here(world.issuing) is HeldHere.SAME


def test_what_this_machine_holds_of_what_the_row_speaks_of(world):
    assert held_here(world.issuing) is HeldHere.NONE
    refresh_crl(world.issuing)
    assert held_here(world.issuing) is HeldHere.SAME
    kept = shutil.copytree(directory(), directory().with_name("crl-of-this-machine"))
    world.publish(world.crl(this_update=moment() - timedelta(minutes=1)))
    assert refresh_crl(world.issuing).changed  # on another machine
    here = directory()
    shutil.rmtree(here)
    kept.rename(here)
    assert held_here(world.issuing) is HeldHere.OLDER
    index = next(directory().glob("*.idx"))
    index.write_bytes(index.read_bytes()[:-1])
    assert held_here(world.issuing) is HeldHere.NONE
    assert held_here(RevocationSource(kind="ocsp", ca_record=world.issuing.ca_record, url="http://x/")) is None


@pytest.mark.parametrize("conditional", [False, True])
def test_a_crl_that_ended_and_is_served_unchanged_is_an_error(world, source, conditional):
    """The operator's page must not be green while everybody is refused."""
    body = world.crl(next_update=moment() + HOUR)

    def answer(handler):
        if conditional and handler.headers.get("If-None-Match"):
            handler.send(b"", status=304)
        else:
            handler.send(body, ETag='"1"')

    source.answers["/issuing.crl"] = answer
    assert refresh_crl(world.issuing).ok
    assert refresh_crl(world.issuing).ok
    late = moment() + 2 * HOUR
    for peek in (False, True):
        outcome = refresh_crl(world.issuing, at=late, peek=peek)
        assert outcome.reason is Reason.REVOCATION_STALE
        assert world.issuing.last_error.startswith("the source serves a CRL that ended at")
    assert health_of(world.issuing, at=late).health is Health.EXPIRED


def test_the_trouble_is_over_when_the_good_crl_is_back(world, source):
    body = world.publish()
    refresh_crl(world.issuing)
    world.publish(body[:-1])
    assert not refresh_crl(world.issuing).ok
    assert len(read_manifest().troubles) == 1
    world.publish(body)
    assert refresh_crl(world.issuing).ok
    assert read_manifest().troubles == ()
