"""The optional https on loopback: a key pair made on this computer for its user, and a self-signed certificate for it.

Some browsers let an https page speak plain http to 127.0.0.1 not at all (Safari) or in part (Firefox with HTTPS-Only). For them the
driver can listen once more, with TLS. The key is never shipped and never leaves the folder (B16); the certificate is no CA and is
put into no trust store (B17): the user accepts it, in the browser that needs it, by the driver's page ``/certificate``.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from calock.agent.private_file import read_private, write_private

log = logging.getLogger("calock.agent.tls")

NAME = "CA 驱动 127.0.0.1"
"""Subject: what the user reads in the browser's warning. Names no person and no computer."""
LIFE = timedelta(days=397)
"""Browsers accept no more than 398 days; the first of them lies in the past, for clocks that are put back."""
RENEW = timedelta(days=30)
RENEW_CHECK_SECONDS = 6 * 3600.0


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def make_identity(now: datetime) -> bytes:
    """Return a fresh P-256 key and its self-signed certificate, as PEM, in this order (RFC 5280 §4.2)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    addresses = [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.DNSName("localhost")]
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"), False
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now - timedelta(days=1) + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, encipher_only=False, decipher_only=False, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private + certificate.public_bytes(serialization.Encoding.PEM)


class TlsIdentity:
    """Key and certificate in one file of the state folder, mode 0600, and the TLS settings that serve them.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], datetime] = _now) -> None:
        self.path = directory / "tls.pem"
        self._clock = clock
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.certificate = self._usable() or self._make()
        self.context.load_cert_chain(self.path)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate as browsers show it: ``AB:CD:…``."""
        return self.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def renew(self) -> bool:
        """Make another key and certificate when the present one is near its end; new connections get it at once."""
        if self._in_time(self.certificate):
            return False
        self.certificate = self._make()
        self.context.load_cert_chain(self.path)
        return True

    def _in_time(self, certificate: x509.Certificate) -> bool:
        now = self._clock()
        return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW

    def _usable(self) -> x509.Certificate | None:
        """The certificate on disk, unless it is damaged, out of its time, or others could have read its key."""
        try:
            text = read_private(self.path)
            if text is None:
                return None
            certificate = x509.load_pem_x509_certificate(text)
            key = serialization.load_pem_private_key(text, None)
        except (ValueError, TypeError):
            return None
        same = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
        return certificate if same and self._in_time(certificate) else None

    def _make(self) -> x509.Certificate:
        text = make_identity(self._clock())
        write_private(self.path, text)
        log.info("made a new key and certificate for https on this computer")
        return x509.load_pem_x509_certificate(text)
