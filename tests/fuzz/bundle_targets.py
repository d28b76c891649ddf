"""Fuzz targets for the provider bundle: each takes any bytes and must end in a bundle or a refusal."""

# ruff: noqa: PLC0415 - the parser is imported under the fuzzer's instrumentation
from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from typing import Any

IMPORTS = ("calock.server.providers.bundle",)


@cache
def _key() -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@cache
def _keys() -> dict[str, bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from calock.server.providers.bundle import key_id

    raw = _key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {key_id(raw): raw}


def bundle(data: bytes) -> None:
    """The whole file, as a stranger sends it."""
    from calock.core.refusals import Refusal
    from calock.server.providers.bundle import read_bundle

    try:
        read_bundle(data, _keys())
    except Refusal as refusal:
        if not refusal.reason.startswith("BUNDLE_"):
            raise AssertionError(refusal) from refusal


def bundle_payload(data: bytes) -> None:
    """A payload whose signature holds: what a pinned key's owner, or a thief of it, may send."""
    from calock.server.providers.bundle import FORMAT

    text = base64.b64encode
    signature = _key().sign(FORMAT.encode() + b"\n" + data)
    envelope = {"format": FORMAT, "payload": text(data).decode(), "key": next(iter(_keys())), "signature": text(signature).decode()}
    bundle(json.dumps(envelope).encode())


TARGETS: dict[str, Callable[[bytes], None]] = {"bundle": bundle, "bundle_payload": bundle_payload}
