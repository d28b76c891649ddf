# ruff: noqa: E402, E501, PLC0415 - the environment and Django come first
"""What one CA login costs the server: CPU milliseconds in process, beside a bare handler that does the same work by hand.

Run: ``python bench/login.py [--logins N] [--algorithms SM2 EC RSA]``. No network and no HTTP parser: both are called as WSGI
applications. Ours is the whole application with every middleware; the bare handler reads JSON, opens the challenge, judges the
answer with the same register and CRLs, and writes the same rows by hand-written sqlite3, with no framework at all.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
DATA = tempfile.TemporaryDirectory(prefix="calock-bench-")
os.environ.update(CALOCK_DATA=DATA.name, CALOCK_INSECURE_HTTP="1", DJANGO_SETTINGS_MODULE="calock.server.process.settings")
os.environ.pop("DATABASE_URL", None)
import django

django.setup()

from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.utils import timezone
from worlds.browser import context
from worlds.locks import LockWorld, make_lock_world
from worlds.practice import HOST, ORIGIN, Family, PracticeLock, make_lock
from worlds.revocation import live_source

from calock.core import challenge as core_challenge
from calock.core.challenge import Purpose
from calock.core.decision.verify import VerificationInputs, verify_token
from calock.core.statement import Statement, moment
from calock.server.audit.events import Event
from calock.server.audit.services import build
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.locks.services import bind_lock
from calock.server.providers.models import CaRecord, RevocationSource, SourceKind
from calock.server.providers.trust import current_register
from calock.server.revocation.evidence import current_evidence
from calock.server.revocation.refresh import refresh_crl
from calock.server.tools.keys import key_for
from calock.wire.token import parse_token

CSRF = "x" * 32


def publish(families: list[Family], source: Any) -> None:
    """Serve each CA's CRL on loopback and fetch it into the store, as the jobs process does."""
    from datetime import timedelta

    now = timezone.now()
    for family in families:
        for authority in (family.root, family.issuing):
            path = f"/{authority.key.spki_sha256}.crl"
            source.serve(path, authority.crl([], this_update=now - timedelta(minutes=5), next_update=now + timedelta(hours=9)))
            row = RevocationSource(ca_record=CaRecord.objects.get(spki_sha256=authority.key.spki_sha256), kind=SourceKind.CRL)
            row.url, row.private_network = source.url(path), True
            row.save()
            refresh_crl(row)


def bind(world: LockWorld, lock: PracticeLock) -> None:
    made = context(account=world.member)
    text = issue_challenge(aim=Aim(Purpose.BIND, member=world.member.pk, provider=lock.family.provider), context=made).text
    bind_lock(
        member=world.member, provider=lock.family.provider, challenge=text, token=json.dumps(lock.sign(text)).encode(),
        device=None, by=world.member, context=made,
    )  # fmt: skip


def environ(path: str, body: bytes, cookie: str) -> dict[str, Any]:
    host, port = HOST.split(":")
    return {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": host, "SERVER_PORT": port, "HTTP_HOST": HOST,
        "HTTP_ORIGIN": ORIGIN, "HTTP_USER_AGENT": "bench", "HTTP_COOKIE": cookie, "HTTP_X_CSRFTOKEN": CSRF, "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.multithread": False, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip


def call(application: Any, path: str, body: bytes, cookie: str) -> tuple[str, bytes, list[tuple[str, str]]]:
    seen: list[Any] = []
    answer = application(environ(path, body, cookie), lambda status, headers: seen.extend((status, headers)))
    text = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return seen[0], text, seen[1]


class Bare:
    """The same login without a framework: what the application is measured against."""

    def __init__(self) -> None:
        from django.db import connection

        self.db = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.ready = context(browser="b" * 64)

    def __call__(self, given: dict[str, Any], start: Any) -> list[bytes]:
        body = json.loads(given["wsgi.input"].read())
        token = parse_token(json.dumps(body["token"]).encode())
        now = timezone.now()  # the same checks in the same order
        bound = "\x1f".join(("login", "shanxi", "b" * 64, "", "", "")).encode()
        opened = core_challenge.open_challenge(
            body["challenge"],
            purpose="login",
            statement=lambda at: Statement("login", "shanxi", ORIGIN, moment(at)),
            context=bound,
            key=key_for("challenge"),
            now=now,
        )
        setting = VerificationInputs(current_register(), now, current_evidence(), site="shanxi")
        verdict = verify_token(token, setting, origin=ORIGIN, challenge=body["challenge"])
        verdict.require()
        assert verdict.issuer is not None
        assert verdict.certificate is not None
        self.rows(opened, verdict.issuer.spki_sha256, verdict.certificate.serial_hex, str(now))
        start("200 OK", [("Content-Type", "application/json")])
        return [b'{"next":"/apps/"}']

    def rows(self, opened: Any, issuer: str, serial: str, now: str) -> None:
        from calock.server.login.store import FIND

        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO challenges_spentchallenge VALUES (?, ?)", (opened.digest, str(opened.expires_at)))
        found = self.db.execute(FIND.replace("%s", "?"), ("", opened.digest, issuer, serial)).fetchone()
        session = (os.urandom(32).hex(), found[6], "shanxi", "ca", found[1], "127.0.0.1", "bench", now, now, now, now, "")
        self.db.execute(
            "INSERT INTO calock_sessions_session (digest, account_id, site, method, lock_id, ip, user_agent, created_at, last_seen_at,"
            " expires_at, authenticated_at, end_reason) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", session,
        )  # fmt: skip
        row = build(Event.LOGIN_CA_SUCCEEDED)
        self.db.execute(
            "INSERT INTO audit_auditevent (number, at, event, reason, site, provider, user_agent, details, mac)"
            " VALUES (?,?,?,?,?,?,?,?,?)", (row.number, now, row.event, "", "", "", "", "{}", row.mac),
        )  # fmt: skip
        self.db.execute("COMMIT")


def timed(application: Any, path: str, bodies: list[bytes], cookie: str) -> float:
    """CPU milliseconds per call."""
    start = time.process_time()
    for body in bodies:
        status, text, _ = call(application, path, body, cookie)
        if not status.startswith("200"):
            raise SystemExit(f"{path}: {status} {text.decode()[:300]}")
    return (time.process_time() - start) * 1000 / len(bodies)


def answers(lock: PracticeLock, texts: list[str]) -> list[bytes]:
    return [json.dumps({"challenge": text, "token": lock.sign(text)}).encode() for text in texts]


def bare_challenges(count: int) -> list[str]:
    made = context(browser="b" * 64)
    return [issue_challenge(aim=Aim(Purpose.LOGIN), context=made)[0] for _ in range(count)]


@contextmanager
def without_receipts() -> Iterator[None]:
    """Logins that record nothing and insert no receipt: what keeping one costs is the difference."""
    from calock.server.locks import answers as judging
    from calock.server.login import services
    from calock.server.receipts.drafts import Draft

    kept = vars(judging)["draft_of"], vars(services)["receipt_of"], vars(services)["insert_together"]
    nothing = Draft("login", b"", b"", "0" * 64, "")
    try:
        vars(judging)["draft_of"] = lambda *_, **__: nothing
        vars(services)["receipt_of"] = lambda *_, **__: None
        vars(services)["insert_together"] = lambda rows: kept[2]([row for row in rows if row is not None])
        yield
    finally:
        vars(judging)["draft_of"], vars(services)["receipt_of"], vars(services)["insert_together"] = kept


def known_browser(application: WSGIHandler, lock: PracticeLock) -> str:
    """The cookies of a browser in which the account logged in before, as most logins have them."""
    _, text, headers = call(application, "/api/challenge", b'{"purpose":"login"}', f"csrftoken={CSRF}")
    pre = next(value.split(";")[0] for name, value in headers if name == "Set-Cookie" and "calock-pre" in value)
    cookie = f"csrftoken={CSRF}; {pre}"
    _, _, headers = call(application, "/api/login", answers(lock, [json.loads(text)["challenge"]])[0], cookie)
    known = next(value.split(";")[0] for name, value in headers if name == "Set-Cookie" and "calock-known" in value)
    return f"{cookie}; {known}"


def measure(application: WSGIHandler, bare: Bare, lock: PracticeLock, count: int) -> tuple[float, float, float, float]:
    """(challenge, login, the same without its receipt, bare login), each the best of three rounds, in CPU milliseconds."""
    cookie = known_browser(application, lock)
    best = [float("inf")] * 4
    for _ in range(5):
        best[0] = min(best[0], timed(application, "/api/challenge", [b'{"purpose":"login"}'] * count, cookie))
        for place, way in ((1, nullcontext()), (2, without_receipts())):
            texts = [
                json.loads(call(application, "/api/challenge", b'{"purpose":"login"}', cookie)[1])["challenge"]
                for _ in range(count)
            ]
            with way:
                best[place] = min(best[place], timed(application, "/api/login", answers(lock, texts), cookie))
        best[3] = min(best[3], timed(bare, "/api/login", answers(lock, bare_challenges(count)), ""))
    return best[0], best[1], best[2], best[3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logins", type=int, default=200)
    parser.add_argument("--algorithms", nargs="+", default=["SM2", "EC", "RSA"], choices=["SM2", "EC", "RSA"])
    chosen = parser.parse_args()
    call_command("migrate", verbosity=0)
    world = make_lock_world(*chosen.algorithms)
    locks = {algorithm: make_lock(algorithm, lock_id=f"B-{algorithm}") for algorithm in chosen.algorithms}
    with live_source() as source:
        publish(world.families, source)
        application, bare = WSGIHandler(), Bare()
        print(f"CPU ms, one process, SQLite, best of 5 × {chosen.logins}")
        print(f"{'key':<5}{'challenge':>11}{'login':>8}{'receipt':>9}{'bare login':>12}{'login / bare':>14}")
        with closing(bare.db):
            for algorithm, lock in locks.items():
                bind(world, lock)
                issued, login, without, plain = measure(application, bare, lock, chosen.logins)
                print(f"{algorithm:<5}{issued:>11.2f}{login:>8.2f}{login - without:>9.2f}{plain:>12.2f}{login / plain:>14.2f}")


if __name__ == "__main__":
    main()
