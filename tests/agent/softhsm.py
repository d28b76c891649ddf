"""SoftHSM2 tokens in a directory of the test's own: real PKCS#11 locks without hardware."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.driving import softhsm_module

from calock.demo import pki

_IMPORT = """
import sys, pkcs11
from pkcs11 import Attribute, ObjectClass, KeyType, CertificateType
from pkcs11.util.rsa import decode_rsa_private_key
from pkcs11.util.ec import decode_ec_private_key
from pkcs11.util.x509 import decode_x509_certificate
from asn1crypto.keys import PrivateKeyInfo
module, label, pin, key_id, key_path, certificate_path = sys.argv[1:]
token = pkcs11.lib(module).get_token(token_label=label)
with token.open(rw=True, user_pin=pin) as session:
    if key_path:
        inner = PrivateKeyInfo.load(open(key_path, "rb").read())
        if inner.algorithm == "rsa":
            attributes = decode_rsa_private_key(inner["private_key"].parsed.dump())
        else:
            ec = inner["private_key"].parsed
            ec["parameters"] = inner["private_key_algorithm"]["parameters"]
            attributes = decode_ec_private_key(ec.dump())
        attributes.update({Attribute.ID: bytes.fromhex(key_id), Attribute.TOKEN: True, Attribute.SIGN: True})
        session.create_object(attributes)
    if certificate_path:
        attributes = decode_x509_certificate(open(certificate_path, "rb").read())
        attributes.update({Attribute.ID: bytes.fromhex(key_id), Attribute.TOKEN: True})
        session.create_object(attributes)
"""


@dataclass(frozen=True)
class SoftHsm:
    """One SoftHSM2 installation of its own; ``environment`` makes a process use it."""

    directory: Path
    module: str

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.directory / "softhsm2.conf")}

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **self.environment})

    def add_token(self, label: str, pin: str) -> None:
        """Plug in an initialised token."""
        self._run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "87654321")

    def remove_token(self, label: str) -> None:
        self._run("softhsm2-util", "--delete-token", "--token", label)

    def put(self, label: str, pin: str, key: pki.Key | None, certificate: bytes | None, key_id: str = "01") -> None:
        """Store a private key and a certificate under one CKA_ID."""
        key_path, certificate_path = self.directory / "key", self.directory / "certificate"
        if key:
            key_path.write_bytes(key.private_pkcs8)
        if certificate:
            certificate_path.write_bytes(certificate)
        self._run(sys.executable, "-c", _IMPORT, self.module, label, pin, key_id,
                  str(key_path) if key else "", str(certificate_path) if certificate else "")  # fmt: skip


def make_softhsm(directory: Path) -> SoftHsm | None:
    """Set SoftHSM2 up in ``directory``; None when it is not installed."""
    module = softhsm_module()
    if not module:
        return None
    (directory / "tokens").mkdir(parents=True)
    (directory / "softhsm2.conf").write_text(f"directories.tokendir = {directory / 'tokens'}\nlog.level = ERROR\n")
    return SoftHsm(directory, module)
