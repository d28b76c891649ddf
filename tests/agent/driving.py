"""Drive a real driver in a process of its own, as the tests, the journeys and the bench do.

``with DriverProcess(tmp_path, origins=[…]) as driver:`` starts ``python -m calock.agent`` on a free port and waits until it
answers; ``driver.call(path, message)`` speaks the loopback API as the first origin's page would.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from worlds.warm_python import Warm
from wsproto import ConnectionType, WSConnection
from wsproto import events as wsevents

from calock.agent.backends.softlock import create_soft_lock
from calock.agent.instance import RunningInstance, read_running_instance
from calock.demo import pki
from calock.wire.driver import EVENTS_PATH, EVENTS_SUBPROTOCOL

ORIGIN = "https://www.gov.example"
PIN = "012345"
CHALLENGE = "c2.login.t4k2qo.Zk3yN0bq8Vw1xY5uT7rS2pL9mJ4hG6fD0aQzXcVbNm1.ctxctxctxctxctxctxctx.macmacmacmacmacmacmacm"
UNTOUCHED = {"triesLeft": 6, "triesMax": 6, "locked": False, "default": False, "reserved": False, "onReader": False}
"""State of a practice lock's PIN while no wrong one was tried."""
QUICK_DRIVER = str(Path(__file__).with_name("quick_driver.py"))
LONG = 30.0
"""Seconds after which a wait is a failure; nothing is expected to take that long."""


def until(condition: Callable[[], Any], what: str = "condition", seconds: float = LONG) -> Any:
    """Wait until ``condition`` gives something true, and return it; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.06)
    raise AssertionError(f"{what} did not come about")


@dataclass(frozen=True)
class Made:
    """One practice lock made for a test."""

    serial: str
    path: Path
    certificate: bytes
    key: pki.Key


def make_certificate(
    key: pki.Key, name: str = "测试单位_张三", *, ca: pki.Authority | None = None, days: tuple[int, int] = (-30, 365), **fields: Any
) -> bytes:
    """Issue a lock certificate; ``days`` are its dates relative to now."""
    now = datetime.now(UTC).replace(microsecond=0)
    long = {"not_before": now - timedelta(days=3650), "not_after": now + timedelta(days=3650)}
    ca = ca or pki.make_root("练习 CA", algorithm=key.algorithm, **long)
    fields.setdefault("organisation", "太原练习有限公司")
    return ca.issue_lock(name, key, not_before=now + timedelta(days=days[0]), not_after=now + timedelta(days=days[1]), **fields)


def make_lock(
    directory: Path, algorithm: pki.Algorithm = "SM2", *, serial: str = "3301000045102205", pin: str = PIN, **options: Any
) -> Made:
    """Make and plug one practice lock; ``options`` go to ``create_soft_lock``, but ``key``, ``certificate`` and ``issue``."""
    key = options.pop("key", None) or pki.make_key(algorithm)
    certificate = options.pop("certificate", None)
    if certificate is None:
        certificate = make_certificate(key, **options.pop("issue", {}))
    path = create_soft_lock(
        directory, pin=pin, key_pkcs8=key.private_pkcs8, certificate_der=certificate, serial=serial, label="练习锁", **options
    )
    return Made(serial, path, certificate, key)


@dataclass
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """Reason of a refusal, empty for an answer."""
        return self.json["error"]["reason"] if self.status >= 400 and self.body else ""


@cache
def warm_python() -> Warm:
    """What starts this process's drivers."""
    return Warm(
        "calock.agent.main", "calock.agent.worker", "calock.agent.backends.soft", "calock.agent.backends.pkcs11",
        "calock.agent.backends.skf", "calock.agent.compat.synctl", "agent.forking",
    )  # fmt: skip


def start_cold(arguments: Sequence[str], *, output: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with output.open("ab") as log:
        return subprocess.Popen([sys.executable, *arguments], stderr=log, stdout=log, env=environment)


class DriverProcess:
    """A running driver; also a context manager."""

    def __init__(
        self,
        directory: Path,
        *,
        origins: Sequence[str] = (ORIGIN,),
        soft_dir: Path | None = None,
        options: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        port: int | None = 0,
        program: Sequence[str] = (),
        cold: bool = False,
    ) -> None:
        """``program``: what Python is given to run; ``cold``: as people's are, each process by a Python of its own."""
        self.origins = list(origins)
        self.soft = soft_dir or directory / "locks"
        self.state = directory / "state"
        self.log_path = directory / "driver.log"
        arguments = ["--soft-dir", str(self.soft), "--state-dir", str(self.state), "--log-level", "debug"]
        arguments += [] if port is None else ["--port", str(port)]
        for origin in origins:
            arguments += ["--origin", origin]
        empty = directory / "home"
        empty.mkdir(exist_ok=True)
        env = {**os.environ, "XDG_CONFIG_HOME": str(empty), **(environment or {})}
        start = start_cold if cold else warm_python().start
        program = program or (("-m", "calock.agent") if cold else (QUICK_DRIVER,))
        self.process = start([*program, *arguments, *options], output=self.log_path, environment=env)
        try:
            self.note: RunningInstance = until(self._published, "the driver's start")
        except BaseException:
            self.close()
            raise
        self.port = self.note.port

    def _published(self) -> RunningInstance | None:
        if self.process.poll() is not None:
            raise AssertionError(f"the driver ended at once: {self.log}")
        note = read_running_instance(self.state)
        if note is None:
            return None
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", note.port), 1):
            return note
        return None

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """End it as the system would, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(LONG)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        """One request with exactly these headers (and Host)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def call(self, path: str, message: Any = None, *, origin: str | None = None, **headers: str) -> Reply:
        """Call the loopback API as a page of ``origin`` would."""
        sent = {"Content-Type": "application/json", "X-Calock": "1", "Origin": origin or self.origins[0], **headers}
        return self.request("POST", path, json.dumps({} if message is None else message).encode(), sent)

    def locks(self) -> list[dict[str, Any]]:
        return self.call("/v1/locks").json["locks"]

    def problems(self) -> list[tuple[str, str]]:
        """(module, reason) of each problem."""
        return [(problem["module"], problem["reason"]) for problem in self.call("/v1/locks").json["problems"]]

    def in_window(self, lock: str | None, pin: str, *, origin: str | None = None, call: str = "sign", **more: Any) -> Reply:
        """Type a PIN in the driver's own window, opened by a page of ``origin``."""
        window = self.open_window(CHALLENGE, origin=origin)
        return window(call, lock=lock or window("locks").json["locks"][0]["id"], pin=pin, **more)

    def open_window(self, challenge: str, *, origin: str | None = None) -> Callable[..., Reply]:
        """Open the driver's own window as a page of ``origin`` does; what its page then calls."""
        fields = urlencode({"challenge": challenge, "state": "s" * 20})
        headers = {"Origin": origin or self.origins[0], "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        form = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        page = self.request("POST", "/window/authenticate", fields.encode(), form).body.decode()
        ticket = page.partition('data-ticket="')[2].partition('"')[0]
        own = {"Content-Type": "application/json", "X-Calock": "1", "Origin": self.address}

        def send(call: str, **fields: Any) -> Reply:
            return self.request("POST", f"/window/{call}", json.dumps({"ticket": ticket, **fields}).encode(), own)

        return send

    def authenticate(self, lock: str | None = None, pin: str = PIN, challenge: str = CHALLENGE, **more: Any) -> Reply:
        lock = lock or self.locks()[0]["id"]
        return self.call("/v1/authenticate", {"lock": lock, "challenge": challenge, "pin": pin, **more})


def listed(driver: DriverProcess, count: int = 1) -> dict[str, dict[str, Any]]:
    """The locks by the name in their certificate."""
    until(lambda: len(driver.locks()) == count, f"{count} locks")
    return {lock["name"]: lock for lock in driver.locks()}


def change_pin(driver: DriverProcess, lock: str, old: str, new: str) -> Reply:
    return driver.call("/v1/pin/change", {"lock": lock, "oldPin": old, "newPin": new})


def http_head(driver: DriverProcess, path: str, **headers: str) -> bytes:
    """Head of a request that is otherwise in order; ``Content_Length`` is the header ``Content-Length``."""
    lines = {"Host": f"127.0.0.1:{driver.port}", "Content-Type": "application/json", "X-Calock": "1", "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join([f"POST {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in lines.items()), "\r\n"]).encode()


def raw(driver: DriverProcess, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", driver.port), LONG) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            if b"\r\n\r\n" in received and b"connection: close" in received.lower():
                break
        return received


class Events:
    """A WebSocket to ``/v1/events`` with exactly the headers one wants; refused upgrades give ``accepted`` False."""

    def __init__(
        self, port: int, *, origin: str | None = ORIGIN, host: str | None = None, subprotocol: str | None = EVENTS_SUBPROTOCOL
    ):
        self.status = 101
        self.closed: int | None = None
        self._texts: list[str] = []
        self._socket = socket.create_connection(("127.0.0.1", port), LONG)
        self._ws = WSConnection(ConnectionType.CLIENT)
        extra = [(b"Origin", origin.encode())] if origin is not None else []
        subprotocols = [subprotocol] if subprotocol else []
        opening = wsevents.Request(
            host=host or f"127.0.0.1:{port}", target=EVENTS_PATH, extra_headers=extra, subprotocols=subprotocols
        )
        self._socket.sendall(self._ws.send(opening))
        self.accepted = False
        while not self.accepted and self.closed is None and self.status == 101:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self._ws.receive_data(data or None)
        for event in self._ws.events():
            if isinstance(event, wsevents.AcceptConnection):
                self.accepted = True
            elif isinstance(event, wsevents.RejectConnection):
                self.status = event.status_code
            elif isinstance(event, wsevents.Ping):
                self.send(event.response())
            elif isinstance(event, wsevents.TextMessage):
                self._texts.append(event.data)
            elif isinstance(event, wsevents.CloseConnection):
                self.closed = event.code
        if not data and self.closed is None:
            self.closed = 1006

    def next(self) -> dict[str, Any]:
        """Wait for the next event."""
        while not self._texts:
            assert self.closed is None, f"closed with {self.closed}"
            self._receive()
        return json.loads(self._texts.pop(0))

    def send(self, event: wsevents.Event) -> None:
        self._socket.sendall(self._ws.send(event))

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def wait_closed(self) -> int:
        while self.closed is None:
            self._receive()
        return self.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@contextlib.contextmanager
def running_driver(directory: Path, **options: Any) -> Iterator[DriverProcess]:
    """The same as a generator, for fixtures."""
    with DriverProcess(directory, **options) as driver:
        yield driver


SOFTHSM_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)


def softhsm_module() -> str:
    """Path of SoftHSM2, or the empty text."""
    return next((path for path in SOFTHSM_MODULES if Path(path).exists()), "")
