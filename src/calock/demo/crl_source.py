"""A small CRL source on 127.0.0.1: serves the practice CAs' CRLs and signs them anew before they grow old.

Run as ``python -m calock.demo.crl_source DIRECTORY PORT``; it writes its address to ``Place.crl_address`` when it listens.
"""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from calock.demo.practice import Practice, open_practice
from calock.server.tools.files import replacing

SIGN_EVERY = 3600.0
"""Seconds a CRL is served before it is signed anew; its own nextUpdate is a week away."""


class CrlSource(ThreadingHTTPServer):
    """Serves ``*.crl`` of one practice world, by exact name, and nothing else."""

    daemon_threads = True

    def __init__(self, practice: Practice, port: int = 0) -> None:
        self.practice = practice
        self._names = {name for family in practice.families.values() for name, _ in family.authorities()}
        self._signing = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @classmethod
    def open(cls, practice: Practice, port: int) -> CrlSource:
        """Listen on ``port``, or on any free one when somebody else has it."""
        try:
            return cls(practice, port)
        except OSError:
            return cls(practice, 0)

    @property
    def base(self) -> str:
        """Address under which the CRLs lie, with its final slash."""
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def crl(self, name: str) -> bytes | None:
        """The CRL of that name, never older than ``SIGN_EVERY``; None when there is no such CRL."""
        if name not in self._names:
            return None
        path = self.practice.place.crls / name
        with self._signing:
            if time.time() - path.stat().st_mtime > SIGN_EVERY:
                self.practice.write_crls()
            return path.read_bytes()


class _Handler(BaseHTTPRequestHandler):
    server: CrlSource
    server_version = "calock-practice-crl"
    sys_version = ""

    def do_GET(self) -> None:
        crl = self.server.crl(self.path.lstrip("/"))
        self.send_response(200 if crl is not None else 404)
        self.send_header("Content-Type", "application/pkix-crl" if crl is not None else "text/plain")
        self.send_header("Content-Length", str(len(crl or b"")))
        self.end_headers()
        self.wfile.write(crl or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing: the server's own log says what it fetched."""


def main(arguments: list[str]) -> None:
    directory, port = arguments
    practice = open_practice(Path(directory))
    source = CrlSource.open(practice, int(port))
    with replacing(practice.place.crl_address) as file:  # a reader that waits for it reads it whole
        file.write(source.base.encode())
    source.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
