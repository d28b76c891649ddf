"""``/auth/check`` behind a real nginx: an application that knows no login protocol, protected by ``auth_request``."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from django.utils import timezone
from serving import free_port
from worlds import relying
from worlds.practice import HOST

from calock.server.sessions.models import Session

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
CONFIG = Path(__file__).parents[3] / "docs" / "examples" / "nginx-auth-request.conf"


class _Application(BaseHTTPRequestHandler):
    """Protected: it says who the proxy says is there."""

    def do_GET(self) -> None:
        text = "|".join(self.headers.get(name, "") for name in ("Remote-User", "Remote-Level")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Gate:
    port: int
    origin: str

    def get(self, path: str, *cookies: str, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Host": urlsplit(self.origin).netloc, **({"Cookie": "; ".join(cookies)} if cookies else {}), **headers}
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        return answer


@pytest.fixture
def gate(live_server, tmp_path) -> Iterator[Gate]:
    """Nginx as docs/examples has it, before the application and the platform."""
    assert NGINX, "nginx is among tools/system-packages"
    application = ThreadingHTTPServer(("127.0.0.1", 0), _Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    port = free_port()
    inside = CONFIG.read_text("utf-8")
    for name, value in {
        "8794": str(port),
        "127.0.0.1:8000": urlsplit(live_server.url).netloc,
        "shanxi.localhost:8000": HOST,
        "127.0.0.1:8793": f"127.0.0.1:{application.server_address[1]}",
    }.items():
        inside = inside.replace(name, value)
    config = tmp_path / "nginx.conf"
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n"
                      f"http {{ access_log off; {paths}\n{inside}\n}}\n")  # fmt: skip
    process = subprocess.Popen([NGINX, "-c", str(config), "-p", str(tmp_path)])
    found = Gate(port, f"http://baobiao.localhost:{port}")
    try:
        _wait_for(found, process)
        yield found
    finally:
        process.terminate()
        process.wait(10)
        application.shutdown()
        application.server_close()


def _wait_for(gate: Gate, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", gate.port), 1).close()
        except OSError:
            continue
        return
    raise AssertionError("nginx did not start")


def cookie_of(answer) -> str:
    return next(value.partition(";")[0] for name, value in answer.getheaders() if name == "Set-Cookie" and "calock-gate" in value)


@pytest.mark.django_db(transaction=True)
def test_behind_nginx_only_who_is_logged_in_passes_and_only_as_long_as_the_session_lasts(committed_lock_world, gate):
    from worlds.browser import Browser  # noqa: PLC0415

    relying.register(client_id="baobiao", name="统计报表", protocols=["gate"], redirect_uris=[], post_logout_redirect_uris=[],
                     gate_urls=[f"{gate.origin}/"], entry_url=f"{gate.origin}/")  # fmt: skip
    browser = Browser()
    browser.enter(committed_lock_world.member)
    page = f"/{quote('报表')}/1?q=a%26b&part=1"
    first = gate.get(page)
    assert (first.status, first.getheader("Location")) == (302, f"{gate.origin}/_calock/start?url={gate.origin}{page}")
    assert gate.get(f"/_calock/start?url={gate.origin}/{'x' * 1000}").status == 400
    whole = gate.get(f"/_calock/start?url={quote(gate.origin + page, safe='')}")
    assert whole.getheader("Location").partition("&state=")[0].endswith(quote(gate.origin + page, safe="")), "escaped as a whole"
    assert gate.get("/report", **{"Remote-User": "zhangsan"}).status == 302, "what a browser says of itself is not believed"
    started = gate.get(first.getheader("Location").removeprefix(gate.origin))
    state = cookie_of(started)
    assert started.getheader("Location").startswith(f"http://{HOST}/auth/enter?url=")
    back = browser.client.get(started.getheader("Location").removeprefix(f"http://{HOST}"))
    done = back["Location"].removeprefix(gate.origin)
    assert done.startswith("/_calock/done?ticket=ST-")
    assert gate.get(done).status == 400, "another browser than the one that asked"
    entered = gate.get(done, state)
    assert (entered.status, entered.getheader("Location")) == (302, f"{gate.origin}{page}")
    own = cookie_of(entered)
    passed = gate.get("/report?year=2026&part=1", own)
    assert (passed.status, passed.text) == (200, "zhangsan|password")
    assert gate.get(done, state).status == 400, "a ticket is good once"
    assert gate.get("/report", own).status == 302, "whoever uses it twice may be somebody else: both are out"

    again = browser.client.get(started.getheader("Location").removeprefix(f"http://{HOST}"))["Location"].removeprefix(gate.origin)
    own = cookie_of(gate.get(again, state))
    assert gate.get("/report", own).status == 200
    assert gate.get("/_calock/check", own).status == 404, "the check is nginx's own to ask"
    Session.objects.filter(ended_at__isnull=True).update(ended_at=timezone.now())
    assert gate.get("/report", own).status == 302
