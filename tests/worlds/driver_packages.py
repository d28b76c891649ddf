"""Small driver packages with every knob: for tests of what reads them. The real ones are built in tests/packaging."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calock.wire.archive import write_archive


@cache
def package_key(name: str = "operator") -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def public(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def archive(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    write_archive(whole, files, executable=frozenset(), dos_time=(0, 33))
    return whole.getvalue()


def make_manifest(files: dict[str, bytes], *, key: Ed25519PrivateKey, **changed: Any) -> dict[str, Any]:
    return {
        "format": "calock-package-1",
        "code": "shanxi-huren",
        "title": "山西互认驱动",
        "version": "1.0.0",
        "os": "linux",
        "arch": "x86_64",
        "sites": ["shanxi"],
        "providers": ["shanxi-huren"],
        "origins": ["http://shanxi.localhost:8000"],
        "key": public(key),
        "released": "2026-11-22T00:00:00Z",
        "changes": "首个版本",
        "files": {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()},
        **changed,
    }


def make_package(
    *,
    key: Ed25519PrivateKey | None = None,
    files: dict[str, bytes] | None = None,
    beside: dict[str, bytes] | None = None,
    signature: bytes | None = None,
    **changed: Any,
) -> bytes:
    """A whole package. ``files`` are listed in the manifest; ``beside`` are not; ``changed`` are fields of the manifest."""
    key = key or package_key()
    files = {"install.sh": b"#!/bin/sh\n", "wheels/a.whl": b"wheel" * 1000} if files is None else files
    manifest = make_manifest(files, key=key, **changed)
    text = json.dumps(manifest, ensure_ascii=False).encode()
    folder = f"calock-{manifest['code']}-{manifest['version']}-{manifest['os']}-{manifest['arch']}"
    signed = base64.b64encode(key.sign(text)) if signature is None else signature
    inside = {**files, **(beside or {}), "manifest.json": text, "manifest.sig": signed}
    return archive({f"{folder}/{name}": data for name, data in inside.items()})
