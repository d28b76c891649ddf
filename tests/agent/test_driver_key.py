"""The driver's key: a page and a server can tell that it is the driver that was there before, and nobody else can."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, DriverProcess, make_lock

from calock.agent.driver_key import DriverKey
from calock.wire.driver_key import DriverProof, verify_proof

NONCE = "Zk3yN0bq8Vw1xY5uT7rS2p"
OTHER = "https://other.gov.example"


def hello(driver: DriverProcess, origin: str = ORIGIN, nonce: str = NONCE) -> DriverProof:
    return msgspec.convert(driver.call("/v1/hello", {"nonce": nonce}, origin=origin).json["proof"], DriverProof)


def test_hello_is_signed_over_the_pages_nonce_origin_and_port(start) -> None:
    driver = start()
    proof = hello(driver)
    assert proof.port == driver.port
    assert proof.version == driver.call("/v1/hello").json["version"]
    assert len(verify_proof(proof, "hello", origin=ORIGIN, nonce=NONCE)) == 64
    assert verify_proof(hello(driver, nonce="-" * 128), "hello", origin=ORIGIN, nonce="-" * 128)


def test_a_page_that_asks_for_no_proof_gets_none(start) -> None:
    assert start().call("/v1/hello").json["proof"] is None


@pytest.mark.parametrize("nonce", ["short", "x" * 129, "a b" * 10, "line\nfeed" * 4, "ü" * 20])
def test_only_a_nonce_is_signed(start, nonce: str) -> None:
    reply = start().call("/v1/hello", {"nonce": nonce})
    assert (reply.status, reply.reason) == (400, "REQUEST_MALFORMED")


def test_the_key_is_the_same_after_every_start_and_another_for_each_platform(tmp_path: Path) -> None:
    prints = []
    for _ in range(2):
        with DriverProcess(tmp_path, origins=[ORIGIN, OTHER]) as driver:
            prints.append([
                verify_proof(hello(driver, origin), "hello", origin=origin, nonce=NONCE) for origin in (ORIGIN, OTHER)
            ])  # fmt: skip
    assert prints[0] == prints[1]
    assert prints[0][0] != prints[0][1]


def test_every_answer_names_its_driver_over_the_challenge(start, locks: Path) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks)
    known = verify_proof(hello(driver), "hello", origin=ORIGIN, nonce=NONCE)
    answers = [driver.authenticate().json, driver.in_window(None, PIN).json["answer"]]
    for answer in answers:
        proof = msgspec.convert(answer["driver"], DriverProof)
        assert verify_proof(proof, "answer", origin=ORIGIN, nonce=CHALLENGE) == known


def test_the_secret_is_for_its_user_only_and_is_made_anew_when_others_could_have_read_it(tmp_path: Path, caplog) -> None:
    first = DriverKey(tmp_path).prove("hello", origin=ORIGIN, port=1, nonce=NONCE).key
    path = tmp_path / "driver.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert DriverKey(tmp_path).prove("hello", origin=ORIGIN, port=1, nonce=NONCE).key == first
    path.chmod(0o644)
    second = DriverKey(tmp_path).prove("hello", origin=ORIGIN, port=1, nonce=NONCE).key
    assert second != first
    assert "made anew" in caplog.text
    path.write_bytes(b"damaged")
    assert DriverKey(tmp_path).prove("hello", origin=ORIGIN, port=1, nonce=NONCE).key not in (first, second)
    assert path.stat().st_mode & 0o777 == 0o600
