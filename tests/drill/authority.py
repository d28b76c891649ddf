"""A CA of the drill: its CRLs on the network, its vendor folder, and locks that it issued."""

from __future__ import annotations

import ssl
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import tomli_w
from worlds.practice import PracticeLock, family, make_lock

from calock.demo.world import RULES

CODE = "drill-ca"


def serve_crls(folder: Path) -> ThreadingHTTPServer:
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: the drill's own lines are what is read."""


def make_authority(place: Path, crls: ThreadingHTTPServer) -> None:
    """A CA with its CRLs on the network, as a vendor folder."""
    folder = place / "vendors" / CODE
    folder.mkdir(parents=True)
    now, cas = datetime.now(UTC), []
    made = family("SM2", CODE)
    for name, authority in (("root", made.root), ("issuing", made.issuing)):
        crl = authority.crl([], this_update=now - timedelta(minutes=5), next_update=now + timedelta(hours=9))
        (place / "crls" / f"{name}.crl").write_bytes(crl)
        (folder / f"{name}.pem").write_text(ssl.DER_cert_to_PEM_cert(authority.certificate))
        url = f"http://127.0.0.1:{crls.server_port}/{name}.crl"
        cas.append({"file": f"{name}.pem", "anchor": name == "root", "group": CODE, "crl": [url], "inside": [url]})
    vendor = {
        "code": CODE,
        "name": "演练 CA",
        "short_name": "演练 CA",
        "sites": ["shanxi"],
        "rules": {"identity": {"lock": RULES.to_json()["identity"]["lock"]}},
        "ca": cas,
        "product": {"title": "演练驱动", "sites": ["shanxi"], "providers": [CODE]},
    }
    (folder / "vendor.toml").write_text(tomli_w.dumps(vendor), "utf-8")


def lock_of(number: int, lock_id: str, **fields: Any) -> PracticeLock:
    return make_lock("SM2", number=number, lock_id=lock_id, provider=CODE, **fields)
