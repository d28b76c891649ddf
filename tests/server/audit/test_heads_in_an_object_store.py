"""Heads in an object store with lock: signed, locked for years, and read back as they first lay there."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from worlds.object_store import KEY, REGION, SECRET, Store

from calock.server.audit import heads
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.outside import objects
from calock.server.audit.outside.addresses import Key, require_place
from calock.server.audit.outside.delivery import deliver, standings
from calock.server.audit.sealing import seal_audit
from calock.server.audit.services import record
from calock.server.process.config import ConfigError, read_config

pytestmark = pytest.mark.django_db


@pytest.fixture
def store():
    server = Store()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def machine(settings, tmp_path, store):
    """``machine(name, secret=…)``: from now on this is a machine of that name, whose only place is the store."""

    def name(which, secret=SECRET):
        data = tmp_path / which
        data.mkdir(exist_ok=True)
        settings.CALOCK = replace(settings.CALOCK, data=data, heads_places=(store.place,), heads_key=Key(KEY, secret))

    name("first")
    return name


def seals(count):
    for _ in range(count):
        record(Event.SERVER_FAILED)
        assert seal_audit(at=timezone.now()) == 1


def error_of(store):
    return standings()[store.place].error


def head_key(seq):
    return f"heads/{seq:012}.json"


def test_each_head_lies_there_once_locked_for_the_days_that_are_named(machine, store):
    seals(3)
    assert (deliver(), deliver()) == (3, 0)
    machine("second")
    assert deliver() == 3  # it brings the same heads, which are there
    assert {key: len(versions) for key, versions in store.objects.items()} == {head_key(seq): 1 for seq in (1, 2, 3)}
    for [version] in store.objects.values():
        days = (datetime.fromisoformat(version.until) - datetime.now(UTC)).days
        assert (version.mode, days in (3649, 3650)) == ("COMPLIANCE", True)
    call_command("verify_audit", "--heads", store.place)
    call_command("verify_audit", "--heads", store.place, "--since", "3")


def test_what_was_first_there_counts_whatever_was_put_over_it(machine, store, capsys, monkeypatch):
    """Somebody holds database, data directory and the store's key: they make the trail anew and cover up the heads outside."""
    monkeypatch.setattr(objects, "AT_ONCE", 1)  # an answer for each version
    seals(3)
    deliver()
    last = AuditSeal.objects.order_by("-seq").first()
    AuditEvent.objects.filter(pk__gte=last.first_id)._raw_delete("default")
    last.delete()
    for file in heads.heads_files():
        file.unlink()
    seals(1)
    store.put(head_key(3), AuditSeal.objects.get(seq=3).head.encode())
    store.put(head_key(2), None)
    capsys.readouterr()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--heads", store.place)
    assert "seal 3 in the database is not the one in the heads file" in capsys.readouterr().out


def test_a_head_that_is_not_locked_counts_as_not_there_and_the_store_s_own_word_is_told(machine, store):
    store.lockable = False
    seals(1)
    assert deliver() == 0
    assert error_of(store) == "answered PUT with status 400, InvalidRequest"
    store.lockable = store.forgets_locks = True
    assert deliver() == 0
    assert "is not locked" in error_of(store)
    machine("first", secret="another")
    assert deliver() == 0
    assert error_of(store) == "answered PUT with status 403, SignatureDoesNotMatch"


def test_a_head_that_is_locked_for_less_than_the_days_that_are_named_counts_as_not_there(machine, store):
    """By the store's own rule, or because somebody with its key was there first and locked the same head for an hour."""
    soon = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    store.locks_until = soon
    seals(1)
    assert deliver() == 0
    store.locks_until = ""
    assert deliver() == 0  # it lies there, and goes on to be locked for an hour
    assert error_of(store).endswith("is locked for less than 3650 days")
    store.objects[head_key(1)] = [store.objects[head_key(1)][0]._replace(until="for ever")]
    assert deliver() == 0
    assert "until when it is locked" in error_of(store)


def test_another_head_under_a_number_is_told(machine, store):
    store.put(head_key(1), b"{}", "COMPLIANCE")
    seals(1)
    assert deliver() == 0
    assert error_of(store).endswith("holds another head")


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        (b"<html>", "cannot be read"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "cannot be read"),
        (b"<x><IsTruncated>true</IsTruncated></x>", "does not go on"),
    ],
)
def test_a_list_of_versions_that_makes_no_sense_ends_the_check(machine, store, listing, words):
    store.listing = listing
    seals(1)
    with pytest.raises(CommandError, match=words):
        call_command("verify_audit", "--heads", store.place)


@pytest.mark.parametrize(
    "address",
    [
        "s3+https://store.example/audit/heads/",
        "s3+https://store.example/audit/heads?days=3650",
        "s3+https://store.example/Audit/heads/?days=3650",
        "s3+https://store.example/audit/he%20ads/?days=3650",
        "s3+https://store.example/audit/heads/?days=0",
        "s3+https://store.example/audit/heads/?days=3650&mode=GOVERNANCE",
        "s3+https://store.example/audit/heads/?days=3650&days=1",
        "s3+https://key@store.example/audit/heads/?days=3650",
        "s3+https:///audit/heads/?days=3650",
    ],
)
def test_an_address_that_is_none_of_an_object_store_stops_the_start(address):
    with pytest.raises(ValueError, match="object store"):
        require_place(address, token=False, key=True)


def test_the_key_is_two_lines_of_a_file_and_is_asked_for(monkeypatch, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n{SECRET}\n")
    monkeypatch.setenv("CALOCK_AUDIT_HEADS", f"s3+https://store.example/audit/heads/?region={REGION}&days=3650")
    with pytest.raises(ConfigError, match="an object store wants CALOCK_AUDIT_HEADS_S3_KEY_FILE"):
        read_config()
    monkeypatch.setenv("CALOCK_AUDIT_HEADS_S3_KEY_FILE", str(file))
    assert read_config().heads_key == Key(KEY, SECRET)
    assert SECRET not in repr(read_config())
    file.write_text(json.dumps({"id": KEY, "secret": SECRET}).replace(" ", ""))
    with pytest.raises(ConfigError, match="which is not two lines"):
        read_config()
