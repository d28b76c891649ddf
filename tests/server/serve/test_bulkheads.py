"""Which kind of work a request is, and that one kind that is stuck or flooded leaves the others standing."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from queue import SimpleQueue

import pytest
from django.urls import reverse

from calock.server.jobs import crls, ocsp, outbox
from calock.server.jobs.all import all_jobs
from calock.server.outbox.kinds import kinds
from calock.server.process import bulkheads
from calock.server.process.bulkheads import Bulkhead, FullError
from calock.server.process.routes import bulkhead_of, is_upload, make_bulkheads, shares_of
from calock.server.sessions.cookies import known_browser_cookie
from calock.server.sessions.known_browsers import UNKNOWN


class Stuck:
    """A bulkhead all of whose threads wait for ``go``; what became of each request that was let in."""

    def __init__(self, *, threads: int, waiting: int) -> None:
        self.go = threading.Event()
        self.done: list[str] = []
        self.busy = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.bulkhead = Bulkhead("test", threads=threads, waiting=waiting)
        for number in range(threads):
            self.send(f"first {number}")
            assert self.busy.acquire(timeout=20)

    def send(self, name: str, address: str = "192.0.2.1", cookies: str = "") -> None:
        def run() -> bool:
            self.busy.release()
            self.go.wait(20)
            self.done.append(name)
            self.ended.release()
            return True

        def refuse() -> None:
            self.done.append(f"{name} refused")
            self.ended.release()

        self.bulkhead.submit(run, refuse, lambda: shares_of(address, cookies))

    def finish(self, count: int) -> list[str]:
        self.go.set()
        for _ in range(count):
            assert self.ended.acquire(timeout=20)
        return self.done


def test_what_finds_no_thread_waits_and_what_finds_no_place_is_refused_at_once():
    stuck = Stuck(threads=2, waiting=4)
    for number in range(4):
        stuck.send(f"later {number}", address=f"192.0.2.{number}")
    with pytest.raises(FullError):
        stuck.send("too many", address="192.0.2.9")
    assert sorted(stuck.finish(6)) == ["first 0", "first 1", "later 0", "later 1", "later 2", "later 3"]


def test_one_address_gets_at_most_half_of_the_places():
    stuck = Stuck(threads=1, waiting=4)
    stuck.send("a")
    stuck.send("b")
    with pytest.raises(FullError):
        stuck.send("c")
    stuck.send("d", address="192.0.2.2")
    assert sorted(stuck.finish(4)) == ["a", "b", "d", "first 0"]
    for number in range(8):  # its places are its own again
        stuck.send(f"again {number}")
        assert stuck.ended.acquire(timeout=20)


def test_one_browser_gets_at_most_half_of_the_places_from_however_many_addresses():
    stuck = Stuck(threads=1, waiting=4)
    mine, another = (f"{known_browser_cookie()}={UNKNOWN.with_account(uuid.uuid4())}" for _ in range(2))
    stuck.send("a", address="192.0.2.1", cookies=mine)
    stuck.send("b", address="192.0.2.2", cookies=mine)
    with pytest.raises(FullError):
        stuck.send("c", address="192.0.2.3", cookies=mine)
    stuck.send("d", address="192.0.2.3", cookies=another)
    stuck.send("e", address="192.0.2.4", cookies=mine[:-1] + "!")  # nobody's
    assert sorted(stuck.finish(5)) == ["a", "b", "d", "e", "first 0"]


def test_what_waited_too_long_is_refused_instead_of_done(monkeypatch):
    stuck = Stuck(threads=1, waiting=4)
    stuck.send("late")
    monkeypatch.setattr(bulkheads, "PATIENCE", -1.0)
    assert stuck.finish(2) == ["first 0", "late refused"]


def test_only_many_requests_that_come_to_nothing_keep_their_places(monkeypatch):
    rests: SimpleQueue[float] = SimpleQueue()
    monkeypatch.setattr(bulkheads, "sleep", rests.put)
    bulkhead = Bulkhead("test", threads=1, waiting=40, rest=1e9)
    for number in range(10):
        for came_to_something in (True, False):
            bulkhead.submit(lambda came=came_to_something: came, lambda: None, lambda number=number: (f"192.0.2.{number}",))
    taken = [rests.get(timeout=20) for _ in range(10)]
    assert [round(2 * rest) for rest in taken] == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert rests.empty()


def test_an_idle_bulkhead_asks_for_nobodys_address():
    bulkhead = Bulkhead("test", threads=1, waiting=1)
    ran = threading.Event()
    bulkhead.submit(ran.set, ran.set, lambda: pytest.fail("asked"))
    assert ran.wait(20)


@pytest.mark.parametrize(
    ("method", "path", "cookies", "kind"),
    [
        ("POST", "/api/login", "", "logins"),
        ("POST", "/api/challenge", "calock=x", "logins"),
        ("POST", "/api/bindings", "calock=x", "logins"),
        ("GET", "/api/site", "", "public"),
        ("POST", "/login/", "", "passwords"),
        ("POST", "/password/", "calock=x", "passwords"),
        ("POST", "/confirm/", "calock=x", "passwords"),
        ("POST", "/password/code/", "", "passwords"),
        ("GET", "/login/", "", "public"),
        ("GET", "/", "calock-pre=x", "public"),
        ("GET", "/apps/", "a=1; calock=x", "pages"),
        ("POST", "/logout/", "calock=x", "pages"),
        ("GET", "/console/", "calock=x", "console"),
        ("POST", "/oidc/token", "", "applications"),
        ("GET", "/auth/check", "calock=x", "applications"),
        ("GET", "/cas/serviceValidate", "", "applications"),
        ("GET", "/oidc/authorize", "calock=x", "pages"),
        ("GET", "/downloads/00000000-0000-0000-0000-000000000000/", "", "downloads"),
        ("GET", "/static/portal/css/base.css", "calock=x", "static"),
    ],
)
def test_each_request_has_its_kind(method, path, cookies, kind):
    assert bulkhead_of(method, path, cookies, streamed=False) == kind
    assert kind in make_bulkheads()


def test_an_upload_has_a_kind_of_its_own_and_a_place():
    assert bulkhead_of("POST", "/console/downloads/driverpackage/upload/", "calock=x", streamed=True) == "uploads"
    assert is_upload("/console/downloads/driverpackage/upload/")
    assert not is_upload("/api/login")


def test_strangers_who_guess_take_no_place_of_a_browser_that_saw_a_login_before():
    known = f"a=1; {known_browser_cookie()}={UNKNOWN.with_account(uuid.uuid4())}"
    assert bulkhead_of("POST", "/login/", known, streamed=False) == "known_passwords"
    assert bulkhead_of("POST", "/login/", known[:-1] + "!", streamed=False) == "passwords"
    first, _, rest = known.partition(":")
    assert bulkhead_of("POST", "/login/", f"{first}:{rest[::-1]}", streamed=False) == "passwords"
    assert "known_passwords" in make_bulkheads()


@pytest.mark.parametrize("around", ["{}", "{};b=2", "{} ; b=2", "a=1;{}", ";  {}", "a; {}", "x{}; {}", "a=1; " * 1000 + "{}"])
def test_a_known_browser_is_told_wherever_its_cookie_stands(around):
    browser = UNKNOWN.with_account(uuid.uuid4())
    assert shares_of("", around.replace("{}", f"{known_browser_cookie()}={browser}")) == (browser.id,)


def test_a_cookie_whose_name_only_ends_so_is_another():
    assert shares_of("", f"x{known_browser_cookie()}={UNKNOWN.with_account(uuid.uuid4())}") == ()


@pytest.mark.parametrize("name", ["login", "password", "password_code", "confirm"])
def test_every_page_that_takes_a_password_is_of_that_kind(name):
    assert bulkhead_of("POST", reverse(f"portal:{name}"), "calock=x", streamed=False) == "passwords"


def test_the_manuals_tell_a_database_how_many_connections_to_allow():
    beside = figures = 1
    process = sum(bulkhead._threads for bulkhead in make_bulkheads().values()) + beside
    fetching = crls.AT_ONCE + crls.FAILING_AT_ONCE + ocsp.AT_ONCE
    machine = len(all_jobs()) + fetching + outbox.OF_ONE * len(kinds()) + figures
    docs = Path(__file__).parents[3] / "docs"
    assert f"({process} × processes + {machine}) × machines" in (docs / "operations.md").read_text("utf-8")
    assert f"（{process} × 进程数 + {machine}）× 机器数" in (docs / "zh" / "operations.md").read_text("utf-8")
