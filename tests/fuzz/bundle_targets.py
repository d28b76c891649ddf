"""Fuzz targets for the provider bundle: each takes any bytes and must end in a bundle or a refusal.

Alone: ``python tests/fuzz/bundle_targets.py bundle|bundle_payload [--runs N] [--seed N]`` (needs atheris).
"""

# ruff: noqa: PLC0415, T201 - the parser is imported under the fuzzer's instrumentation; a script that prints
from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"


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
SEEDS = {"bundle": "bundle", "bundle_payload": "bundle_payload"}


def main() -> None:
    import atheris

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20261122)
    chosen = parser.parse_args()
    print(f"{chosen.target}: {chosen.runs} inputs, seed {chosen.seed}", flush=True)
    with atheris.instrument_imports(include=["calock"]):
        import calock.server.providers.bundle  # noqa: F401 - imported here so that it is instrumented
    with tempfile.TemporaryDirectory() as found:
        atheris.Setup(
            [sys.argv[0], f"-runs={chosen.runs}", f"-seed={chosen.seed}", "-max_len=8192", "-rss_limit_mb=2048", "-timeout=5",
             "-print_final_stats=1", found, str(CORPUS / SEEDS[chosen.target])],
            TARGETS[chosen.target],
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
