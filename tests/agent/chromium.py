"""A real Chromium and small web sites on this computer, for the tests in which a browser is the attacker or the user."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, Playwright, sync_playwright

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def chromium_path(*, whole: bool = False) -> str:
    """Chromium's shell without windows where it is installed: the same engine for a third of the processor's time.

    ``whole``: the browser that people have, with its permissions and with windows to be seen.
    """
    names = (*(() if whole else ("chromium-headless-shell",)), "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), "")


@contextlib.contextmanager
def chromium(*arguments: str, whole: bool = False) -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright, *arguments, whole=whole) as browser:
        yield browser


@contextlib.contextmanager
def launched(playwright: Playwright, *arguments: str, whole: bool = False) -> Iterator[Browser]:
    """The same for several beside each other: a thread can have one Playwright."""
    browser = playwright.chromium.launch(executable_path=chromium_path(whole=whole) or None, args=[*ARGUMENTS, *arguments])
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Site:
    """One web site; ``pages`` maps paths to HTML, ``headers`` go with every page."""

    pages: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def at(self, host: str) -> str:
        """Origin of this site under a ``*.localhost`` name, which browsers resolve to this computer."""
        return f"http://{host}.localhost:{self.port}"


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve ``site`` on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            html = site.pages.get(self.path.split("?")[0])
            self.send_response(404 if html is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write((html or "").encode())

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


WINDOW_PAGE = """<!doctype html><meta charset="utf-8"><title>平台</title>
<form id="form" method="post" target="calock"><input name="challenge"><input name="state"><input name="lock"></form>
<script>
window.heard = [];
addEventListener("message", (event) => heard.push({origin: event.origin, data: event.data}));
function ask(address, challenge, state, lock) {
  window.popup = window.open("", "calock", "popup,width=480,height=640");
  form.action = address + "/window/authenticate";
  form.challenge.value = challenge; form.state.value = state; form.lock.value = lock;
  form.submit();
}
</script>"""
"""A platform's page that asks the driver's window: ``ask(address, challenge, state, lock)``; ``heard`` collects what came back."""
