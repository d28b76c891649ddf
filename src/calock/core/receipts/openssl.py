"""Forms of a receipt's parts that OpenSSL reads, and the commands with which it checks them: no program of ours is needed."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from calock.core.certificates.certificate import Certificate

_ED25519 = bytes.fromhex("302a300506032b6570032100")
"""SubjectPublicKeyInfo of Ed25519 before the key (RFC 8410)."""
_SM2_ID = "-vfyopt distid:1234567812345678"
_SM2 = "-pkeyopt distid:1234567812345678"


def pem(label: str, der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def ed25519_pem(raw_hex: str) -> bytes:
    return pem("PUBLIC KEY", _ED25519 + bytes.fromhex(raw_hex))


def signature_der(algorithm: str, signature: bytes) -> bytes:
    """A signature as OpenSSL takes it: r‖s as SEQUENCE, that of RSA as it is."""
    if algorithm == "SM2" or algorithm.startswith("ES"):
        half = len(signature) // 2
        return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
    return signature


def _hash(algorithm: str) -> str:
    return "sm3" if algorithm == "SM2" else f"sha{algorithm[2:]}"


def signature_command(algorithm: str) -> str:
    """The lock's signature over hash(origin) ‖ hash(challenge)."""
    name = _hash(algorithm)
    message = f"( openssl dgst -{name} -binary origin.txt; openssl dgst -{name} -binary challenge.txt ) > signed.bin"
    if algorithm == "SM2":
        verify = f"openssl pkeyutl -verify -pubin -inkey key.pem -rawin -digest sm3 {_SM2} -sigfile signature.der -in signed.bin"
    else:
        padding = " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest" if algorithm.startswith("PS") else ""
        verify = f"openssl dgst -{name} -verify key.pem{padding} -signature signature.der signed.bin"
    return f"{message} && {verify}"


def chain_command(chain: Sequence[Certificate], at: datetime) -> str:
    """The chain at the moment of the act, however long its certificates have been over by now."""
    names = chain_names(len(chain))
    options = f"-attime {int(at.timestamp())} -partial_chain -no-CAfile -no-CApath"
    if any(item.algorithm == "SM2" for item in chain):  # the signer ID is taken for the named certificate alone: link by link
        links = (f"openssl verify {options} {_SM2_ID} -trusted {above} {name}" for name, above in pairwise(names))
        return " && ".join(links)
    between = "".join(f" -untrusted {name}" for name in names[1:-1])
    return f"openssl verify {options} -trusted {names[-1]}{between} {names[0]}"


def time_command(at: datetime) -> str:
    """The authority's time-stamp over the stamped head, by its CA; ``at``: when that head was made."""
    files = "-data audit/stamped-head.json -in timestamp.tsr -CAfile timestamp-ca.pem"
    return f"openssl ts -verify {files} -attime {int(at.timestamp())}"


def chain_names(count: int) -> list[str]:
    return [f"chain/{place}-{'lock' if place == 1 else 'anchor' if place == count else 'ca'}.pem" for place in range(1, count + 1)]


def inclusion_command(sides: Sequence[str]) -> str:
    """From the audit row up to the signed head. ``sides``: for each step, ``left`` or ``right``: where the other hash stands."""
    steps = ["openssl dgst -sha256 -binary audit/leaf.bin"]
    for place, side in enumerate(sides, 1):
        pair = f"audit/{place}.bin -" if side == "left" else f"- audit/{place}.bin"
        steps.append(f"( printf '\\001'; cat {pair} ) | openssl dgst -sha256 -binary")
    head = "openssl pkeyutl -verify -pubin -inkey audit/head-key.pem -rawin -in audit/head.txt -sigfile audit/head.sig"
    return f"{' | '.join(steps)} | cmp - audit/root.bin && {head}"
