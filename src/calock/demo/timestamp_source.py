"""A practice time-stamp authority on 127.0.0.1 (RFC 3161): OpenSSL's ``ts`` behind HTTP.

Run as ``python -m calock.demo.timestamp_source DIRECTORY PORT``; it writes its address to ``DIRECTORY/address`` when it listens.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calock.server.tools.files import replacing

MAX_QUERY = 4096
_CONFIG = """\
[tsa]
default_tsa = practice
[practice]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.55555.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


def make_authority(folder: Path) -> None:
    """Make a CA and the certificate of the authority below it, in an empty folder."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("练习时间戳 CA", ca_key, "练习时间戳 CA", ca_key, ca=True)
    tsa = _certificate("练习时间戳机构", key, "练习时间戳 CA", ca_key, ca=False)
    for name, certificate in (("ca.pem", root), ("tsa.pem", tsa)):
        (folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tsa.key").write_bytes(private)
    (folder / "tsa.key").chmod(0o600)
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder.resolve()))


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:  # critical and alone: RFC 3161 clause 2.3
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return made.sign(issuer_key, hashes.SHA256())


class TimestampSource(ThreadingHTTPServer):
    """Answers every POST with what ``openssl ts -reply`` says to it."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self._one = threading.Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError:
            super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/tsa"

    def reply(self, query: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq; OpenSSL refuses in it what it does not stamp."""
        with self._one, tempfile.TemporaryDirectory() as place:
            asked, answered = Path(place) / "query.tsq", Path(place) / "reply.tsr"
            asked.write_bytes(query)
            command = ["openssl", "ts", "-reply", "-config", str(self.folder / "tsa.cnf"), "-section", "practice"]
            command += ["-queryfile", str(asked), "-out", str(answered)]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed words and our own paths
            return answered.read_bytes()


class _Handler(BaseHTTPRequestHandler):
    server: TimestampSource
    server_version = "calock-practice-tsa"
    sys_version = ""

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        try:
            answer = self.server.reply(self.rfile.read(size)) if 0 < size <= MAX_QUERY else b""
        except subprocess.CalledProcessError:
            answer = b""
        self.send_response(200 if answer else 400)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing."""


def main(arguments: list[str]) -> None:
    folder, port = Path(arguments[0]), int(arguments[1])
    if not (folder / "tsa.cnf").exists():
        make_authority(folder)
    source = TimestampSource(folder, port)
    with replacing(folder / "address") as file:  # a reader that waits for it reads it whole
        file.write(source.address.encode())
    source.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
