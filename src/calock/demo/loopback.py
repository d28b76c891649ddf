"""What the demonstration's own HTTP servers have in common: each stands on 127.0.0.1 in place of somebody outside."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from calock.server.tools.files import replacing


class LoopbackServer(ThreadingHTTPServer):
    """Listens on ``port``, or on any free one when somebody else has it."""

    daemon_threads = True

    def __init__(self, port: int, handler: type[LoopbackHandler]) -> None:
        try:
            super().__init__(("127.0.0.1", port), handler)
        except OSError:
            super().__init__(("127.0.0.1", 0), handler)

    @property
    def address(self) -> str:
        """Of its root, with the final slash."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def serve(self, told: Path, text: str) -> None:
        """Write ``text`` to the file ``told``, for whoever waits for it, and answer until the process ends."""
        with replacing(told) as file:  # who waits for it reads it whole
            file.write(text.encode())
        self.serve_forever()


class LoopbackHandler(BaseHTTPRequestHandler):
    """One request."""

    sys_version = ""

    def body(self, most: int) -> bytes:
        """What was sent; empty when it is longer than ``most``."""
        size = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(size) if 0 < size <= most else b""

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing: the server's own log says what it fetched."""
