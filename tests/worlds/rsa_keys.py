"""RSA keys for the tests' locks and CAs, kept in ``build/rsa``: to make one takes longer than most tests.

No two keys of one process are the same; another process, and the next run, have the same again.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from calock.demo import pki

KEPT = Path(__file__).resolve().parents[2] / "build" / "rsa"
_numbers = itertools.count()
_make = pki.make_key


def make_key(algorithm: pki.Algorithm, **more: Any) -> pki.Key:
    """As ``pki.make_key``, in whose place it stands for the tests."""
    if algorithm != "RSA" or more:
        return _make(algorithm, **more)
    kept = KEPT / f"{next(_numbers)}.der"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(_make("RSA").private_pkcs8)
        new.replace(kept)
    data = kept.read_bytes()
    public = serialization.load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True).public_key()
    return pki.Key("RSA", data, public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
