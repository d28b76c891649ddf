"""Known-answer tests of the cryptography that a login uses. The server does not start when one fails.

They find an OpenSSL that uses the empty SM2 signer ID (all before 4.0) or was built without SM2, a libcrypto that accepts wrong
signatures, and a pyOpenSSL that is linked to another OpenSSL than the wheel's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from calock.core import known_answers as known
from calock.core import libcrypto
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.paths.path import check_path
from calock.core.refusals import Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register


class SelfTestError(RuntimeError):
    """At least one known-answer test failed; the text names each."""


@dataclass(frozen=True, slots=True)
class KnownAnswerResult:
    """Result of one known-answer test."""

    name: str
    right: bool
    detail: str = ""


def _sm3() -> bool:
    return libcrypto.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905 annex A.1


def _sm2_right() -> bool:
    return libcrypto.sm2_verify(known.SM2_SPKI, known.SM2_SIGNATURE, known.MESSAGE)


def _sm2_wrong_id() -> bool:
    return not libcrypto.sm2_verify(known.SM2_SPKI, known.SM2_SIGNATURE_EMPTY_ID, known.MESSAGE)


def _sm2_tampered() -> bool:
    return not libcrypto.sm2_verify(known.SM2_SPKI, known.SM2_SIGNATURE, known.MESSAGE + b".")


def _verifies(spki: bytes, algorithm: str, message: bytes, signature: bytes) -> bool:
    try:
        signatures.verify(spki, algorithm, message, signature)
    except Refusal:
        return False
    return True


def _p256() -> bool:
    good = _verifies(known.P256_SPKI, "ES256", known.MESSAGE, known.P256_SIGNATURE)
    return good and not _verifies(known.P256_SPKI, "ES256", known.MESSAGE + b".", known.P256_SIGNATURE)


def _rsa() -> bool:
    good = _verifies(known.RSA_SPKI, "RS256", known.MESSAGE, known.RSA_SIGNATURE)
    return good and not _verifies(known.RSA_SPKI, "RS256", known.MESSAGE + b".", known.RSA_SIGNATURE)


def _path_holds(leaf: bytes) -> bool:
    register = Register([ProviderTrust("known", (CaCertificate.of(known.SM2_ROOT, anchor=True),))])
    return check_path(Certificate.parse(leaf), register, at=datetime(2030, 1, 1, tzinfo=UTC)).holds


def _path_right() -> bool:
    return _path_holds(known.SM2_LEAF)


def _path_wrong_id() -> bool:
    return not _path_holds(known.SM2_LEAF_EMPTY_ID)


_TESTS: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("SM3 digest", _sm3),
    ("SM2 signature with the standard signer ID verifies", _sm2_right),
    ("SM2 signature with an empty signer ID is refused", _sm2_wrong_id),
    ("SM2 signature over another message is refused", _sm2_tampered),
    ("ECDSA P-256 signature", _p256),
    ("RSA-2048 signature", _rsa),
    ("SM2 certificate path is accepted", _path_right),
    ("SM2 certificate path signed with an empty signer ID is refused", _path_wrong_id),
)


def run() -> tuple[KnownAnswerResult, ...]:
    """Run every test. Never raises: a missing or failing library is a failed test."""
    answers = []
    for name, ask in _TESTS:
        try:
            answers.append(KnownAnswerResult(name, ask()))
        except Exception as error:  # noqa: BLE001 - every failure is reported as a failed test
            answers.append(KnownAnswerResult(name, right=False, detail=f"{type(error).__name__}: {error}"))
    return tuple(answers)


def require() -> None:
    """Return when every test passes.

    Raises:
        SelfTestError: otherwise.
    """
    wrong = [answer for answer in run() if not answer.right]
    if wrong:
        lines = "; ".join(f"{answer.name}{': ' + answer.detail if answer.detail else ''}" for answer in wrong)
        raise SelfTestError(f"cryptography self-test failed: {lines}")
