"""calock: challenge and answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from measuring import children
from serving import nginx_servers

from platforms.ground import HOST, Browser, Ground
from platforms.peer import Peer

CSRF = "x" * 32


class Calock(Peer):
    name = "calock"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._machine = ground.field.replica(
            "--workers", "1", wait="/healthz",
            CALOCK_HOSTS_SHANXI=HOST, CALOCK_PUBLIC_PORT=str(self.port), CALOCK_INSECURE_HTTP="0",
        )  # fmt: skip

    @property
    def servers(self) -> str:
        return str(nginx_servers(self.ground.place, (f"127.0.0.1:{self._machine.port}",), self.port))

    def processes(self) -> list[int]:
        return [self._machine.process.pid, *children(self._machine.process.pid)]

    def person(self, person: Any) -> Callable[[], None]:
        browser = Browser(self.port, self.ground.context(None))
        browser.cookies["__Host-csrf"] = CSRF
        origin = f"https://{HOST}:{self.port}"
        headers = {"Origin": origin, "X-CSRFToken": CSRF, "Content-Type": "application/json"}

        def log_in() -> None:
            browser.cookies.pop("__Host-calock", None)  # another person's turn at this browser
            with browser:
                status, _, text = browser.ask("POST", "/api/challenge", '{"purpose":"login"}', **headers)
                self.require(status, 200, text)
                challenge = json.loads(text)["challenge"]
                answer = {"challenge": challenge, "token": person.lock.sign(challenge, origin=origin)}
                status, _, text = browser.ask("POST", "/api/login", json.dumps(answer), **headers)
                self.require(status, 200, text)

        return log_in
