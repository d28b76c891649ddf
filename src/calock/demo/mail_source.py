"""The practice mailbox on 127.0.0.1: a mail server (aiosmtpd) and an SMS gateway that deliver to nobody, and a page that shows all.

Run as ``python -m calock.demo.mail_source DIRECTORY SMTP-PORT HTTP-PORT``. Each message is a file in ``DIRECTORY/messages``; it
writes ``DIRECTORY/address`` when it listens: the port of the mail server, and the page's address.
"""

from __future__ import annotations

import html
import json
import sys
import uuid
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from calock.demo.loopback import LoopbackHandler, LoopbackServer
from calock.server.tools.files import replacing

SHOWN = 50
MAX_SMS = 16 * 1024
_PAGE = """<!doctype html><html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>练习信箱 Practice mailbox</title><style>body{{font:16px/1.6 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}}
article{{border:1px solid #ccc;border-radius:8px;padding:.5rem 1rem;margin:1rem 0}}pre{{white-space:pre-wrap;font:inherit}}
h2{{font-size:1rem;margin:.3rem 0}}p{{color:#555;margin:.2rem 0}}</style><h1>练习信箱 Practice mailbox</h1>
<p>演示服务器发出的邮件和短信都到这里，不会发给任何人。</p>
<p>What the demonstration sends arrives here and nowhere else.</p>{messages}</html>"""


class Box:
    """The messages, a file each; the newest are shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, octets: bytes, ending: str) -> None:
        with replacing(self.folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}.{ending}") as file:
            file.write(octets)

    def page(self) -> str:
        newest = sorted((path for path in self.folder.iterdir() if path.suffix in (".eml", ".sms")), reverse=True)[:SHOWN]
        return _PAGE.format(messages="".join(_article(path) for path in newest) or "<p>还没有消息 Nothing yet</p>")

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.keep(bytes(envelope.content), "eml")
        return "250 OK"


def _article(path: Path) -> str:
    if path.suffix == ".sms":
        sent = json.loads(path.read_bytes())
        title, to, text = "短信 SMS", sent.get("to", ""), sent.get("text", "")
    else:
        mail = message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=policy.default)
        body = mail.get_body(("plain",))
        title, to, text = mail["Subject"], mail["To"], _words(body) if body else ""
    heading, receiver, shown = (html.escape(str(part)) for part in (title, to, text))
    return f"<article><h2>{heading}</h2><p>{receiver}</p><pre>{shown}</pre></article>"


def _words(body: MIMEPart) -> str:
    try:
        return str(body.get_content())
    except LookupError:  # a charset that nobody knows
        return str(body.get_payload())


class Web(LoopbackServer):
    def __init__(self, box: Box, port: int) -> None:
        self.box = box
        super().__init__(port, _Handler)


class _Handler(LoopbackHandler):
    server: Web
    server_version = "calock-practice-mailbox"

    def do_GET(self) -> None:  # noqa: N802 - http.server's name
        self.answer(200, "text/html; charset=utf-8", self.server.box.page().encode())

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        """The SMS gateway of docs/operations.md, for servers: a browser says from which page it comes."""
        body = self.body(MAX_SMS)
        try:
            told = json.loads(body)
            good = isinstance(told, dict) and isinstance(told.get("to"), str) and isinstance(told.get("text"), str)
            good = good and "Origin" not in self.headers
        except (ValueError, RecursionError):
            good = False
        if good:
            self.server.box.keep(body, "sms")
        self.answer(200 if good else 400, "application/json", json.dumps({"accepted": good}).encode())


def main(arguments: list[str]) -> None:
    folder, smtp_port, web_port = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    box = Box(folder / "messages")
    mail = Controller(box, hostname="127.0.0.1", port=smtp_port)
    mail.start()
    web = Web(box, web_port)
    web.serve(folder / "address", f"{smtp_port} {web.address}")


if __name__ == "__main__":
    main(sys.argv[1:])
