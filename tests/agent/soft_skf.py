"""Practice locks for the soft SKF library in ``tests/agent/skf/softskf``: build it, fill its directory, plug and unplug."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from calock.agent import signing
from calock.agent.signing import SigningInput
from calock.core.certificates.certificate import Certificate
from calock.demo import pki

ORIGIN = "https://login.example.gov.cn"
CHALLENGE = "c2.login." + "A" * 60
SOURCE = Path(__file__).parent / "skf" / "softskf"
PIN, ADMIN_PIN = "012345", "87654321"
Width = Literal[32, 64]
WIDTHS: tuple[Width, ...] = (32, 64)


def build(out: Path) -> dict[Width, Path]:
    """Compile the library in both ULONG widths into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(["make", "-s", "-C", str(SOURCE), f"OUT={out}"], check=True, capture_output=True, text=True)
    return {width: out / f"libsoftskf{width}.so" for width in WIDTHS}


def buildable() -> bool:
    return shutil.which("cc") is not None and shutil.which("make") is not None


@dataclass(frozen=True)
class Pair:
    """A key with its certificate."""

    key: pki.Key
    certificate: bytes


def practice_ca(algorithm: pki.Algorithm = "SM2") -> pki.Authority:
    now = datetime.now(UTC)
    return pki.make_root("软锁练习 CA", algorithm, not_before=now - timedelta(days=400), not_after=now + timedelta(days=4000))


def make_pair(
    ca: pki.Authority, name: str, algorithm: pki.Algorithm, *, encryption: bool = False, expired: bool = False, **more: str
) -> Pair:
    key = pki.make_key(algorithm)
    now = datetime.now(UTC)
    usages = ("key_encipherment", "data_encipherment") if encryption else ("digital_signature", "content_commitment")
    end = now - timedelta(days=3) if expired else now + timedelta(days=365)
    certificate = ca.issue_lock(
        name, key, not_before=now - timedelta(days=300), not_after=end, organisation="示例有限公司", usages=usages, **more
    )
    return Pair(key, certificate)


@dataclass(frozen=True)
class SoftSkf:
    """The directory that stands for the computer's USB ports."""

    root: Path

    def add(
        self,
        device: str,
        containers: dict[str, tuple[Pair | None, Pair | None]],
        *,
        application: str = "CAAPP",
        pin: str = PIN,
        tries: int = 6,
        left: int | None = None,
        default: bool = False,
        serial: str = "3301000045102205",
        plugged: bool = True,
    ) -> Path:
        """Put a lock with containers ``name -> (signing, encryption)`` there."""
        home = self.root / device / application
        home.mkdir(parents=True)
        (self.root / device / "info").write_text(f"serial {serial}\nlabel 测试锁\nmanufacturer Soft SKF\nissuer 练习\n", "utf-8")
        (home / "pin").write_text(
            f"user {pin}\nadmin {ADMIN_PIN}\nmax {tries}\nleft {tries if left is None else left}\ndefault {int(default)}\n"
            "admin_left 10\n"
        )
        for name, pairs in containers.items():
            folder = home / "containers" / name
            folder.mkdir(parents=True)
            for stem, pair in zip(("sign", "enc"), pairs, strict=True):
                if pair is not None:
                    (folder / f"{stem}.key").write_text(_pem(pair.key.private_pkcs8))
                    (folder / f"{stem}.crt").write_bytes(pair.certificate)
        if plugged:
            self.plug(device)
        return home

    def plug(self, device: str) -> None:
        (self.root / device / "present").touch()

    def unplug(self, device: str) -> None:
        (self.root / device / "present").unlink()

    def fault(self, *lines: str) -> None:
        """Switch faults: each line ``FUNCTION FAULT``; none switches all off."""
        draft = self.root / "fault.new"
        draft.write_text("".join(line + "\n" for line in lines))
        draft.replace(self.root / "fault")

    def start_trace(self) -> None:
        (self.root / "trace").write_text("")

    def trace(self) -> list[str]:
        """Every function called since ``start_trace``, in order."""
        return (self.root / "trace").read_text().split()

    def field(self, device: str, field: str, application: str = "CAAPP") -> str:
        lines = (self.root / device / application / "pin").read_text().splitlines()
        return dict(line.split(" ", 1) for line in lines)[field]

    def logged_in(self, device: str, application: str = "CAAPP") -> bool:
        return (self.root / device / application / "session").exists()


def _pem(pkcs8: bytes) -> str:
    return "-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(pkcs8).decode() + "-----END PRIVATE KEY-----\n"


def to_sign_for(certificate: bytes) -> SigningInput:
    """What a login at ``ORIGIN`` has this certificate's key sign."""
    return signing.prepare(Certificate.parse(certificate), origin=ORIGIN, challenge=CHALLENGE)
