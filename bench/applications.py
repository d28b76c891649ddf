# ruff: noqa: E402 - the path comes first
"""What standing on the login costs the server: one entry into an application, and the end of 1,000 sessions.

Run: ``python bench/applications.py [--entries N] [--rounds N] [--sessions N]``. A PostgreSQL of its own and one server process: CPU
milliseconds of both for authorize, token and userinfo of people who are logged in, beside their CA logins, in turns in the same
run, every request on a new connection. Then sessions that each entered an application end at once, and the job that sends what
waits tells a receiver on this computer: seconds until the last one heard.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from measuring import PEOPLE, Cost, Goals, Logins, chosen, database, machine_without_jobs, ratio, turns, use_this_checkout

use_this_checkout()
from field import Field
from visitors import Visitor

if TYPE_CHECKING:
    from machines import Replica

GOAL = 2.5
"""At most so many CA logins."""
CALLBACK, SECRET = "https://caigou.example/callback", "calock-" + "s" * 43
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ALGORITHMS = ("RS256", "ES256")


def register(client_id: str, **changed: Any) -> Any:
    from calock.server.applications.installation import install_application  # noqa: PLC0415 - the field sets Django up
    from calock.server.tools.digests import digest  # noqa: PLC0415

    return install_application({
        "site": "shanxi", "client_id": client_id, "name": "项目采购", "protocols": ["oidc"], "audience": ["supplier"],
        "redirect_uris": [CALLBACK], "auth_method": "client_secret_basic", "secrets": [digest(SECRET)], **changed,
    })  # fmt: skip


def call(visitor: Visitor, method: str, path: str, authorization: str, body: str = "") -> Any:
    """A request of the application's own server: without cookies, on a connection of its own."""
    headers = {"Host": visitor.origin.removeprefix("http://"), "Authorization": authorization}
    headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=30)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {text[:300]!r}")
    return json.loads(text)


def enter(visitor: Visitor, client_id: str) -> None:
    """Authorize, token, userinfo."""
    query = urlencode({
        "response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "scope": "openid profile calock", "state": "s",
        "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    })  # fmt: skip
    reply = visitor.get(f"/oidc/authorize?{query}")
    if reply.status != 303:
        raise SystemExit(f"authorize: {reply.status} {reply.body[:300]!r}")
    (code,) = parse_qs(urlsplit(reply.headers["location"]).query)["code"]
    body = urlencode({"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER})
    basic = base64.b64encode(f"{client_id}:{SECRET}".encode()).decode()
    bearer = call(visitor, "POST", "/oidc/token", f"Basic {basic}", body)["access_token"]
    told = call(visitor, "GET", "/oidc/userinfo", f"Bearer {bearer}")
    assert told["lock"]["x5t#S256"], told


class Entries:
    """People who are logged in by their locks and enter one application again and again, all at once."""

    def __init__(self, machine: Replica, people: list[Any]) -> None:
        self._visitors = [Visitor(machine.port) for _ in people]
        self._pool = ThreadPoolExecutor(len(people))
        for visitor, person in zip(self._visitors, people, strict=True):
            reply = visitor.log_in(person.lock)
            if reply.status != 200:
                raise SystemExit(f"a login: {reply.status} {reply.body[:300]!r}")

    def run(self, client_id: str, count: int) -> None:
        def some(visitor: Visitor) -> None:
            for _ in range(count // len(self._visitors)):
                enter(visitor, client_id)

        list(self._pool.map(some, self._visitors))


def entry_beside_login(field: Field, goals: Goals, count: int, rounds: int) -> None:
    """One table: a CA login (challenge and answer), and an entry with each kind of ID token, in turns."""
    machine, people = machine_without_jobs(field), field.people[:PEOPLE]
    for algorithm in ALGORITHMS:
        register(algorithm.lower(), id_token_alg=algorithm)
    logins, entries = Logins(machine.port, people), Entries(machine, people)
    runs: dict[str, Callable[[int], None]] = {
        "login": logins.run,
        **{name: partial(entries.run, name.lower()) for name in ALGORITHMS},
    }
    for run in runs.values():
        run(count)
    servers, postgresql = machine.children(), database(field)
    costs = {name: Cost([lambda: servers, postgresql], run) for name, run in runs.items()}
    found = turns({name: partial(cost.of, count) for name, cost in costs.items()}, rounds)
    machine.stop()
    print(f"CPU ms of one server process and PostgreSQL, least of {rounds} x {count}; the ratio is the median of the turns'")
    for name, values in found.items():
        ours, theirs = (min(part[place] for part in costs[name].parts) for place in (0, 1))
        what = "CA login" if name == "login" else f"entry, {name}"
        told = f"{what:<14}{min(values):>6.2f} (server {ours:.2f}, PostgreSQL {theirs:.2f})"
        against = ratio(values, found["login"])
        print(told if name == "login" else f"{told}, / login {against:.2f}   {goals.at_most(against, GOAL)}", flush=True)


class Receiver(ThreadingHTTPServer):
    """An application that hears of logouts; counts them."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[float] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.heard.append(time.monotonic())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def end_of_many(account: Any, goals: Goals, count: int) -> None:
    """Sessions of one account, each in one application; they end together, and the job of one machine tells them all."""
    from django.utils import timezone  # noqa: PLC0415 - the field sets Django up
    from worlds.browser import context, session_of  # noqa: PLC0415

    from calock.server.grants.decide import Enter  # noqa: PLC0415
    from calock.server.grants.services import new_grant  # noqa: PLC0415
    from calock.server.jobs.outbox import Delivery  # noqa: PLC0415
    from calock.server.jobs.runner import Job, Runner  # noqa: PLC0415
    from calock.server.outbox.models import Message  # noqa: PLC0415
    from calock.server.sessions.models import Session  # noqa: PLC0415
    from calock.server.sessions.services import end_sessions  # noqa: PLC0415

    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{receiver.server_address[1]}/ended"
    row = register("tuichu", logout_url=address, logout_private=True)
    made, now = context(), timezone.now()
    for _ in range(count):
        session, _value = session_of(account, made)
        entry = new_grant(application=row, session=session, entered=Enter("password", now), protocol="oidc", context=made)
        entry.save(force_insert=True)
    delivery = Delivery()
    runner = Runner([Job("outbox", 2.0, delivery.tick, delivery.wait, delivery.more)])
    began, cpu = time.monotonic(), time.process_time()
    end_sessions(Session.objects.filter(account=account), reason="bench", at=now + timedelta(seconds=1))
    ended = time.monotonic() - began
    thread = threading.Thread(target=runner.run, kwargs={"alive": lambda: len(receiver.heard) < count})
    thread.start()
    thread.join()
    delivery.wait()
    taken = max(receiver.heard) - began
    heard = goals.at_most(taken, 60.0)
    assert not Message.objects.filter(done_at__isnull=True).exists()
    spent = time.process_time() - cpu
    print(f"{count} sessions ended in {ended:.1f} s; the last application heard after {taken:.1f} s, {spent:.1f} CPU s   {heard}")


def main() -> int:
    asked = chosen(entries=40, rounds=15, sessions=1000)
    logging.disable(logging.INFO)  # what the job says of each turn
    field, goals = Field("postgresql"), Goals()
    try:
        entry_beside_login(field, goals, asked.entries, asked.rounds)
        end_of_many(field.world.colleague, goals, asked.sessions)
    finally:
        field.close()
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
