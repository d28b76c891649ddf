"""A small CRL source on 127.0.0.1: serves the practice CAs' CRLs and signs them anew before they grow old.

Run as ``python -m calock.demo.crl_source DIRECTORY PORT``; it writes its address to ``Place.crl_address`` when it listens.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from calock.demo.loopback import LoopbackHandler, LoopbackServer
from calock.demo.practice import Practice, open_practice

SIGN_EVERY = 3600.0
"""Seconds a CRL is served before it is signed anew; its own nextUpdate is a week away."""


class CrlSource(LoopbackServer):
    """Serves ``*.crl`` of one practice world, by exact name, and nothing else."""

    def __init__(self, practice: Practice, port: int) -> None:
        self.practice = practice
        self._names = {name for family in practice.families.values() for name, _ in family.authorities()}
        self._signing = threading.Lock()
        super().__init__(port, _Handler)

    def crl(self, name: str) -> bytes | None:
        """The CRL of that name, never older than ``SIGN_EVERY``; None when there is no such CRL."""
        if name not in self._names:
            return None
        path = self.practice.place.crls / name
        with self._signing:
            if time.time() - path.stat().st_mtime > SIGN_EVERY:
                self.practice.write_crls()
            return path.read_bytes()


class _Handler(LoopbackHandler):
    server: CrlSource
    server_version = "calock-practice-crl"

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        crl = self.server.crl(self.path.lstrip("/"))
        if crl is None:
            self.answer(404, "text/plain", b"")
        else:
            self.answer(200, "application/pkix-crl", crl)


def main(arguments: list[str]) -> None:
    directory, port = arguments
    practice = open_practice(Path(directory))
    source = CrlSource(practice, int(port))
    source.serve(practice.place.crl_address, source.address)


if __name__ == "__main__":
    main(sys.argv[1:])
