"""``calock demo`` as a person runs it: start, look, plug, stop, start again, start over."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest
from serving import free_port

from calock.demo import ports
from calock.demo.mail_source import Box, Web
from calock.demo.place import Place
from calock.demo.story import story

COMMAND = [sys.executable, "-c", "import sys; from calock.demo.command import main; sys.exit(main(sys.argv[1:]))"]


OF_A_REAL_SERVER = {
    "CALOCK_SECRET_KEY_FILE": "/etc/calock/secret.key",
    "CALOCK_AUDIT_HEADS": "a place outside",
    "CALOCK_EGRESS_PROXY": "http://127.0.0.1:9",
}
"""What the shell of its operator may say: with any of it the practice world would not come to be."""


def run(root, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **OF_A_REAL_SERVER, "CALOCK_DATA": str(root)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)


def rows(root, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(root / "calock.sqlite3") as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """One world for the tests that only look at it, made where a build before was interrupted."""
    root = tmp_path_factory.mktemp("demo") / "data"
    root.mkdir()
    (root / "calock-demo.json").write_text(json.dumps({"version": 1, "made": ""}))
    (root / "calock.sqlite3").write_bytes(b"half a database")
    done = run(root, "--prepare-only", "--no-packages")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def test_prepare_makes_a_whole_world_with_one_real_binding_also_where_a_build_was_interrupted(prepared):
    assert rows(prepared, "select count(*) from accounts_account") == [(7,)]
    assert rows(prepared, "select count(*) from locks_binding where unbound_at is null") == [(3,)]
    assert rows(prepared, "select count(*) from audit_auditevent where event = 'binding:lock:added'") == [(3,)]
    assert rows(prepared, "select count(*) from providers_revocationsource where last_error != '' or this_update is null") == [(0,)]


def test_a_second_run_keeps_everything(prepared):
    before = rows(prepared, "select id, password from accounts_account order by id")
    locks = {path.name: path.read_bytes() for path in (prepared / "demo" / "locks").rglob("*.lock")}
    done = run(prepared, "--prepare-only", "--no-packages")
    assert done.returncode == 0, done.stderr
    assert rows(prepared, "select id, password from accounts_account order by id") == before
    assert {path.name: path.read_bytes() for path in (prepared / "demo" / "locks").rglob("*.lock")} == locks


def test_plug_and_unplug(prepared):
    assert "已拔出" in run(prepared, "unplug", "sm2").stdout
    assert "○ sm2" in run(prepared, "locks").stdout
    assert "已经是这样" in run(prepared, "unplug", "sm2").stdout
    assert "已插入" in run(prepared, "plug", "sm2").stdout
    assert "● sm2" in run(prepared, "locks").stdout
    assert run(prepared, "plug", "nonsense").returncode == 2


@pytest.mark.parametrize("more", [[], ["--prepare-only"], ["--reset"], ["--reset", "--prepare-only"]])
def test_a_directory_of_somebody_else_is_left_as_it_is(tmp_path, more):
    (tmp_path / "letters.txt").write_text("mine")
    done = run(tmp_path, "--no-packages", *more)
    assert done.returncode == 1
    assert "nothing there was touched" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    assert (tmp_path / "letters.txt").read_text() == "mine"


@pytest.mark.parametrize("port", ["99999", "-5", "x"])
def test_a_port_that_is_none_is_refused(tmp_path, port):
    done = run(tmp_path / "data", "--port", port)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert not (tmp_path / "data").exists()


def test_what_it_tells_people_to_type_means_the_same_world(tmp_path):
    assert Place(Path(".calock").resolve()).words == "demo"
    elsewhere = Place(tmp_path / "练习 1")
    assert elsewhere.words == f"demo --data '{tmp_path}/练习 1'"
    said = story(
        elsewhere,
        port=8000,
        driver_port=16180,
        command="calock",
        applications=["http://caigou.localhost:8791/"],
        mailbox="http://127.0.0.1:8794/",
    )
    for typed in ("unplug sm2", "plug sm2", "--reset"):
        assert f"calock {elsewhere.words} {typed}" in said
    assert f"calock {elsewhere.words}` makes one" in run(elsewhere.root, "locks").stderr


class Running:
    """A demonstration in a process of its own, read until it tells its story."""

    def __init__(self, root, port: int) -> None:
        environment = {**os.environ, "CALOCK_DATA": str(root)}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        words = ["--no-packages", "--port", str(port)]
        self.process = subprocess.Popen(
            [*COMMAND, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self.said = ""

    def read_until(self, words: str, seconds: float = 120) -> str:
        deadline = time.monotonic() + seconds
        assert self.process.stdout is not None
        while words not in self.said:
            assert time.monotonic() < deadline, self.said
            ready, _, _ = select.select([self.process.stdout], [], [], 1.0)
            if ready:
                chunk = os.read(self.process.stdout.fileno(), 65536)
                assert chunk, self.said
                self.said += chunk.decode("utf-8", "replace")
        return self.said

    def interrupt(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)  # as Ctrl-C does
        return self.process.wait(60)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_it_runs_tells_its_story_and_stops_whole(prepared):
    demo = Running(prepared, free_port())
    try:
        said = demo.read_until("start over")
        site = re.search(r"http://shanxi\.localhost:(\d+)/", said)
        driver = re.search(r"driver +127\.0\.0\.1:(\d+)", said)
        assert site
        assert driver
        port, driver_port = int(site[1]), int(driver[1])
        for host in (f"shanxi.localhost:{port}", f"zcy.localhost:{port}", f"127.0.0.1:{port}"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host})
            assert urllib.request.urlopen(request).status == 200
        headers = {"Origin": f"http://zcy.localhost:{port}", "Content-Type": "application/json", "X-Calock": "1"}
        ask = urllib.request.Request(f"http://127.0.0.1:{driver_port}/v1/locks", b"{}", headers)
        assert len(json.load(urllib.request.urlopen(ask))["locks"]) == 12
        other = run(prepared, "--prepare-only", "--no-packages")
        assert (other.returncode, "already runs" in other.stderr) == (1, True)
    finally:
        status = demo.interrupt()
    assert status == 0
    assert not listening(port)
    assert not listening(driver_port)
    notes = json.loads((prepared / "calock-demo.json").read_text("utf-8"))
    assert not listening(int(notes["crl_base"].rstrip("/").rpartition(":")[2]))


def test_a_taken_port_gives_way_to_another_and_killed_hard_it_leaves_nothing_listening(prepared):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = Running(prepared, taken.getsockname()[1])
        said = demo.read_until("start over")
        port = int(re.search(r"http://shanxi\.localhost:(\d+)/", said)[1])
        assert port != taken.getsockname()[1]
    if sys.platform != "linux":  # only there children are told that their parent died
        demo.interrupt()
        return
    demo.process.kill()
    demo.process.wait()
    deadline = time.monotonic() + 60
    while listening(port):
        assert time.monotonic() < deadline
        select.select([], [], [], 0.1)


def test_two_that_start_together_are_given_different_ports():
    """Neither listens yet, and both servers would be let onto one port, to get every other request of the other's pages."""
    assert ports.free_port(first := ports.free_port(0)) != first


def test_the_practice_mailbox_shows_a_mail_of_an_unknown_charset_and_takes_nothing_from_a_web_page(tmp_path):
    box = Box(tmp_path)
    box.keep(b"Subject: x\r\nContent-Type: text/plain; charset=nope\r\n\r\nhello\r\n", "eml")
    assert "hello" in box.page()
    with Web(box, 0) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        sms, page = json.dumps({"to": "13812345678", "text": "文"}).encode(), {"Origin": "https://other.example"}
        assert _posted(web.address, sms, {}) == 200
        assert _posted(web.address, sms, page) == 400
        assert _posted(web.address, b"[" * 16_000, {}) == 400
        web.shutdown()
    assert len(list(tmp_path.glob("*.sms"))) == 1


def _posted(address: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
            return answer.status
    except HTTPError as refused:
        return refused.code
