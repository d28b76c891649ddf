"""A practice time-stamp authority on 127.0.0.1 (RFC 3161): OpenSSL's ``ts`` behind HTTP.

Run as ``python -m calock.demo.timestamp_source DIRECTORY PORT``; it writes its address to ``DIRECTORY/address`` when it listens.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calock.demo.loopback import LoopbackHandler, LoopbackServer

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


class TimestampSource(LoopbackServer):
    """Answers every POST with what ``openssl ts -reply`` says to it."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self._one = threading.Lock()
        super().__init__(port, _Handler)

    def reply(self, query: bytes) -> bytes:
        """The TimeStampResp to a TimeStampReq; OpenSSL refuses in it what it does not stamp."""
        with self._one, tempfile.TemporaryDirectory() as place:
            asked, answered = Path(place) / "query.tsq", Path(place) / "reply.tsr"
            asked.write_bytes(query)
            command = ["openssl", "ts", "-reply", "-config", str(self.folder / "tsa.cnf"), "-section", "practice"]
            command += ["-queryfile", str(asked), "-out", str(answered)]
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed words and our own paths
            return answered.read_bytes()


class _Handler(LoopbackHandler):
    server: TimestampSource
    server_version = "calock-practice-tsa"

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        query = self.body(MAX_QUERY)
        try:
            answer = self.server.reply(query) if query else b""
        except subprocess.CalledProcessError:
            answer = b""
        self.answer(200 if answer else 400, "application/timestamp-reply", answer)


def main(arguments: list[str]) -> None:
    folder, port = Path(arguments[0]), int(arguments[1])
    if not (folder / "tsa.cnf").exists():
        make_authority(folder)
    source = TimestampSource(folder, port)
    source.serve(folder / "address", source.address)


if __name__ == "__main__":
    main(sys.argv[1:])
