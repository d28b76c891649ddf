"""SoftHSM2 tokens in a directory of the test's own: real PKCS#11 locks without hardware."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.driving import PIN, make_certificate, softhsm_module
from worlds.warm_python import Warm

from calock.demo import pki

_IMPORT = """
import json, sys, pkcs11
from pkcs11 import Attribute, ObjectClass, KeyType, CertificateType
from pkcs11.util.rsa import decode_rsa_private_key, decode_rsa_public_key
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key
from pkcs11.util.x509 import decode_x509_certificate
from asn1crypto.keys import PrivateKeyInfo
from asn1crypto.x509 import Certificate
module, label, pin, objects = sys.argv[1:]
token = pkcs11.lib(module).get_token(token_label=label)
with token.open(rw=True, user_pin=pin) as session:
    for kind, path, extra in json.loads(objects):
        data = open(path, "rb").read()
        if kind == "private":
            inner = PrivateKeyInfo.load(data)
            if inner.algorithm == "rsa":
                attributes = decode_rsa_private_key(inner["private_key"].parsed.dump())
            else:
                ec = inner["private_key"].parsed
                ec["parameters"] = inner["private_key_algorithm"]["parameters"]
                attributes = decode_ec_private_key(ec.dump())
            attributes[Attribute.SIGN] = True
        elif kind == "public":
            spki = Certificate.load(data).public_key
            if spki.algorithm == "rsa":
                attributes = decode_rsa_public_key(spki["public_key"].parsed.dump())
            else:
                attributes = decode_ec_public_key(spki.dump())
        else:
            attributes = decode_x509_certificate(data)
        attributes[Attribute.TOKEN] = True
        for name, value in extra.items():
            attributes[Attribute[name]] = bytes.fromhex(value) if name in ("ID", "VALUE") else value
        session.create_object(attributes)
"""


@cache
def _warm_python() -> Warm:
    return Warm("pkcs11.util.rsa", "pkcs11.util.ec", "pkcs11.util.x509", "asn1crypto.keys", "asn1crypto.x509")


Stored = tuple[str, bytes, dict[str, str | bool]]
"""One object: ``private`` (PKCS#8), ``public`` (a certificate's key) or ``certificate``, its content, attributes by name."""


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
        """Pull a token out at once. ``softhsm2-util`` deletes file by file, and fails when a driver writes one meanwhile."""
        [token] = [path.parent for path in self.directory.glob("tokens/*/token.object") if label.encode() in path.read_bytes()]
        token.rename(self.directory / f"pulled-{token.name}")

    def put(self, label: str, pin: str, key: pki.Key | None, certificate: bytes | None, key_id: str = "01") -> None:
        """Store a private key and a certificate under one CKA_ID."""
        objects: list[Stored] = [("private", key.private_pkcs8, {"ID": key_id})] if key else []
        if certificate:
            objects.append(("certificate", certificate, {"ID": key_id}))
        self.store(label, pin, *objects)

    def store(self, label: str, pin: str, *objects: Stored) -> None:
        """Store objects with exactly these attributes, as other tools might leave them."""
        described = []
        for index, (kind, content, extra) in enumerate(objects):
            path = self.directory / f"object{index}"
            path.write_bytes(content)
            described.append((kind, str(path), extra))
        arguments = ["-c", _IMPORT, self.module, label, pin, json.dumps(described)]
        stored = _warm_python().run(arguments, environment={**os.environ, **self.environment})
        assert stored.returncode == 0, stored.stderr


@dataclass(frozen=True)
class Shim:
    """A library between the driver and SoftHSM2 with habits of real vendors (``tokens/shim.c``)."""

    hsm: SoftHsm
    module: str

    @property
    def _file(self) -> Path:
        return self.hsm.directory / "habits"

    @property
    def environment(self) -> dict[str, str]:
        return {**self.hsm.environment, "SHIM_MODULE": self.hsm.module, "SHIM_HABITS": str(self._file)}

    def habits(self, *words: str) -> None:
        """Take on these habits, and no others, from the next call on."""
        draft = self._file.with_suffix(".new")
        draft.write_text("".join(word + "\n" for word in words))
        draft.replace(self._file)


def build_shim(folder: Path) -> None:
    """Compile the shim, as ``libshim.so``; there must be a C compiler."""
    folder.mkdir()
    source = Path(__file__).with_name("tokens") / "shim.c"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(folder / "libshim.so"), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)


def make_softhsm(directory: Path) -> SoftHsm | None:
    """Set SoftHSM2 up in ``directory``; None when it is not installed."""
    module = softhsm_module()
    if not module:
        return None
    (directory / "tokens").mkdir(parents=True)
    (directory / "softhsm2.conf").write_text(f"directories.tokendir = {directory / 'tokens'}\nlog.level = ERROR\n")
    return SoftHsm(directory, module)


def put_lock(hsm: SoftHsm, label: str, pin: str = PIN, kind: pki.Algorithm = "EC", **fields: Any) -> bytes:
    """A token with a key and its certificate, whose name is the token's label."""
    key = pki.make_key(kind)
    certificate = make_certificate(key, label, **fields)
    hsm.add_token(label, pin)
    hsm.put(label, pin, key, certificate)
    return certificate
