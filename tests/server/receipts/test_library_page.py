"""docs/library.md does what it says: its code runs where the base package alone is there; each promised name is there."""

from __future__ import annotations

import base64
import importlib
import json
import re
import subprocess
import sys
from datetime import timedelta
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from django.utils import timezone
from worlds.practice import NOW, family, make_lock

from calock.core.certificates.certificate import Certificate
from calock.core.register import Register
from calock.core.revocation.evidence import InMemoryEvidence
from calock.server.audit.archiving import archive_audit

PAGE = (Path(__file__).parents[3] / "docs" / "library.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PROMISED = [
    (module, name)
    for module, names in re.findall(r"^\| `(calock\.[a-z.]+)` \| (.+) \|$", PAGE, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", names)
]
CHALLENGE = "kept-with-the-session-" * 3
BASE = {"calock", "cryptography", "pyopenssl", "msgspec", "cffi", "pycparser", "typing_extensions"}
"""What `pip install calock` brings."""
EXTRA = {name for name, owners in packages_distributions().items() if not BASE & {owner.lower() for owner in owners}}
BASE_ONLY = f"""
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {EXTRA!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
"""

pytestmark = pytest.mark.django_db


def pem(der: bytes) -> bytes:
    return load_der_x509_certificate(der).public_bytes(Encoding.PEM)


@pytest.fixture
def folder(file, tmp_path) -> Path:
    """A lock's answer with its CAs and CRLs; a receipt and an archive of the trail that a server made."""
    here, lock = tmp_path / "files", make_lock("SM2")
    here.mkdir()
    archive_audit(until=timezone.now() + timedelta(days=1), folder=here, delete=False, now=timezone.now())
    samples = {
        "root.pem": pem(lock.family.root.certificate),
        "ca.pem": pem(lock.family.issuing.certificate),
        "lock.der": lock.certificate,
        "answer.json": json.dumps(lock.sign(CHALLENGE, origin="https://login.example.gov.cn")).encode(),
        "challenge.txt": CHALLENGE.encode(),
        "root.crl": crl(lock.family.root),
        "ca.crl": crl(lock.family.issuing),
        "receipt.zip": file,
    }
    for name, content in samples.items():
        (here / name).write_bytes(content)
    return here


def crl(authority, *revoked: int) -> bytes:
    entries = [(serial, NOW - timedelta(days=1), "keyCompromise") for serial in revoked]
    return authority.crl(entries, this_update=NOW - timedelta(minutes=5), next_update=NOW + timedelta(hours=6))


def run(folder: Path, *blocks: str) -> subprocess.CompletedProcess[str]:
    source = "\n".join((BASE_ONLY, *blocks))
    return subprocess.run([sys.executable, "-c", source], cwd=folder, capture_output=True, text=True, check=False)


def test_the_code_of_the_page_runs_and_needs_the_base_package_alone(folder):
    done = run(folder, *BLOCKS, "print(whole.rows > 0, verdict.identity.lock_source)")
    assert done.returncode == 0, done.stderr
    answer, receipt, archive, rows = done.stdout.splitlines()
    assert (answer, archive, rows) == ("accepted", "whole", "True key")
    assert receipt.startswith("login ")
    assert "ModuleNotFoundError: django" in run(folder, "import django").stderr


def test_what_does_not_hold_is_told_by_each_part_of_the_page(folder):
    serial = Certificate.parse((folder / "lock.der").read_bytes()).serial
    (folder / "ca.crl").write_bytes(crl(family("SM2").issuing, serial))
    done = run(folder, *BLOCKS[:2])
    assert done.stdout.startswith("CERTIFICATE_REVOKED: ")
    assert "Refusal: CERTIFICATE_REVOKED" in done.stderr
    (folder / "challenge.txt").write_text(CHALLENGE[::-1])
    assert run(folder, BLOCKS[0]).stdout.startswith("SIGNATURE_INVALID")
    receipt = folder / "receipt.zip"
    receipt.write_bytes(receipt.read_bytes().replace(b"192.0.2.7", b"192.0.2.8"))
    assert "Refusal: RECEIPT_ALTERED" in run(folder, BLOCKS[0], BLOCKS[2]).stderr
    trail = next(folder.glob("audit-*.jsonl"))
    trail.write_text(trail.read_text("utf-8").replace("192.0.2.7", "192.0.2.8"), "utf-8")
    assert "its rows are not the ones that were sealed" in run(folder, BLOCKS[0], BLOCKS[3]).stdout


@pytest.mark.parametrize(("module", "name"), PROMISED)
def test_each_promised_name_is_there_and_says_what_it_is(module, name):
    assert getattr(importlib.import_module(module), name).__doc__


def test_an_anchor_with_trust_settings_a_file_without_a_certificate_and_several_providers_are_refused():
    root = family("SM2").root.certificate
    plain = pem(root)
    with pytest.raises(ValueError, match="holds no certificate"):
        Register.from_pem([b"a letter"])
    settings = base64.encodebytes(root + bytes.fromhex("30020500"))
    with pytest.raises(ValueError, match="trust settings"):
        Register.from_pem([b"-----BEGIN TRUSTED CERTIFICATE-----\n" + settings + b"-----END TRUSTED CERTIFICATE-----\n"])
    one, other = Register.from_pem([plain]), Register.from_pem([plain], code="other")
    with pytest.raises(ValueError, match="one provider's rules"):
        InMemoryEvidence.for_register(Register([*one.providers, *other.providers]), at=NOW)
