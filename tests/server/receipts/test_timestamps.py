"""An outside authority's time over the trail: a real RFC 3161 exchange, refusals, and honest words where there is none."""

from __future__ import annotations

import subprocess
import threading
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from django.utils import timezone

from calock.core.receipts.archive import pack, unpack
from calock.core.receipts.verify import verify_receipt
from calock.core.refusals import Refusal
from calock.demo.timestamp_source import TimestampSource, make_authority
from calock.server.audit.sealing import seal_audit
from calock.server.audit.services import Event, record
from calock.server.egress.decisions import add_destination
from calock.server.jobs.outbox import Delivery
from calock.server.outbox.models import Message
from calock.server.receipts import timestamps
from calock.server.receipts.models import Timestamp
from calock.server.receipts.services import file_of
from calock.server.receipts.timestamps import ask_for_timestamp

pytestmark = pytest.mark.django_db


@pytest.fixture
def authority(tmp_path):
    make_authority(tmp_path / "tsa")
    source = TimestampSource(tmp_path / "tsa")
    threading.Thread(target=source.serve_forever, daemon=True).start()
    yield source
    source.shutdown()
    source.server_close()


@pytest.fixture
def stamped(authority, made, settings):
    """A function that lets an hour's round happen; the receipt came before it."""
    receipt = made()
    settings.CALOCK = replace(settings.CALOCK, timestamp_ca=authority.folder / "ca.pem")
    add_destination(purpose="timestamp", url=authority.address, private_network=True, by=None, context=None)

    def go(at: datetime | None = None) -> int:
        record(Event.LIST_EXPORTED)  # life goes on: the stamped head is a later one
        seal_audit(at=timezone.now())
        asked = ask_for_timestamp(at=at or timezone.now())
        (message,) = Message.objects.waiting() if asked else (None,)
        if message is not None:
            timestamps.stamp_newest_head(message)
            Message.objects.all().delete()
        return asked

    return receipt, go


def test_a_stamp_an_hour_covers_the_receipts_below_it_and_openssl_checks_it(stamped, tmp_path):
    receipt, go = stamped
    assert "NO_EXTERNAL_TIME" in verify_receipt(file_of(receipt, names={})).notes
    assert go() == 1
    assert go() == 0
    assert go(datetime.now(UTC) + timedelta(hours=2)) == 1
    assert Timestamp.objects.count() == 2
    file = file_of(receipt, names={})
    assert "NO_EXTERNAL_TIME" not in verify_receipt(file).notes
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(BytesIO(file)) as archive:
        archive.extractall(folder)
    line = next(line for line in (folder / "核验说明.txt").read_text().splitlines() if "openssl ts -verify" in line)
    done = subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "audit/stamped-head.json").write_text("another")
    assert subprocess.run(["bash", "-ec", line], cwd=folder, capture_output=True, check=False).returncode != 0
    parts = unpack(file)
    for name in ("timestamp.tsr", "timestamp-ca.pem", "audit/later-heads.jsonl", "audit/stamped-head.json"):
        with pytest.raises(Refusal, match=f"RECEIPT_ALTERED: {name}"):
            verify_receipt(pack({**parts, name: parts[name][:-1] + bytes([parts[name][-1] ^ 1])}))


def test_a_stamp_holds_by_the_ca_of_its_day_when_another_one_follows(stamped, authority, tmp_path):
    receipt, go = stamped
    assert go() == 1
    make_authority(tmp_path / "next")
    ca = authority.folder / "ca.pem"
    ca.write_bytes((tmp_path / "next" / "ca.pem").read_bytes())
    for place in ("replaced", "deleted"):
        with zipfile.ZipFile(BytesIO(file_of(receipt, names={}))) as archive:
            archive.extractall(tmp_path / place)
        guide = (tmp_path / place / "核验说明.txt").read_text()
        line = next(line for line in guide.splitlines() if "openssl ts -verify" in line)
        done = subprocess.run(["bash", "-ec", line], cwd=tmp_path / place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        ca.unlink(missing_ok=True)


def test_a_stamp_of_another_ca_or_of_another_time_is_not_taken(stamped, authority, tmp_path, settings, monkeypatch):
    _, go = stamped
    make_authority(tmp_path / "other")
    settings.CALOCK = replace(settings.CALOCK, timestamp_ca=tmp_path / "other" / "ca.pem")
    with pytest.raises(RuntimeError, match="does not hold"):
        go()
    settings.CALOCK = replace(settings.CALOCK, timestamp_ca=authority.folder / "ca.pem")
    monkeypatch.setattr(timestamps, "TOLERANCE", timedelta(seconds=-1))
    with pytest.raises(RuntimeError, match="clock"):
        timestamps.stamp_newest_head(Message())
    assert not Timestamp.objects.exists()


def test_an_authority_that_is_away_or_talks_rubbish_is_asked_again_and_nobody_waits(stamped, authority, monkeypatch):
    receipt, _ = stamped
    for rubbish in (b"", b"\x30\x03\x02\x01\x00", b"x" * 4000):
        monkeypatch.setattr(authority, "reply", lambda _query, rubbish=rubbish: rubbish)
        with pytest.raises(RuntimeError, match="no time-stamp"):
            timestamps.stamp_newest_head(Message())
    assert "NO_EXTERNAL_TIME" in verify_receipt(file_of(receipt, names={})).notes


def test_without_an_authority_nothing_is_asked(made, settings):
    made()
    assert ask_for_timestamp(at=timezone.now()) == 0
    assert Delivery().tick() == 0
