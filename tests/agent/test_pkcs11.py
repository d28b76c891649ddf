"""PKCS#11 with SoftHSM2: real keys behind a real module, through the whole driver."""

from __future__ import annotations

from pathlib import Path

import pkcs11
import pytest
from agent.driving import PIN, UNTOUCHED, make_certificate, make_lock, until
from agent.softhsm import SoftHsm
from agent.test_service import verify

from calock.agent.backends.pkcs11 import sm2_mechanisms
from calock.agent.backends.pkcs11.tokens import usable_lengths
from calock.demo import pki


@pytest.fixture
def begin(start, hsm: SoftHsm):
    return lambda *options: start(options=["--pkcs11", hsm.module, *options], environment=hsm.environment)


@pytest.mark.parametrize(("kind", "algorithm"), [("RSA", "RS256"), ("EC", "ES256")])
def test_sign_and_verify(begin, hsm: SoftHsm, kind: pki.Algorithm, algorithm: str) -> None:
    key = pki.make_key(kind)
    hsm.add_token("锁一", PIN)
    hsm.put("锁一", PIN, key, make_certificate(key))
    driver = begin()
    [lock] = until(driver.locks, "the token")
    assert (lock["backend"], lock["module"]) == ("pkcs11", "libsofthsm2.so")
    assert lock["pin"] == {**UNTOUCHED, "triesLeft": None, "triesMax": None}
    answer = driver.authenticate(lock["id"]).json
    assert answer["token"]["algorithm"] == algorithm
    assert answer["device"]["label"] == "锁一"
    verify(answer)
    assert driver.authenticate(lock["id"], pin="").reason == "PIN_MISSING"
    assert driver.authenticate(lock["id"], pin="999999").reason == "PIN_WRONG"


def test_a_token_without_a_number_of_tries_is_left_to_the_window_after_one_wrong_pin(begin, hsm: SoftHsm) -> None:
    """PKCS#11 says that a wrong PIN was tried, not how many are left: they may be the last two."""
    key = pki.make_key("EC")
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, key, make_certificate(key))
    driver = begin()
    [lock] = until(driver.locks, "the token")
    assert driver.authenticate(lock["id"], pin="999999").reason == "PIN_WRONG"
    [after] = driver.locks()
    assert (after["pin"]["reserved"], after["pin"]["triesLeft"]) == (True, None)
    assert driver.authenticate(lock["id"]).reason == "PIN_WINDOW_ONLY"
    assert driver.in_window(None, PIN).reason == "PIN_LAST_TRY"
    assert driver.in_window(None, PIN, useLastTry=True).status == 200
    assert driver.authenticate(lock["id"]).status == 200


def test_several_tokens_and_certificates_are_paired_by_their_id(begin, hsm: SoftHsm) -> None:
    first, second, third = pki.make_key("EC"), pki.make_key("EC"), pki.make_key("RSA")
    hsm.add_token("甲", PIN)
    hsm.put("甲", PIN, first, make_certificate(first, "甲_新"), "01")
    hsm.put("甲", PIN, second, make_certificate(second, "甲_旧", days=(-800, -2)), "02")
    root = pki.make_key("EC")
    hsm.put("甲", PIN, None, make_certificate(root, "没有私钥的证书"), "09")
    hsm.add_token("乙", "abcdefgh")
    hsm.put("乙", "abcdefgh", third, make_certificate(third, "乙"), "01")
    driver = begin()
    listed = until(driver.locks, "the tokens")
    names = {lock["name"]: lock for lock in listed}
    assert names["甲_新"]["device"] == names["甲_旧"]["device"] != names["乙"]["device"]
    assert names["甲_旧"]["expired"]
    verify(driver.authenticate(names["甲_新"]["id"]).json)
    verify(driver.authenticate(names["甲_旧"]["id"]).json)
    verify(driver.authenticate(names["乙"]["id"], pin="abcdefgh").json)
    if "没有私钥的证书" in names:  # a token that hides its keys before login: the missing key is told on use
        assert driver.authenticate(names["没有私钥的证书"]["id"]).status >= 400


def test_another_keys_certificate_on_the_token_is_noticed(begin, hsm: SoftHsm) -> None:
    """CKA_ID pairs a key with a certificate that is not its own: the signature does not leave."""
    key, other = pki.make_key("EC"), pki.make_key("EC")
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, key, make_certificate(other))
    driver = begin()
    [lock] = until(driver.locks, "the token")
    assert driver.authenticate(lock["id"]).reason == "LOCK_SIGNATURE_WRONG"


def test_sm2_where_the_module_has_no_sm2_is_refused_not_faked(begin, hsm: SoftHsm) -> None:
    """SoftHSM2 makes ECDSA with a key on the SM2 curve when asked for CKM_ECDSA; the driver asks for SM2 or nothing."""
    key = pki.make_key("SM2")
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, pki.make_key("EC"), make_certificate(key))
    driver = begin()
    [lock] = until(driver.locks, "the token")
    assert lock["algorithm"] == "SM2"
    assert driver.authenticate(lock["id"]).reason in ("MODULE_FAILED", "LOCK_SIGNATURE_WRONG")


def test_plugged_in_and_pulled_out(begin, hsm: SoftHsm) -> None:
    hsm.add_token("先", PIN)
    first = pki.make_key("EC")
    hsm.put("先", PIN, first, make_certificate(first, "先"))
    driver = begin()
    [lock] = until(driver.locks, "the first token")
    second = pki.make_key("EC")
    hsm.add_token("后", PIN)
    hsm.put("后", PIN, second, make_certificate(second, "后"))
    until(lambda: len(driver.locks()) == 2, "the second token")
    hsm.remove_token("先")
    until(lambda: [found["name"] for found in driver.locks()] == ["后"], "the first token to go")
    assert driver.authenticate(lock["id"]).reason == "LOCK_REMOVED"


def test_change_pin(begin, hsm: SoftHsm) -> None:
    key = pki.make_key("EC")
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, key, make_certificate(key))
    driver = begin()
    [lock] = until(driver.locks, "the token")
    change = {"lock": lock["id"], "oldPin": "999999", "newPin": "000111"}
    assert driver.call("/v1/pin/change", {**change, "oldPin": PIN}).status == 200
    assert driver.call("/v1/pin/change", change).reason == "PIN_WRONG"
    assert driver.in_window(None, "000111", useLastTry=True).status == 200
    assert driver.authenticate(lock["id"], pin="000111").status == 200


def test_a_pin_is_as_long_as_the_token_takes_it_and_a_new_one_as_those_of_most_locks(begin, hsm: SoftHsm) -> None:
    """SoftHSM2 takes 4 to 255 octets; a PIN of another length costs no try."""
    key = pki.make_key("EC")
    hsm.add_token("锁", "1234")
    hsm.put("锁", "1234", key, make_certificate(key))
    driver = begin()
    [lock] = until(driver.locks, "the token")
    assert driver.authenticate(lock["id"], pin="123").reason == "PIN_LENGTH"
    assert driver.authenticate(lock["id"], pin="1234").status == 200
    change = {"lock": lock["id"], "oldPin": "1234", "newPin": "4321"}
    assert driver.call("/v1/pin/change", change).reason == "PIN_LENGTH"
    assert driver.call("/v1/pin/change", {**change, "newPin": "0" * 20}).status == 200
    assert driver.authenticate(lock["id"], pin="0" * 20).status == 200


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        *[((4, 32), (4, 32)), ((6, 2**64 - 1), (6, 255)), ((0, 0), (6, 16)), ((8, 4), (6, 16)), ((2**64 - 1, 2**64 - 1), (6, 16))],
        *[((1, 32), (4, 32)), ((1, 3), (6, 16))],
    ],
)
def test_lengths_that_no_pin_has_are_not_believed(told: tuple[int, int], taken: tuple[int, int]) -> None:
    assert usable_lengths(*told) == taken


def test_a_token_without_certificates_is_told(begin, hsm: SoftHsm) -> None:
    hsm.add_token("空", PIN)
    driver = begin()
    [problem] = until(lambda: driver.call("/v1/locks").json["problems"], "the problem")
    assert (problem["module"], problem["reason"]) == ("libsofthsm2.so", "LOCK_CERTIFICATE_HIDDEN")  # or it is empty: who knows?
    looked = driver.call("/v1/locks/reveal", {"lock": problem["lock"], "pin": PIN}).json
    assert [found["reason"] for found in looked["problems"]] == ["LOCK_WITHOUT_CERTIFICATE"]


@pytest.mark.parametrize(
    ("content", "reason", "why"),
    [
        (None, "MODULE_MISSING", "missing"),
        (b"not a library", "MODULE_FAILED", "module"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + bytes(100), "MODULE_ARCHITECTURE", "arm64"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_a_problem_and_the_reason_is_logged(
    start, locks: Path, tmp_path: Path, content, reason, why
) -> None:
    module = tmp_path / "libvendor.so"
    if content is not None:
        module.write_bytes(content)
    make_lock(locks)
    driver = start(soft_dir=locks, options=["--pkcs11", str(module)])
    until(lambda: driver.problems() == [("libvendor.so", reason)], "the problem")
    assert until(driver.locks, "the other module's lock")
    assert driver.authenticate().status == 200
    assert why in driver.log
    [state] = [one for one in driver.call("/v1/diagnosis").json["modules"] if one["module"] == "libvendor.so"]
    assert state["reason"] == reason


def test_vendor_mechanism_numbers() -> None:
    assert sm2_mechanisms.number_for("IBM Corp") == 0x8005000B
    assert sm2_mechanisms.number_for("Some CA") == 0x80008000
    assert isinstance(sm2_mechanisms.mechanism_for("Some CA"), pkcs11.Mechanism)
