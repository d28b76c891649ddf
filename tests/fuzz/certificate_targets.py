"""Fuzz targets for what a stranger sends at login: certificate, answer, challenge; and for a provider's rules."""

# ruff: noqa: PLC0415 - the parsers are imported under the fuzzer's instrumentation
from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
IMPORTS = ("calock.cli.report", "calock.core.decision.verify", "calock.wire.token")
AT = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@cache
def _setting() -> Any:
    """A register whose anchor is the first byte string of the corpus's own CA, so that paths are searched and judged."""
    from calock.core.decision.verify import VerificationInputs
    from calock.core.register import CaCertificate, ProviderTrust, Register

    anchor = CaCertificate.of((CORPUS / "anchor.der").read_bytes(), anchor=True)
    return VerificationInputs(Register([ProviderTrust("fuzz", (anchor,))]), AT)


def certificate(data: bytes) -> None:
    """A certificate as it comes in: parsed, and taken through all five steps."""
    from calock.cli.report import as_json, as_text
    from calock.core.decision.verify import verify_certificate

    verdict = verify_certificate(data, _setting())
    if verdict.accepted:
        raise AssertionError("nothing is accepted without revocation data")
    if verdict.certificate is not None:
        _ = verdict.certificate.extensions if verdict.certificate.tbs else ()
    as_json(verdict, AT, ())
    as_text(verdict, AT, ())


def token(data: bytes) -> None:
    """An answer as JSON text, read and judged."""
    from calock.core.decision.verify import verify_token
    from calock.core.refusals import Refusal
    from calock.wire.token import parse_token

    try:
        answer = parse_token(data)
    except Refusal:
        return
    if verify_token(answer, _setting(), origin="https://login.example", challenge="c").accepted:
        raise AssertionError("accepted")


def container(data: bytes) -> None:
    """A file of certificates as an operator gives it: PEM, DER, PKCS#7 or base64."""
    from calock.core.der.containers import ContainerError, certificates_in, values_in

    values_in(data, b"X509 CRL")
    try:
        found = certificates_in(data)
    except ContainerError:
        return
    if not found:
        raise AssertionError("neither certificates nor a reason")


def challenge(data: bytes) -> None:
    """A challenge as text."""
    from calock.core.challenge import open_challenge
    from calock.core.refusals import Refusal
    from calock.core.statement import Statement

    try:
        open_challenge(
            data.decode("utf-8", "surrogateescape"),
            purpose="login",
            statement=lambda _: Statement("login", "", "", ""),
            context=b"",
            key=bytes(32),
            now=AT,
        )
    except Refusal:
        return
    raise AssertionError("a challenge nobody issued was opened")


def policy(data: bytes) -> None:
    """A provider's rules as JSON."""
    from calock.core.policy import Policy, PolicyError

    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        made = Policy.from_json(value)
    except PolicyError:
        return
    if Policy.from_json(json.loads(json.dumps(made.to_json()))) != made:
        raise AssertionError("it does not come back as it went")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "certificate": certificate, "container": container, "token": token, "challenge": challenge, "policy": policy,
}  # fmt: skip
