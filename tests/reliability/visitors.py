"""People with browsers and locks: what they send over HTTP, and what they got."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from machines import SITE

if TYPE_CHECKING:
    from worlds.practice import PracticeLock

CSRF = "x" * 32


@dataclass
class Reply:
    """``status`` 0: no answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The refusal's reason, or what stands in its place."""
        try:
            return str(self.json["error"]["reason"])
        except (ValueError, KeyError, TypeError):
            return str(self.status)


class Visitor:
    """One browser at one address."""

    def __init__(self, port: int, *, ip: str = "", timeout: float = 30.0) -> None:
        self.port, self.ip, self.timeout = port, ip, timeout
        self.origin = f"http://{SITE}:{port}"
        self.cookies = {"csrftoken": CSRF}

    def at(self, port: int) -> Visitor:
        """The same browser at another machine: the Host, and so the origin, stays."""
        other = Visitor(port, ip=self.ip, timeout=self.timeout)
        other.origin, other.cookies = self.origin, self.cookies
        return other

    def send(self, method: str, path: str, body: str | None = None, content_type: str = "application/json") -> Reply:
        headers = {
            "Host": self.origin.removeprefix("http://"), "Origin": self.origin, "X-CSRFToken": CSRF, "User-Agent": "reliability",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }  # fmt: skip
        if body is not None:
            headers["Content-Type"] = content_type
        if self.ip:
            headers["X-Forwarded-For"] = self.ip
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return Reply(0)
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Reply(answer.status, {name.lower(): value for name, value in answer.headers.items()}, text)

    def get(self, path: str) -> Reply:
        return self.send("GET", path)

    def post(self, path: str, body: Any) -> Reply:
        return self.send("POST", path, json.dumps(body))

    def challenge(self, purpose: str = "login", **fields: Any) -> Reply:
        return self.post("/api/challenge", {"purpose": purpose, **fields})

    def answer(self, challenge: str, lock: PracticeLock) -> dict[str, Any]:
        return {"challenge": challenge, "token": lock.sign(challenge, origin=self.origin)}

    def log_in(self, lock: PracticeLock) -> Reply:
        """With a lock, as the page's script does it, without trying again."""
        challenge = self.challenge()
        if challenge.status != 200:
            return challenge
        return self.post("/api/login", self.answer(challenge.json["challenge"], lock))

    def log_in_by_password(self, username: str, password: str) -> Reply:
        """With the form of the login page: 302 is in."""
        form = urlencode({"username": username, "password": password, "csrfmiddlewaretoken": CSRF})
        return self.send("POST", "/login/", form, "application/x-www-form-urlencoded")


class Crowd:
    """``act`` again and again in several threads, until told to stop; every answer is counted by what came of it."""

    def __init__(self, acts: Sequence[Callable[[], str]], pause: float = 0.0) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self._pause = pause
        self._over = threading.Event()
        self._guard = threading.Lock()
        self._threads = [threading.Thread(target=self._loop, args=(act,), daemon=True) for act in acts]
        for thread in self._threads:
            thread.start()

    def _loop(self, act: Callable[[], str]) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            outcome = act()
            with self._guard:
                self.counts[outcome] += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
            self._over.wait(self._pause)

    def stop(self) -> Counter[str]:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        return self.counts
