"""The driver's own key: made on this computer for its user, the same after every start, and another one for each platform.

One secret lies in ``driver.key`` of the state folder, mode 0600; the key for an origin is derived from it, so that two platforms
cannot recognise one computer by its key. It proves that this is the driver that was there before, not that it is honest: a program
of the same user can read the file (docs/threats.md, B15).
"""

from __future__ import annotations

import base64
import logging
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from calock import __version__
from calock.agent.private_file import read_private, write_private
from calock.core.libcrypto import der_to_raw
from calock.wire.driver_key import DriverProof, Purpose, signed_text

log = logging.getLogger("calock.agent.driver_key")

_SECRET = 32
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-4 D.1.2.3)."""


class DriverKey:
    """The secret of this installation and the keys made of it.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "driver.key"
        secret = read_private(self.path)
        if secret is None or len(secret) != _SECRET:
            if self.path.exists():
                log.warning("the driver's key was damaged or open to others: it is made anew, and platforms will say so")
            secret = secrets.token_bytes(_SECRET)
            write_private(self.path, secret)
        self._secret = secret
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    def prove(self, purpose: Purpose, *, origin: str, port: int, nonce: str) -> DriverProof:
        """Sign for one origin, which must be a configured one: each gets a key of its own."""
        key = self._keys.get(origin) or self._keys.setdefault(origin, self._key_for(origin))
        text = signed_text(purpose, origin=origin, port=port, version=__version__, nonce=nonce)
        signature = der_to_raw(key.sign(text, ec.ECDSA(hashes.SHA256())), 32)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return DriverProof(
            key=base64.b64encode(public).decode(),
            port=port,
            version=__version__,
            signature=base64.b64encode(signature).decode(),
        )

    def _key_for(self, origin: str) -> ec.EllipticCurvePrivateKey:
        """Derive the key: 128 bits more than the order has make the remainder even (FIPS 186-5 A.2.1)."""
        info = b"calock driver key\n" + origin.encode()
        wide = HKDF(algorithm=hashes.SHA256(), length=48, salt=None, info=info).derive(self._secret)
        return ec.derive_private_key(int.from_bytes(wide, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
