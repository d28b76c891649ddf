"""What a driver's proof of its key must hold up to, on the side that receives it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import msgspec
import pytest

from calock.agent.driver_key import DriverKey
from calock.core.refusals import Reason, Refusal
from calock.wire.driver_key import DriverProof, verify_proof

ORIGIN, NONCE = "https://www.gov.example", "n" * 22


@pytest.fixture
def proof(tmp_path: Path) -> DriverProof:
    return DriverKey(tmp_path).prove("answer", origin=ORIGIN, port=47113, nonce=NONCE)


def test_the_fingerprint_is_that_of_the_key(proof: DriverProof) -> None:
    expected = hashlib.sha256(base64.b64decode(proof.key)).hexdigest()
    assert verify_proof(proof, "answer", origin=ORIGIN, nonce=NONCE) == expected


def refused(proof: DriverProof, purpose="answer", origin: str = ORIGIN, nonce: str = NONCE) -> None:
    with pytest.raises(Refusal) as caught:
        verify_proof(proof, purpose, origin=origin, nonce=nonce)
    assert caught.value.reason is Reason.DRIVER_KEY_INVALID


def test_it_holds_for_one_question_of_one_origin_alone(proof: DriverProof) -> None:
    refused(proof, purpose="hello")
    refused(proof, origin="https://other.gov.example")
    refused(proof, nonce="m" * 22)


def test_nothing_in_it_can_be_changed(proof: DriverProof, tmp_path: Path) -> None:
    refused(msgspec.structs.replace(proof, port=47114))
    refused(msgspec.structs.replace(proof, version="9.9.9"))
    (tmp_path / "other").mkdir()
    other = DriverKey(tmp_path / "other").prove("answer", origin=ORIGIN, port=47113, nonce=NONCE)
    refused(msgspec.structs.replace(proof, key=other.key))
    refused(msgspec.structs.replace(proof, signature=other.signature))


@pytest.mark.parametrize(
    "key", ["", "not base64", "AAAA", base64.b64encode(bytes(91)).decode(), base64.b64encode(bytes(5000)).decode()]
)
def test_what_is_no_p256_key_is_refused(proof: DriverProof, key: str) -> None:
    refused(msgspec.structs.replace(proof, key=key))


def test_a_point_outside_the_curve_is_refused(proof: DriverProof) -> None:
    spki = base64.b64decode(proof.key)
    refused(msgspec.structs.replace(proof, key=base64.b64encode(spki[:-1] + bytes([spki[-1] ^ 1])).decode()))


@pytest.mark.parametrize("signature", ["", "%", base64.b64encode(bytes(64)).decode(), base64.b64encode(bytes(63)).decode()])
def test_what_is_no_signature_is_refused(proof: DriverProof, signature: str) -> None:
    refused(msgspec.structs.replace(proof, signature=signature))


def test_a_version_cannot_smuggle_another_line(proof: DriverProof) -> None:
    refused(msgspec.structs.replace(proof, version=proof.version + "\n" + NONCE))
