"""TLS in front of the server, as a gateway in production has it: ends the encryption and passes the bytes on."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(host: str, directory: Path) -> Path:
    """Make a certificate for ``host``; key and certificate in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{host}.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, context: ssl.SSLContext, to_port: int) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return  # closed: the journey is over

        def handle(plain: socket.socket = plain) -> None:
            with contextlib.suppress(OSError):
                inside = context.wrap_socket(plain, server_side=True)
                behind = socket.create_connection(("127.0.0.1", to_port))
                threading.Thread(target=_pump, args=(behind, inside), daemon=True).start()
                _pump(inside, behind)

        threading.Thread(target=handle, daemon=True).start()


@contextlib.contextmanager
def gateway(listener: socket.socket, certificate: Path, to_port: int) -> Iterator[None]:
    """Answer TLS on ``listener`` (bound, listening) and pass everything to 127.0.0.1:``to_port``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    threading.Thread(target=_serve, args=(listener, context, to_port), daemon=True).start()
    try:
        yield
    finally:
        listener.close()
