"""Operators and users of the drill: a browser that speaks TLS with the proxy, and locks of a practice CA."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from worlds.practice import PracticeLock

CSRF = "x" * 32
BOUNDARY = "drill-0123456789"


@dataclass
class Browser:
    """One person's browser. ``port``: where nginx speaks TLS for ``host``."""

    host: str
    port: int
    authority: Path
    cookies: dict[str, str] = field(default_factory=lambda: {"__Host-csrf": CSRF})

    @property
    def origin(self) -> str:
        return f"https://{self.host}:{self.port}"

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, str]:
        """Status and text of the answer."""
        headers = {
            "Host": f"{self.host}:{self.port}", "Origin": self.origin, "Referer": self.origin + "/", "X-CSRFToken": CSRF,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), "Content-Type": kind,
        }  # fmt: skip
        trust = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=trust)
        plain = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        plain.connect()
        connection.sock = trust.wrap_socket(plain.sock, server_hostname=self.host)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer.status, text

    def form(self, path: str, **fields: str) -> tuple[int, str]:
        body = urlencode({**fields, "csrfmiddlewaretoken": CSRF}).encode()
        return self.send("POST", path, body, "application/x-www-form-urlencoded")

    def upload(self, path: str, name: str, file: Path) -> tuple[int, str]:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="package.zip"\r\n\r\n'
        body = head.encode() + file.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self.send("POST", path, body, f"multipart/form-data; boundary={BOUNDARY}")

    def call(self, path: str, **fields: Any) -> Any:
        """One call of the JSON interface, which must succeed."""
        status, text = self.send("POST", path, json.dumps(fields).encode())
        assert status == 200, f"{path}: {status} {text[:500]}"
        return json.loads(text)

    def _signed(self, lock: PracticeLock, purpose: str, **fields: Any) -> dict[str, Any]:
        challenge = self.call("/api/challenge", purpose=purpose, **fields)["challenge"]
        return {"challenge": challenge, "token": lock.sign(challenge, origin=self.origin)}

    def first_login(self, username: str, code: str, password: str) -> None:
        """Choose a password with the one-time code, and log in with it."""
        status, text = self.form("/password/code/", username=username, code=code, new=password, again=password)
        assert status == 302, text[-1500:]
        status, text = self.form("/login/", username=username, password=password)
        assert status == 302, text[-1500:]

    def bind(self, lock: PracticeLock, act: str = "") -> None:
        """``act``: the answer to whether it renews, replaces or is ``another`` lock beside those of the same holder."""
        _, page = self.send("GET", "/system/ca/")
        found = re.search(r'<option value="([0-9a-f-]{36})" selected>', page)
        assert found, page[:2000]
        member = found[1]
        signed = self._signed(lock, "bind", member=member, provider=lock.family.provider)
        choice = {"choice": {"act": act}} if act else {}
        told = self.call("/api/bindings", **signed, **choice, member=member, provider=lock.family.provider)
        assert "candidates" not in json.dumps(told), told

    def log_in(self, lock: PracticeLock) -> None:
        self.call("/api/login", **self._signed(lock, "login"))

    def prove(self, lock: PracticeLock) -> None:
        """Show that the lock is here now, as the console asks."""
        self.call("/api/step-up", **self._signed(lock, "stepup"))
