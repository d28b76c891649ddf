"""Strangers who send or read slowly hold connections and nothing else: everybody is answered meanwhile (A100)."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from serving import Server, ask, environment
from worlds.driver_packages import make_package, package_key, public

MANY = 60
"""Slow ones at once: a dozen times the threads of one kind."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("slow")
    running = Server(data, "--workers", "1", "--no-jobs")
    yield running
    running.stop()


def head(server: Server, path: str, method: str = "POST", **headers: str) -> bytes:
    sent = {
        "Host": f"shanxi.localhost:{server.port}", "Origin": f"http://shanxi.localhost:{server.port}",
        "Cookie": "csrftoken=" + "a" * 32, "X-CSRFToken": "a" * 32, **headers,
    }  # fmt: skip
    return (f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items()) + "\r\n").encode()


def opened(server: Server, stack: ExitStack, first: bytes, count: int = MANY) -> list[socket.socket]:
    made = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(count)]
    for connection in made:
        connection.sendall(first)
    return made


def everybody_is_answered(server: Server) -> None:
    origin = f"http://shanxi.localhost:{server.port}"
    sent = {"Content-Type": "application/json", "Cookie": "csrftoken=" + "a" * 32, "X-CSRFToken": "a" * 32, "Origin": origin}
    assert ask(server.port, "/healthz")[0] == 200
    assert ask(server.port, "/login/")[0] == 200
    assert ask(server.port, "/api/challenge", method="POST", body='{"purpose":"login"}', **sent)[0] == 200


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/api/challenge", "application/json"), ("/api/login", "application/json"), ("/login/", "application/x-www-form-urlencoded"),
     ("/console/downloads/driverpackage/upload/", "multipart/form-data; boundary=x")],
)  # fmt: skip
def test_unfinished_bodies_take_no_thread(server, path, kind):
    """SEC01."""
    with ExitStack() as stack:
        opened(server, stack, head(server, path, **{"Content-Type": kind, "Content-Length": "50"}) + b"{")
        everybody_is_answered(server)


def test_unfinished_headers_take_no_thread(server):
    with ExitStack() as stack:
        opened(server, stack, head(server, "/api/challenge")[:-10])
        everybody_is_answered(server)


def test_a_large_upload_of_a_stranger_is_refused_before_it_is_read(server):
    first = head(server, "/console/downloads/driverpackage/upload/",
                 **{"Content-Type": "multipart/form-data; boundary=x", "Content-Length": "100000000"})  # fmt: skip
    with ExitStack() as stack:
        for connection in opened(server, stack, first + b"--x\r\n", 4):
            connection.settimeout(30)
            assert connection.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 413", b"HTTP/1.1 503", b"HTTP/1.1 403")
        everybody_is_answered(server)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET /login/ HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"431"),
        (b"GET /login/ HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"431"),
        (b"GET /login/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /login/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"400"),
        (b"POST /api/login HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n", b"413"),
        (
            b"POST /api/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n",
            None,
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    ],
)
def test_a51_requests_that_no_browser_sends(server, text, status):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as raw:
        raw.sendall(text)
        if status is not None:
            assert raw.recv(12) == b"HTTP/1.1 " + status
    everybody_is_answered(server)


def test_a_header_with_an_underscore_is_no_other_header(server):
    """A46, A48: ``X_Forwarded_For`` would read like the real one."""
    status, _, _ = ask(server.port, "/readyz", X_Forwarded_For="6.6.6.6")
    assert status == 503
    status, _, body = ask(server.port, "/login/", HOST_="evil.example")
    assert status == 200
    assert b"evil.example" not in body


UPLOAD = """
import django; django.setup()
from pathlib import Path
import sys
from calock.server.downloads.services import publish_package, upload_package
package = upload_package(chunks=[Path(sys.argv[1]).read_bytes()], by=None, context=None)
print(publish_package(package=package, by=None, context=None).pk)
"""


@pytest.fixture(scope="module")
def package(server, tmp_path_factory):
    """A package of 30 MB that the server offers; its address and bytes."""
    data = make_package(files={"wheels/big.whl": os.urandom(30_000_000)})
    place = tmp_path_factory.mktemp("package") / "package.zip"
    place.write_bytes(data)
    store = server.data
    (store / "package-keys.txt").write_text(public(package_key()) + "\n")
    told = {**environment(store), "DJANGO_SETTINGS_MODULE": "calock.server.process.settings"}
    done = subprocess.run(
        [sys.executable, "-c", UPLOAD, str(place)], env=told, capture_output=True, text=True, check=True, timeout=120
    )
    return f"/downloads/{done.stdout.strip()}/", data


def resident(server: Server) -> int:
    """MB of the server's processes."""
    pages = int(Path(f"/proc/{server.children()[0]}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // 1024 // 1024


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.children()[0]}/fd").iterdir()))


def test_slow_readers_take_no_thread_and_no_memory(server, package):
    path, data = package
    before = resident(server)
    with ExitStack() as stack:
        for _ in range(MANY):
            (reader,) = opened(server, stack, head(server, path, "GET"), 1)
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
        everybody_is_answered(server)
        assert resident(server) - before < len(data) // 1024 // 1024 * 4, "answers pile up in memory"
    status, headers, body = ask(server.port, path)
    assert (status, body) == (200, data)
    assert headers["Content-Length"] == str(len(data))


@pytest.mark.parametrize(("asked", "start", "stop"), [("bytes=100-", 100, None), ("bytes=10-19", 10, 20), ("bytes=-5", -5, None)])
def test_a_download_is_resumed_over_the_wire(server, package, asked, start, stop):
    path, data = package
    status, headers, body = ask(server.port, path, Range=asked)
    assert status == 206
    assert body == data[start:stop]
    first = start if start >= 0 else len(data) + start
    assert headers["Content-Range"] == f"bytes {first}-{(stop or len(data)) - 1}/{len(data)}"
    assert ask(server.port, path, Range=f"bytes={len(data)}-")[0] == 416


def test_a_reader_that_hangs_up_leaves_nothing_open(server, package):
    path, _ = package
    before = open_files(server)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port)) as reader:
            reader.sendall(head(server, path, "GET"))
            reader.recv(15)
    deadline = time.monotonic() + 90
    while (left := open_files(server)) > before + 3 and time.monotonic() < deadline:
        time.sleep(0.2)  # each keeps its own descriptor for a minute; the deadline above ends it
    assert left <= before + 3


def test_head_has_no_body(server, package):
    path, data = package
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("HEAD", path, headers={"Host": f"shanxi.localhost:{server.port}"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Length"], answer.read()) == (200, str(len(data)), b"")
    connection.close()
