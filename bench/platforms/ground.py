"""What all of them stand on: certificates of the server and of the people, and a browser that counts its connections."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_der_x509_certificate
from field import Field
from measuring import PEOPLE
from worlds.practice import NOW, YEARS

HOST = "login.example.gov.cn"


class Ground:
    """The folder in which all of it lies: certificates of the server and of the people, and the words nginx needs for them."""

    def __init__(self, field: Field) -> None:
        self.field, self.place = field, field.place / "peers"
        self.place.mkdir(mode=0o755)
        self.people = field.people[:PEOPLE]
        self._running: list[subprocess.Popen[bytes]] = []
        family = self.people[0].lock.family
        pem = [load_der_x509_certificate(authority.certificate) for authority in (family.issuing, family.root)]
        (self.place / "clients.pem").write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in pem))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             f"/CN={HOST}", "-keyout", str(self.place / "calock.key"), "-out", str(self.place / "calock.crt")],
            check=True, capture_output=True,
        )  # fmt: skip
        self.tls = f"ssl_certificate {self.place}/calock.crt; ssl_certificate_key {self.place}/calock.key; ssl_session_tickets off;"
        self.client = f"ssl_client_certificate {self.place}/clients.pem; ssl_verify_client on; ssl_verify_depth 3;"

    def context(self, person: Any) -> ssl.SSLContext:
        """A browser's TLS, with the key of the person's lock and a certificate that names the account, or with none."""
        made = ssl.create_default_context(cafile=str(self.place / "calock.crt"))
        if person is None:
            return made
        lock, file = person.lock, self.place / f"{person.username}.pem"
        if not file.exists():
            of = lock.family.issuing.issue_lock(person.username, lock.key, not_before=NOW - YEARS / 10, not_after=NOW + YEARS / 10)
            key = serialization.load_der_private_key(lock.key.private_pkcs8, None)
            pem = serialization.Encoding.PEM
            file.write_bytes(
                key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                + load_der_x509_certificate(of).public_bytes(pem)
            )
        made.load_cert_chain(file)
        return made

    def start(self, command: Sequence[str], log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of one of them."""
        with log.open("wb") as said:
            self._running.append(subprocess.Popen(command, env={**os.environ, **environment}, stdout=said, stderr=said))
        return self._running[-1]

    def close(self) -> None:
        """End what was started here."""
        for process in self._running:
            process.terminate()
            process.wait(60)


class Browser:
    """Each ``connected`` is one connection of its own, with a full handshake."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port, self._context = port, context
        self.cookies: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        self._connection = http.client.HTTPSConnection(HOST, self._port, context=self._context, timeout=60)
        self._connection._create_connection = _here  # type: ignore[attr-defined]  # noqa: SLF001 - the name is nobody's but the certificate's
        return self

    def __exit__(self, *_: object) -> None:
        assert self._connection
        self._connection.close()

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        assert self._connection
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        given = {"Host": f"{HOST}:{self._port}", "User-Agent": "bench", **cookies, **headers}
        self._connection.request(method, path, body, given)
        answer = self._connection.getresponse()
        text = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.headers, text


def _here(address: tuple[str, int], *arguments: Any) -> Any:
    return socket.create_connection(("127.0.0.1", address[1]), *arguments)
