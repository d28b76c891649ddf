"""A person at a browser without scripts: follows redirects over real HTTP, and answers with their lock where the platform asks."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from worlds.practice import PracticeLock


class Surfer:
    """One browser with its cookies, before the platform at ``platform`` and whatever its pages lead to."""

    def __init__(self, platform: str, lock: PracticeLock) -> None:
        self.platform, self.lock = platform, lock
        hooks = {"response": [self._as_on_the_own_computer]}
        self.client = httpx.Client(event_hooks=hooks, timeout=60, follow_redirects=True, headers={"User-Agent": "surfer"})

    def _as_on_the_own_computer(self, _: httpx.Response) -> None:
        """Browsers send Secure cookies to their own computer without TLS too."""
        for cookie in self.client.cookies.jar:
            cookie.secure = False

    def open(self, address: str) -> httpx.Response:
        """Where an address leads in the end; at the platform's login page on the way the person answers with their lock."""
        found = self.client.get(address)
        if str(found.url).startswith(f"{self.platform}/login/"):
            self.log_in()
            found = self.client.get(urljoin(self.platform, parse_qs(urlsplit(str(found.url)).query)["next"][0]))
        return found

    def log_in(self) -> None:
        """As the login page's script does it."""
        challenge = self.post("/api/challenge", {"purpose": "login"})["challenge"]
        self.post("/api/login", {"challenge": challenge, "token": self.lock.sign(challenge, origin=self.platform)})

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What a script of the platform's pages is answered."""
        answer = self.client.post(self.platform + path, json=body, headers=self._own_page())
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log_out(self) -> None:
        """By the button of the platform's pages."""
        answer = self.client.post(f"{self.platform}/logout/", headers=self._own_page())
        assert answer.status_code == 200, answer.text

    def submit(self, page: httpx.Response, **typed: str) -> httpx.Response:
        """Send the form of a page with what is hidden in it."""
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
        assert action, page.text
        target = urljoin(str(page.url), action[1].replace("&amp;", "&"))
        return self.client.post(target, data={**hidden, **typed}, headers={"Origin": self.platform})

    def _own_page(self) -> dict[str, str]:
        if "csrftoken" not in self.client.cookies:
            self.client.get(f"{self.platform}/login/")
        return {"Origin": self.platform, "X-CSRFToken": self.client.cookies["csrftoken"]}
