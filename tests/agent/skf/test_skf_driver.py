"""SKF locks through the whole driver, as a page meets them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, DriverProcess, Events, make_certificate, until
from agent.soft_skf import PIN, Pair, SoftSkf, Width
from agent.softhsm import SoftHsm, make_softhsm

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.demo import der, pki

Start = Callable[..., DriverProcess]


@pytest.fixture
def start_skf(tmp_path: Path, ports: SoftSkf) -> Iterator[Start]:
    """Start a driver with these SKF libraries over ``ports``."""
    running: list[DriverProcess] = []

    def begin(*libraries: Path, beside: SoftHsm | None = None) -> DriverProcess:
        options = [word for library in libraries for word in ("--skf", str(library))]
        options += ["--pkcs11", beside.module] if beside else []
        environment = {"SOFTSKF_DIR": str(ports.root), **(beside.environment if beside else {})}
        driver = DriverProcess(tmp_path, options=options, environment=environment)
        running.append(driver)
        return driver

    yield begin
    for driver in running:
        driver.close()


@pytest.mark.parametrize(("algorithm", "name"), [("SM2", "SM2"), ("RSA", "RS256")])
def test_login_answer(
    start_skf: Start, ports: SoftSkf, library_path: Path, pairs: dict[str, Pair], algorithm: str, name: str
) -> None:
    ports.add("key0", {"c": (pairs[algorithm], pairs[f"{algorithm}-enc"]), "old": (pairs["expired"], None)})
    driver = start_skf(library_path)
    first, old = until(driver.locks, "the lock")
    assert (first["backend"], first["algorithm"], first["deviceSerial"]) == ("skf", algorithm, "****2205")
    assert (first["expired"], old["expired"]) == (False, True)
    assert first["device"] == old["device"]
    assert first["pin"]["triesLeft"] == 6
    wrong = driver.authenticate(first["id"], pin="999999").json["error"]
    assert (wrong["reason"], wrong["triesLeft"]) == ("PIN_WRONG", 5)
    answer = driver.authenticate(first["id"], pin=PIN).json
    assert answer["token"]["algorithm"] == name
    assert answer["device"] == {"serial": "3301000045102205", "label": "测试锁", "manufacturer": "Soft SKF"}
    message = signatures.signed_message(name, ORIGIN, CHALLENGE)
    signatures.verify(pairs[algorithm].key.spki_der, name, message, base64.b64decode(answer["token"]["signature"]))
    assert not ports.logged_in("key0")
    assert all(secret not in driver.log for secret in (PIN, "999999", CHALLENGE))


def test_plug_and_unplug_reach_the_page(start_skf: Start, ports: SoftSkf, library_path: Path, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, plugged=False)
    driver = start_skf(library_path)
    assert driver.locks() == []
    with Events(driver.port) as events:
        before = events.next()["revision"]
        ports.plug("key0")
        while not driver.locks():
            after = events.next()["revision"]
            assert after > before
        handle = driver.locks()[0]["id"]
        ports.unplug("key0")
        while driver.locks():
            events.next()
    assert driver.authenticate(handle, pin=PIN).reason == "LOCK_REMOVED"


def test_two_vendors_at_once_and_one_of_them_broken(
    start_skf: Start, ports: SoftSkf, skf_libraries: dict[Width, Path], tmp_path: Path, pairs: dict[str, Pair]
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    missing = tmp_path / "libmissing.so"
    driver = start_skf(skf_libraries[32], skf_libraries[64], missing)
    until(lambda: len(driver.locks()) == 2, "both libraries' locks")
    listed = driver.call("/v1/locks").json
    assert {lock["module"] for lock in listed["locks"]} == {"libsoftskf32.so", "libsoftskf64.so"}
    assert ("libmissing.so", "MODULE_MISSING") in driver.problems()
    for lock in listed["locks"]:
        assert driver.authenticate(lock["id"], pin=PIN).status == 200


def test_a_lock_that_two_libraries_of_its_vendor_list_stands_there_once(
    start_skf: Start, ports: SoftSkf, library_path: Path, tmp_path: Path, pairs: dict[str, Pair]
) -> None:
    hsm = make_softhsm(tmp_path / "hsm")
    if hsm is None:
        pytest.skip("SoftHSM2 is not installed (Debian: softhsm2)")
    ports.add("key0", {"c": (pairs["RSA"], None)})
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, pairs["RSA"].key, pairs["RSA"].certificate)
    driver = start_skf(library_path, beside=hsm)
    until(lambda: [lock["backend"] for lock in driver.locks()] == ["skf"], "the lock by the better of both")
    ports.unplug("key0")  # as when the SKF library fails: the other one is still there
    until(lambda: [lock["backend"] for lock in driver.locks()] == ["pkcs11"], "the lock by the other library")
    assert driver.authenticate(driver.locks()[0]["id"], pin=PIN).status == 200


def test_crash_in_the_middle_is_one_message_and_the_driver_lives(
    start_skf: Start, ports: SoftSkf, library_path: Path, pairs: dict[str, Pair]
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    driver = start_skf(library_path)
    lock = until(driver.locks, "the lock")[0]["id"]
    ports.fault("ECCSignData crash")
    assert driver.authenticate(lock, pin=PIN).reason == "MODULE_CRASHED"
    ports.fault()
    again = until(driver.locks, "the restart")[0]["id"]
    assert driver.authenticate(again, pin=PIN).status == 200


def test_broken_certificate_in_a_lock_does_not_hide_the_others(
    start_skf: Start, ports: SoftSkf, library_path: Path, pairs: dict[str, Pair]
) -> None:
    home = ports.add("bad", {"c": (pairs["SM2"], None)}, serial="5500000001")
    (home / "containers" / "c" / "sign.crt").write_bytes(b"\x30\x82\x02\x00" + b"\x30\x80" * 256)
    ports.add("good", {"c": (pairs["RSA"], None)}, serial="5500000002")
    driver = start_skf(library_path)
    assert [lock["name"] for lock in until(driver.locks, "the good lock")] == ["测试_RSA"]
    [problem] = driver.call("/v1/locks").json["problems"]
    assert (problem["module"], problem["reason"]) == (library_path.name, "CERTIFICATE_UNPARSABLE")
    assert problem["label"] == "测*锁 ****0001"
    assert json.loads(driver.call("/v1/diagnosis").body)["modules"][-1]["locks"] == 1


@pytest.mark.parametrize("form", ["compressed", "no point of the curve"])
def test_an_sm2_key_that_no_signature_can_be_held_against_is_told_before_a_pin_is_asked(
    start_skf: Start, ports: SoftSkf, library_path: Path, pairs: dict[str, Pair], form: str
) -> None:
    home = ports.add("bad", {"c": (pairs["SM2"], None)})
    spki = Certificate.parse(pairs["SM2"].certificate).spki_der
    x, y = spki[-64:-32], spki[-32:]
    point = bytes([2 + y[-1] % 2]) + x if form == "compressed" else b"\x04" + x + x
    algorithm = der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.2.156.10197.1.301"))
    (home / "containers" / "c" / "sign.crt").write_bytes(
        make_certificate(pki.Key("SM2", b"", der.sequence(algorithm, der.bits(point))))
    )
    driver = start_skf(library_path)
    [problem] = until(lambda: driver.call("/v1/locks").json["problems"], "the problem")
    assert (problem["reason"], driver.locks()) == ("KEY_WEAK", [])
