"""A real mail server on a free loopback port (aiosmtpd), and an SMS gateway, which may be down, slow or lying."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from calock.demo.ports import free_port
from calock.server.process.mail_config import MailServer


class Mailbox:
    """aiosmtpd's handler: keeps what it takes, or answers with ``says``."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.says: dict[str, str] = {}
        """Answers to RCPT and DATA in place of 250."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if "RCPT" in self.says:
            return self.says["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - same
        if "DATA" in self.says:
            return self.says["DATA"]
        mail = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(envelope.content)
        mail["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        self.mails.append(mail)
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["X-Envelope-To"] == address]

    def code(self, address: str) -> str:
        """The code in the newest mail there."""
        return re.findall(r"\b[0-9]{8}\b", text_of(self.to(address)[-1]))[0]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return body.get_content()


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, MailServer]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield box, named(controller.port)
    finally:
        controller.stop()


def named(port: int, *, seconds: int = 20) -> MailServer:
    return MailServer("127.0.0.1", port, "no-reply@platform.example", starttls=False, seconds=seconds)


@contextmanager
def speaking(*lines: bytes, then_hang: bool = False) -> Iterator[int]:
    """A server that says one line after each octets it gets (the first at once), then cuts or hangs; its port."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                for place, line in enumerate(lines):
                    if place and not connection.recv(65536):
                        return
                    connection.sendall(line)
                if then_hang:
                    over.wait(60)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        over.set()


class Gateway(ThreadingHTTPServer):
    """An SMS gateway: keeps what it gets, and answers ``status`` and ``answer``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Gateway)
        self.got: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.status, self.answer = 200, b'{"accepted": true}'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/sms"


class _Gateway(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.tokens.append(self.headers.get("Authorization", ""))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing."""


@contextmanager
def sms_gateway() -> Iterator[Gateway]:
    with Gateway() as gateway:
        thread = threading.Thread(target=gateway.serve_forever, daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
