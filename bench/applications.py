"""What standing on the login costs the server: one entry into an application, and the end of 1,000 sessions.

Run: ``python bench/applications.py [--entries N] [--sessions N]``. In process and on SQLite as ``login.py``, beside a CA login in
the same run: CPU milliseconds of authorize, token and userinfo for somebody who is logged in. Then sessions that each entered an
application end at once, and the job that sends what waits tells a receiver on this computer: seconds until the last one heard.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import logging
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from login import answers, bind, call, environ, known_browser, publish, timed  # sets Django up

# isort: split
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.utils import timezone
from worlds.browser import context, session_of
from worlds.locks import make_lock_world
from worlds.practice import PracticeLock, make_lock
from worlds.revocation import live_source

from calock.server.applications.installation import install_application
from calock.server.applications.models import Application
from calock.server.grants.decide import Enter
from calock.server.grants.services import new_grant
from calock.server.jobs.outbox import Delivery
from calock.server.jobs.runner import Job, Runner
from calock.server.outbox.models import Message
from calock.server.sessions.cookies import session_cookie
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions
from calock.server.tools.digests import digest

ROUNDS = 50
CALLBACK, SECRET = "https://caigou.example/callback", "calock-" + "s" * 43
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def register(**changed: Any) -> Application:
    return install_application({
        "site": "shanxi", "client_id": "caigou", "name": "项目采购", "protocols": ["oidc"], "audience": ["supplier"],
        "redirect_uris": [CALLBACK], "auth_method": "client_secret_basic", "secrets": [digest(SECRET)], **changed,
    })  # fmt: skip


def ask(application: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[str, bytes, dict[str, str]]:
    """One request: status, body, headers."""
    where, _, query = path.partition("?")
    given = environ(where, body, headers.pop("cookie", ""))
    given.pop("HTTP_ORIGIN")
    given |= {"REQUEST_METHOD": method, "QUERY_STRING": query, "CONTENT_TYPE": "application/x-www-form-urlencoded"}
    given |= {f"HTTP_{name.upper()}": value for name, value in headers.items()} | {"wsgi.input": io.BytesIO(body)}
    seen: list[Any] = []
    answer = application(given, lambda status, sent: seen.extend((status, sent)))
    text = b"".join(answer)
    answer.close()
    return seen[0], text, dict(seen[1])


def enter(application: Any, cookie: str) -> None:
    """Authorize, token, userinfo."""
    query = urlencode({
        "response_type": "code", "client_id": "caigou", "redirect_uri": CALLBACK, "scope": "openid profile calock", "state": "s",
        "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    })  # fmt: skip
    status, text, headers = ask(application, "GET", f"/oidc/authorize?{query}", cookie=cookie)
    assert status.startswith("303"), (status, text[:500])
    (code,) = parse_qs(urlsplit(headers["Location"]).query)["code"]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    basic = base64.b64encode(f"caigou:{SECRET}".encode()).decode()
    status, text, _ = ask(application, "POST", "/oidc/token", urlencode(body).encode(), authorization=f"Basic {basic}")
    assert status.startswith("200"), (status, text)
    bearer = json.loads(text)["access_token"]
    status, text, _ = ask(application, "GET", "/oidc/userinfo", authorization=f"Bearer {bearer}")
    assert status.startswith("200"), (status, text)


def logged_in(application: Any, lock: PracticeLock, cookie: str) -> str:
    """The session cookie of a login."""
    text = json.loads(call(application, "/api/challenge", b'{"purpose":"login"}', cookie)[1])["challenge"]
    status, told, headers = call(application, "/api/login", answers(lock, [text])[0], cookie)
    assert status.startswith("200"), told
    sent = [value.split(";")[0].strip() for name, value in headers if name.lower() == "set-cookie"]
    (found,) = [value for value in sent if value.partition("=")[0] == session_cookie()]
    return found


def entry_beside_login(application: Any, lock: PracticeLock, count: int) -> None:
    """One table: a CA login (challenge and answer), an entry, and their ratio, each the best of 50 short rounds in turns.

    Short, so that some of them fall where nobody else wants the processor.
    """
    cookie = known_browser(application, lock)
    session = logged_in(application, lock, cookie)
    print(f"CPU ms, one process, SQLite, best of {ROUNDS} × {count}")
    print(f"{'ID token':<10}{'login':>8}{'entry':>8}{'entry / login (goal 2.5)':>26}")
    for algorithm in ("RS256", "ES256"):
        register(id_token_alg=algorithm)
        enter(application, session)
        login = entry = float("inf")
        for _ in range(ROUNDS):
            one = [b'{"purpose":"login"}'] * count
            issued = timed(application, "/api/challenge", one, cookie)
            texts = [json.loads(call(application, "/api/challenge", one[0], cookie)[1])["challenge"] for _ in range(count)]
            login = min(login, issued + timed(application, "/api/login", answers(lock, texts), cookie))
            start = time.process_time()
            for _ in range(count):
                enter(application, session)
            entry = min(entry, (time.process_time() - start) * 1000 / count)
        print(f"{algorithm:<10}{login:>8.2f}{entry:>8.2f}{entry / login:>26.2f}", flush=True)


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


def end_of_many(account: Any, count: int) -> None:
    """Sessions of one account, each in one application; they end together, and the job of one machine tells them all."""
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{receiver.server_address[1]}/ended"
    row = register(logout_url=address, logout_private=True)
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
    assert not Message.objects.filter(done_at__isnull=True).exists()
    spent = time.process_time() - cpu
    print(f"{count} sessions ended in {ended:.1f} s; the last application heard after {taken:.1f} s (goal 60), {spent:.1f} CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=8)
    parser.add_argument("--sessions", type=int, default=1000)
    chosen = parser.parse_args()
    logging.disable(logging.INFO)  # what the job says of each turn
    call_command("migrate", verbosity=0)
    world = make_lock_world("EC")
    lock = make_lock("EC", lock_id="B-EC")
    with live_source() as source:
        publish(world.families, source)
        bind(world, lock)
        entry_beside_login(WSGIHandler(), lock, chosen.entries)
        end_of_many(world.colleague, chosen.sessions)


if __name__ == "__main__":
    main()
