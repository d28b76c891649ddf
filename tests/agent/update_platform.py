"""A platform's web server on this computer, as honest or hostile as a test of the driver's updates wants it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Platform:
    """A platform's web server on this computer. ``answers``: path → (status, headers, body)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                platform.asked.append(self.path)
                status, headers, body = platform.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def offer(self, package: bytes, *, path: str = "/downloads/x/", **changed) -> None:
        """Answer the update question with this package."""
        with zipfile.ZipFile(io.BytesIO(package)) as opened:
            folder = opened.namelist()[0].partition("/")[0]
            text, signature = opened.read(f"{folder}/manifest.json").decode(), opened.read(f"{folder}/manifest.sig").decode()
        release = {"manifest": text, "signature": signature, "path": path, "size": len(package)}
        release["sha256"] = hashlib.sha256(package).hexdigest()
        self.answers["/downloads/release/shanxi-huren/linux/x86_64/"] = (200, {}, json.dumps(release | changed).encode())
        self.answers[path] = (200, {}, package)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def manifest_text(package: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        return opened.read(opened.namelist()[0].partition("/")[0] + "/manifest.json").decode()
