"""oidc-client-ts in Chromium: a page of scripts, whose own small server holds the secret, since browsers keep none."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from agent.chromium import chromium
from playwright.sync_api import expect
from worlds import relying

HERE = Path(__file__).parent
LIBRARY = Path(__file__).resolve().parents[3] / "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"


class OwnServer(ThreadingHTTPServer):
    """Of the application: its page, and the two calls of which the platform lets no foreign page read the answer."""

    platform: str

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: OwnServer

    def do_GET(self) -> None:
        if self.path == "/userinfo":
            sent = {"Authorization": self.headers["Authorization"]}
            self._answer(httpx.get(f"{self.server.platform}/oidc/userinfo", headers=sent).content, "application/json")
        elif self.path == "/oidc-client-ts.js":
            self._answer(LIBRARY.read_bytes(), "text/javascript")
        else:
            self._answer((HERE / "programs" / "single_page.html").read_bytes(), "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        basic = base64.b64encode(f"single-page:{relying.SECRET}".encode()).decode()
        sent = {"Authorization": f"Basic {basic}", "Content-Type": self.headers["Content-Type"]}
        fields = b"&".join(field for field in body.split(b"&") if not field.startswith(b"client_id="))
        self._answer(httpx.post(f"{self.server.platform}/oidc/token", content=fields, headers=sent).content, "application/json")

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Set-Cookie", f"issuer={self.server.platform}")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    server = OwnServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_oidc_client_ts_logs_in_and_out_in_a_real_browser(platform, own_server):
    own_server.platform = platform.origin
    platform.register(
        client_id="single-page", redirect_uris=[f"{own_server.origin}/"], entry_url=f"{own_server.origin}/",
        post_logout_redirect_uris=[f"{own_server.origin}/left"],
    )  # fmt: skip
    person = platform.surfer()
    person.log_in()
    cookies = [{"name": name, "value": value, "url": platform.origin} for name, value in person.client.cookies.items()]
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies(cookies)
        page = context.new_page()
        page.goto(own_server.origin)
        expect(page.locator("#who")).to_have_text("nobody")
        page.click("#in")
        expect(page.locator("#who")).to_have_text("zhangsan urn:calock:acr:lock")
        page.click("#out")
        page.wait_for_url(f"{own_server.origin}/left")
        expect(page.locator("#who")).to_have_text("nobody")
        page.goto(f"{platform.origin}/apps/")
        assert page.url.startswith(f"{platform.origin}/login/"), "out of the platform too"
