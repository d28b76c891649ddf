"""Heads leave the machine by every way that is named, and what lies outside tells what somebody took away inside."""

from __future__ import annotations

import re
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from calock.server.audit import heads
from calock.server.audit.canonical import new_number
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.outside import delivery
from calock.server.audit.outside.delivery import deliver, standings
from calock.server.audit.sealing import seal_audit
from calock.server.audit.services import record
from calock.server.console.trust_notices import server_notices
from calock.server.jobs import readiness

pytestmark = pytest.mark.django_db


def seals(count):
    for _ in range(count):
        record(Event.SERVER_FAILED)
        assert seal_audit(at=timezone.now()) == 1


@pytest.fixture
def places(settings, tmp_path):
    """``places(address, …)`` names them on a machine that is new."""
    data = tmp_path / "data"
    data.mkdir()

    def name(*addresses, token=""):
        settings.CALOCK = replace(settings.CALOCK, data=data, heads_places=addresses, heads_token=token)

    return name


class Web(BaseHTTPRequestHandler):
    """Objects that are written once, and a log of lines at /log."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        there = self.headers["If-None-Match"] == "*" and self.path in self.server.objects
        if not there:
            self.server.objects[self.path] = body
        self.server.asked.append(("PUT", self.headers.get("Authorization")))
        self.answer(412 if there else 201)

    def do_POST(self):
        self.server.objects[self.path] = self.server.objects.get(self.path, b"") + self.rfile.read(
            int(self.headers["Content-Length"])
        )
        self.answer(204)

    def do_GET(self):
        body = self.server.objects.get(self.path)
        self.answer(404 if body is None else 200, body or b"")

    def answer(self, status, body=b""):
        self.send_response(self.server.always or status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def web():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.objects, server.asked, server.always = {}, [], 0
    server.address = f"http://127.0.0.1:{server.server_port}"
    with running(server):
        yield server


def cut_off_the_tail():
    """What somebody does who may write to database and data directory."""
    last = AuditSeal.objects.order_by("-seq").first()
    AuditEvent.objects.filter(pk__gte=last.first_id)._raw_delete("default")
    last.delete()


@pytest.mark.parametrize("where", ["folder", "file", "objects", "lines"])
def test_a_place_gets_every_head_once_and_tells_what_is_gone_inside(places, web, tmp_path, capsys, where):
    (tmp_path / "worm").mkdir()
    address = {
        "folder": f"file://{tmp_path}/worm/", "file": f"file://{tmp_path}/worm/heads",
        "objects": f"{web.address}/heads/", "lines": f"{web.address}/log",
    }[where]  # fmt: skip
    places(address)
    seals(2)
    assert (deliver(), deliver()) == (2, 0)
    seals(1)
    assert deliver() == 1
    call_command("verify_audit", "--heads", address)
    cut_off_the_tail()
    for file in (tmp_path / "data").glob("audit-heads-2*"):
        file.unlink()
    seals(1)  # another one in its place: the chain inside is whole again
    assert deliver() == 0
    capsys.readouterr()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--heads", address)
    assert "seal 3 in the database is not the one in the heads file" in capsys.readouterr().out


class Counted(socketserver.StreamRequestHandler):
    """RFC 6587 clause 3.4.1: the length of a message, a blank, the message."""

    def handle(self):
        while length := self.rfile.read(1):
            while (octet := self.rfile.read(1)) != b" ":
                length += octet
            self.server.got.append(self.rfile.read(int(length)))


class Whole(socketserver.DatagramRequestHandler):
    def handle(self):
        self.server.got.append(self.packet)


@pytest.fixture(params=["udp", "tcp", "unix"])
def log_server(request, tmp_path):
    if request.param == "tcp":
        server = socketserver.TCPServer(("127.0.0.1", 0), Counted)
        server.address = f"syslog+tcp://127.0.0.1:{server.server_address[1]}"
    elif request.param == "udp":
        server = socketserver.UDPServer(("127.0.0.1", 0), Whole)
        server.address = f"syslog+udp://127.0.0.1:{server.server_address[1]}"
    else:
        server = socketserver.UnixDatagramServer(str(tmp_path / "log"), Whole)
        server.address = f"syslog+unix://{tmp_path}/log"
    server.got = []
    with running(server):
        yield server


def test_a_log_server_gets_messages_of_rfc_5424_and_its_log_is_a_copy_of_the_heads(places, log_server, tmp_path, capsys):
    places(log_server.address)
    seals(3)
    assert deliver() == 3
    until(lambda: len(log_server.got) == 3)
    assert all(re.fullmatch(rb"<109>1 \S+T\S+Z \S+ calock \d+ audit-head - {.*}", message) for message in log_server.got)
    log = tmp_path / "syslog"
    log.write_bytes(b"<13>1 - - cron - - - another line {\n" + b"\n".join(log_server.got) + b"\n")
    call_command("verify_audit", "--heads", str(log))
    cut_off_the_tail()
    with pytest.raises(CommandError):
        call_command("verify_audit", "--heads", str(log))
    assert "seal 3 (rows" in capsys.readouterr().out


def until(holds):
    for _ in range(1000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")


def test_a_place_that_is_away_keeps_no_other_from_its_heads_is_told_and_gets_them_when_it_is_back(places, web, tmp_path):
    nowhere = tmp_path / "later" / "heads"
    places(f"file://{nowhere}", f"{web.address}/log")
    seals(2)
    assert deliver() == 2
    assert standings()[f"file://{nowhere}"].away_since
    warning = "warning: audit: heads do not arrive at 1 of 2 places outside"
    assert warning in readiness.problems()
    told = [notice for notice in server_notices([], timezone.now()) if notice.code == "audit_place_away"]
    assert [str(nowhere) in notice.detail for notice in told] == [True]
    nowhere.parent.mkdir()
    seals(1)
    assert deliver() == 4
    assert warning not in readiness.problems()
    call_command("verify_audit", "--heads", str(nowhere))
    call_command("verify_audit", "--heads", f"{web.address}/log")


class Endless(BaseHTTPRequestHandler):
    """Never ends its answer, nor breaks it off."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        begin, piece, pause = {
            "/flood": (b"HTTP/1.1 201 Created\r\n\r\n", b"x" * 65536, 0),
            "/octets": (b"HTTP/1.1 201 Created\r\n\r\n", b"x", 0.02),
            "/before-the-answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
        }[self.path]
        try:
            self.wfile.write(begin)
            while not threading.Event().wait(pause):
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True

    def log_message(self, *args):
        pass


class Broken(Endless):
    """Ends its answer in the middle of a piece."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nx")


@pytest.mark.parametrize(
    ("handler", "path", "seconds", "error"),
    [
        (Endless, "/flood", 30, "answered POST with more than 65536 octets"),
        (Endless, "/octets", 0.2, "timed out|not done within 0.4 s"),
        (Endless, "/before-the-answer", 0.2, "timed out|not done within 0.4 s"),
        (Broken, "/pieces", 30, "no answer of HTTP: IncompleteRead"),
    ],
)
def test_a_place_whose_answer_has_no_end_is_away_and_keeps_no_other_from_its_heads(
    places, tmp_path, monkeypatch, handler, path, seconds, error
):
    monkeypatch.setattr(delivery, "PATIENCE", seconds)
    monkeypatch.setattr(delivery, "SECONDS", seconds)
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as hostile:
        first = f"http://127.0.0.1:{hostile.server_port}{path}"
        places(first, f"file://{tmp_path}/heads")
        seals(2)
        assert deliver() == 2
    assert re.fullmatch(error, standings()[first].error)
    assert standings()[first].away_since
    assert len((tmp_path / "heads").read_text().splitlines()) == 2


def test_a_slow_place_keeps_what_it_took_and_gets_the_rest_in_later_runs(places, web, monkeypatch):
    monkeypatch.setattr(delivery, "PATIENCE", 0.0)
    objects, lines = f"{web.address}/heads/", f"{web.address}/log"
    places(objects, lines)
    seals(3)
    assert [deliver() for _ in range(4)] == [1 + 3, 1, 1, 0]
    assert len(web.objects["/log"].splitlines()) == 3
    for address in (objects, lines):
        assert not standings()[address].away_since
        call_command("verify_audit", "--heads", address)


def test_a_machine_that_lost_its_memory_or_is_a_second_one_brings_all_again_and_no_other_head_is_accepted(places, web):
    address = f"{web.address}/heads/"
    places(address)
    seals(2)
    assert deliver() == 2
    (heads.heads_path(timezone.now()).parent / "audit-heads-outside.json").write_text("{")
    assert deliver() == 2
    call_command("verify_audit", "--heads", address)
    web.objects["/heads/000000000002.json"] = b"{}"
    (heads.heads_path(timezone.now()).parent / "audit-heads-outside.json").unlink()
    assert (deliver(), deliver()) == (1, 0)
    assert "holds another head" in standings()[address].error


@pytest.mark.parametrize("status", [301, 403, 500])
def test_an_http_place_that_does_not_take_a_head_is_away_whatever_it_says(places, web, status):
    web.always = status
    places(f"{web.address}/heads/")
    seals(1)
    assert deliver() == 0
    assert standings()[f"{web.address}/heads/"].error == f"answered PUT with status {status}"


def test_a_token_is_sent(places, web):
    places(f"{web.address}/heads/", token="t0ken")
    seals(1)
    deliver()
    assert web.asked == [("PUT", "Bearer t0ken")]


def test_half_a_line_in_a_place_that_cannot_be_shortened_is_ended_and_the_head_comes_again(places, tmp_path):
    file = tmp_path / "heads"
    places(f"file://{file}")
    seals(1)
    file.write_bytes(b'{"at":"2026-11-2')
    assert deliver() == 1
    assert len(file.read_text().splitlines()) == 2
    call_command("verify_audit", "--heads", str(file))


def test_what_is_no_place_to_read_from_is_said(places, tmp_path):
    seals(1)
    for place, words in (("syslog+udp://logs.example", "cannot be read back"), (str(tmp_path / "none"), "no such file")):
        with pytest.raises(CommandError, match=words):
            call_command("verify_audit", "--heads", place)


def test_only_what_came_since_a_seal_a_row_or_a_day_is_looked_at_when_asked(places, capsys):
    places()
    seals(4)
    row = AuditEvent.objects.order_by("pk")[2]
    first = AuditEvent.objects.order_by("pk")[0]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET reason = 'x' WHERE id = %s", [first.pk])
    for since, rows in (("3", 2), (row.number, 2), (f"{timezone.localtime() + timedelta(days=1):%Y-%m-%d}", 0)):
        call_command("verify_audit", "--since", since)
        assert f"whole: {rows} rows since seal" in capsys.readouterr().out
    for since in ("1", first.number, f"{timezone.localtime():%Y-%m-%d}"):
        with pytest.raises(CommandError):
            call_command("verify_audit", "--since", since)
    with pytest.raises(CommandError, match="no day such as"):
        call_command("verify_audit", "--since", "yesterday")
    with pytest.raises(CommandError, match="there is no audit row"):
        call_command("verify_audit", "--since", new_number(timezone.now()))
