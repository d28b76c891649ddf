"""Tokens as vendors make them and other tools leave them, played by SoftHSM2 behind a library with habits (``tokens/shim.c``)."""

from __future__ import annotations

import pytest
from agent.driving import CHALLENGE, PIN, change_pin, listed, make_certificate, until
from agent.softhsm import Shim, SoftHsm, Stored, put_lock
from agent.test_service import verify

from calock.agent.backends.serials import own_serial, own_serials
from calock.demo import pki

OTHER_PIN = "654321"
DUMMIES = ("", "0000000000000000", "1234")


# --- tokens that say nothing of themselves


@pytest.mark.parametrize("serial", DUMMIES)
def test_two_tokens_with_equal_names_are_two_and_each_keeps_its_own_pin(begin, hsm: SoftHsm, serial: str) -> None:
    put_lock(hsm, "甲", PIN)
    put_lock(hsm, "乙", OTHER_PIN)
    driver = begin(f"serial={serial}", "label=")
    locks = listed(driver, 2)
    assert locks["甲"]["device"] != locks["乙"]["device"]
    assert locks["甲"]["deviceSerial"] == locks["乙"]["deviceSerial"] == ""  # a dummy would tell them apart for nobody
    assert change_pin(driver, locks["甲"]["id"], PIN, "111222").status == 200
    assert change_pin(driver, locks["乙"]["id"], OTHER_PIN, "333444").status == 200
    verify(driver.authenticate(locks["甲"]["id"], pin="111222").json)
    verify(driver.authenticate(locks["乙"]["id"], pin="333444").json)


def test_the_certificate_is_the_proof_when_the_slots_have_changed_their_numbers(begin, hsm: SoftHsm, shim: Shim) -> None:
    put_lock(hsm, "甲", PIN)
    put_lock(hsm, "乙", OTHER_PIN)
    habits = ("serial=0000000000000000", "label=")
    driver = begin(*habits)
    locks = listed(driver, 2)
    shim.habits(*habits, "swap")
    for name, pin in (("甲", PIN), ("乙", OTHER_PIN)):
        reply = driver.authenticate(locks[name]["id"], pin=pin)  # 409: the list has noticed the change meanwhile
        assert reply.status == 200 or reply.reason == "LOCK_REMOVED"
    locks = listed(driver, 2)
    assert change_pin(driver, locks["甲"]["id"], PIN, "111222").status == 200
    verify(driver.authenticate(locks["乙"]["id"], pin=OTHER_PIN).json)


def test_two_tokens_that_cannot_be_told_apart_are_refused_without_a_try(begin, hsm: SoftHsm) -> None:
    key = pki.make_key("EC")
    certificate = make_certificate(key)
    for label, pin in (("甲", PIN), ("乙", OTHER_PIN)):
        hsm.add_token(label, pin)
        hsm.put(label, pin, key, certificate)
    driver = begin("serial=", "label=")
    until(lambda: len(driver.locks()) == 2, "both tokens")
    for lock in driver.locks():
        assert driver.authenticate(lock["id"], pin="999999").reason == "LOCKS_ALIKE"
        assert change_pin(driver, lock["id"], "999999", "111222").reason == "LOCKS_ALIKE"
        assert lock["pin"]["reserved"] is False
    assert not any(lock["pin"]["reserved"] for lock in driver.locks())  # no wrong PIN was tried anywhere


def test_another_certificate_in_the_same_token_costs_no_try(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin()
    lock = listed(driver)["锁"]["id"]
    # the page chose; then the CA's tool wrote a new certificate while nobody asked for the list
    hsm.remove_token("锁")
    put_lock(hsm, "锁")
    for reply in (driver.authenticate(lock, pin="999999"), change_pin(driver, lock, "999999", "111222")):
        assert reply.reason in ("LOCK_CHANGED", "LOCK_REMOVED")
    assert not any(found["pin"]["reserved"] for found in driver.locks())


@pytest.mark.parametrize(
    "serial",
    [*DUMMIES, "00000000", "1", "xxxxxxxx", "123456789ABCDEF0", "FFFFFFFFFFFFFFFF", "0000000000000001", "none", "N/A", " "],
)
def test_a_dummy_serial_number_is_none(serial: str) -> None:
    assert own_serial(serial) == ""


@pytest.mark.parametrize("serial", ["3301000045102205", "0F3A77", "AB12", "2023000001", "100000000000"])
def test_a_serial_number_that_tells_is_kept(serial: str) -> None:
    assert own_serial(serial) == serial


def test_a_number_that_two_tokens_tell_is_none_of_either() -> None:
    assert own_serials(["4711", "4711", "4712"]) == ["", "", "4712"]


# --- keys and certificates as other tools leave them


@pytest.mark.parametrize("kind", ["EC", "RSA"])
@pytest.mark.parametrize("key_id", [{"ID": "45"}, {}])
@pytest.mark.parametrize("public", [True, False])
def test_a_key_is_found_by_its_public_key_whatever_the_ids_say(
    begin, hsm: SoftHsm, kind: pki.Algorithm, key_id: dict[str, str | bool], *, public: bool
) -> None:
    key, other = pki.make_key(kind), pki.make_key(kind)
    certificate = make_certificate(key, "锁")
    hsm.add_token("锁", PIN)
    hsm.store(
        "锁",
        PIN,
        ("private", other.private_pkcs8, {"ID": "45"}),
        ("private", key.private_pkcs8, {"ID": "01"}),
        *([("public", certificate, {"ID": "01"})] if public else []),
        ("certificate", certificate, key_id),
    )
    driver = begin()
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


@pytest.mark.parametrize("attribute", ["102", "180", "120"], ids=["CKA_ID", "CKA_EC_POINT", "CKA_MODULUS"])
def test_an_attribute_that_the_token_refuses_is_one_it_does_not_have(begin, hsm: SoftHsm, attribute: str) -> None:
    put_lock(hsm, "锁")
    driver = begin(f"refuses={attribute}")
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


def test_certificates_that_the_token_refuses_are_a_fault_of_it(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin("refuses=11")  # CKA_VALUE
    assert until(driver.problems, "the problem") == [("libshim.so", "MODULE_FAILED")]


@pytest.mark.parametrize("filling", [bytes(40), b"\xff" * 40])
def test_a_certificate_in_a_field_of_fixed_size_is_the_certificate(begin, hsm: SoftHsm, filling: bytes) -> None:
    key = pki.make_key("EC")
    certificate = make_certificate(key, "锁")
    hsm.add_token("锁", PIN)
    stored = {"ID": "01", "VALUE": (certificate + filling).hex()}
    hsm.store("锁", PIN, ("private", key.private_pkcs8, {"ID": "01"}), ("certificate", certificate, stored))
    driver = begin()
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


def test_a_key_of_the_vendors_own_type_signs(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin("vendorkeys")
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


def test_a_signature_that_the_library_writes_in_der_is_one(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin("dersignatures")
    lock = listed(driver)["锁"]["id"]
    for _ in range(4):  # r and s of 31 to 33 octets
        verify(driver.authenticate(lock).json)


def test_a_key_that_does_not_tell_whether_it_signs_is_tried(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin("hidesign")
    verify(driver.authenticate(listed(driver)["锁"]["id"]).json)


def test_a_key_that_must_not_sign_is_told_as_that_and_not_as_a_dead_driver(begin, hsm: SoftHsm) -> None:
    key = pki.make_key("EC")
    hsm.add_token("锁", PIN)
    objects = (
        ("private", key.private_pkcs8, {"ID": "01", "SIGN": False}),
        ("certificate", make_certificate(key, "锁"), {"ID": "01"}),
    )
    hsm.store("锁", PIN, *objects)
    driver = begin()
    reply = driver.authenticate(listed(driver)["锁"]["id"])
    assert reply.reason == "KEY_USAGE_NOT_SIGNING"


@pytest.mark.parametrize("signing_first", [True, False])
def test_a_key_for_encryption_beside_the_one_that_signs_does_not_stand_in_its_way(
    begin, hsm: SoftHsm, *, signing_first: bool
) -> None:
    """Both have one CKA_ID, and the token shows neither their public values nor which of them signs."""
    key = pki.make_key("EC")
    signing: Stored = ("private", key.private_pkcs8, {"ID": "01"})
    encryption: Stored = ("private", pki.make_key("EC").private_pkcs8, {"ID": "01", "SIGN": False})
    hsm.add_token("锁", PIN)
    keys = (signing, encryption) if signing_first else (encryption, signing)
    hsm.store("锁", PIN, *keys, ("certificate", make_certificate(key, "锁"), {"ID": "01"}))
    driver = begin("hidesign", "refuses=180")
    lock = listed(driver)["锁"]["id"]
    for _ in range(4):  # SoftHSM2 lists in another order each time
        verify(driver.authenticate(lock).json)


def test_a_certificate_whose_key_is_not_there_is_told_before_a_pin_is_asked(begin, hsm: SoftHsm) -> None:
    """The token shows its keys, and none is this certificate's."""
    key, other = pki.make_key("EC"), pki.make_key("EC")
    hsm.add_token("锁", PIN)
    seen = {"ID": "01", "PRIVATE": False}
    orphan = make_certificate(other, "没有密钥")
    rsa = pki.make_key("RSA")
    hsm.store("锁", PIN, ("private", rsa.private_pkcs8, seen), ("certificate", orphan, {"ID": "01"}))
    driver = begin()
    assert until(driver.problems, "the problem") == [("libshim.so", "LOCK_WITHOUT_KEY")]
    assert driver.locks() == []
    hsm.store("锁", PIN, ("private", key.private_pkcs8, seen), ("certificate", make_certificate(key, "有密钥"), {"ID": "02"}))
    locks = until(driver.locks, "the certificate with a key")
    assert "有密钥" in {lock["name"] for lock in locks}


def test_a_missing_key_that_the_token_does_not_show_is_told_after_a_right_pin(begin, hsm: SoftHsm) -> None:
    hsm.add_token("锁", PIN)
    hsm.put("锁", PIN, pki.make_key("RSA"), make_certificate(pki.make_key("RSA"), "锁"))
    driver = begin()
    reply = driver.authenticate(listed(driver)["锁"]["id"])
    assert (reply.status, reply.reason) == (404, "LOCK_WITHOUT_KEY")
    assert driver.locks()[0]["pin"]["reserved"] is False


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_a_key_that_wants_a_login_for_each_signature_signs_with_one_pin(begin, hsm: SoftHsm, kind: pki.Algorithm) -> None:
    key = pki.make_key(kind)
    certificate = make_certificate(key, "锁")
    hsm.add_token("锁", PIN)
    always = {"ID": "01", "ALWAYS_AUTHENTICATE": True}
    hsm.store("锁", PIN, ("private", key.private_pkcs8, always), ("certificate", certificate, {"ID": "01"}))
    driver = begin()
    lock = listed(driver)["锁"]["id"]
    verify(driver.authenticate(lock).json)
    verify(driver.authenticate(lock).json)
    assert driver.authenticate(lock, pin="999999").reason == "PIN_WRONG"


def test_the_current_certificate_is_offered_first_among_many_old_ones(begin, hsm: SoftHsm) -> None:
    key = pki.make_key("EC")
    hsm.add_token("锁", PIN)
    old = [make_certificate(pki.make_key("EC"), f"旧{number}", days=(-900 + number, -100)) for number in range(20)]
    current = make_certificate(key, "现用")
    hsm.store(
        "锁",
        PIN,
        *[("certificate", der, {"ID": f"{number + 16:02x}"}) for number, der in enumerate(old)],
        ("private", key.private_pkcs8, {"ID": "01"}),
        ("certificate", current, {"ID": "01"}),
    )
    driver = begin()
    locks = until(driver.locks, "the token")
    assert (locks[0]["name"], locks[0]["expired"]) == ("现用", False)
    assert len(locks) == 16
    assert driver.problems() == [("libshim.so", "LOCK_LIST_CUT")]
    for _ in range(3):  # SoftHSM2 lists in another order each time
        verify(driver.authenticate(locks[0]["id"]).json)


def test_a_hundred_old_certificates_do_not_hide_the_one_with_a_key(begin, hsm: SoftHsm) -> None:
    key = pki.make_key("EC")
    current = make_certificate(key, "现用", days=(-800, -1))  # expired too: only its key tells it from the others
    hsm.add_token("锁", PIN)
    old = [make_certificate(pki.make_key("EC"), f"旧{number}") for number in range(40)]
    hsm.store(
        "锁",
        PIN,
        *[("certificate", der, {"ID": f"{number + 16:02x}"}) for number, der in enumerate(old)],
        ("private", key.private_pkcs8, {"ID": "01"}),
        ("public", current, {"ID": "01"}),
        ("certificate", current, {"ID": "01"}),
    )
    driver = begin()
    locks = until(driver.locks, "the token")
    assert [lock["name"] for lock in locks] == ["现用"]
    verify(driver.authenticate(locks[0]["id"]).json)


# --- private certificates


def hidden(hsm: SoftHsm) -> bytes:
    key = pki.make_key("EC")
    certificate = make_certificate(key, "藏起来的")
    hsm.add_token("锁", PIN)
    private = {"ID": "01", "PRIVATE": True}
    hsm.store("锁", PIN, ("private", key.private_pkcs8, {"ID": "01"}), ("certificate", certificate, private))
    return certificate


def test_a_certificate_that_is_private_is_seen_after_a_pin_and_then_signs(begin, hsm: SoftHsm) -> None:
    hidden(hsm)
    driver = begin()
    [problem] = until(lambda: driver.call("/v1/locks").json["problems"], "the problem")
    assert problem["reason"] == "LOCK_CERTIFICATE_HIDDEN"
    assert problem["pin"]["locked"] is False
    shown = driver.call("/v1/locks/reveal", {"lock": problem["lock"], "pin": PIN}).json
    assert [lock["name"] for lock in shown["locks"]] == ["藏起来的"]
    assert shown["problems"] == []
    verify(driver.authenticate(shown["locks"][0]["id"]).json)
    assert [lock["name"] for lock in driver.locks()] == ["藏起来的"]
    assert change_pin(driver, driver.locks()[0]["id"], PIN, "111222").status == 200
    hsm.remove_token("锁")
    until(lambda: driver.locks() == [], "the token to go")


def test_a_wrong_pin_shows_nothing_and_counts(begin, hsm: SoftHsm) -> None:
    hidden(hsm)
    driver = begin()
    [problem] = until(lambda: driver.call("/v1/locks").json["problems"], "the problem")
    assert driver.call("/v1/locks/reveal", {"lock": problem["lock"], "pin": "999999"}).reason == "PIN_WRONG"
    assert driver.locks() == []
    assert driver.call("/v1/locks/reveal", {"lock": problem["lock"], "pin": PIN}).reason == "PIN_WINDOW_ONLY"
    shown = driver.in_window(problem["lock"], PIN, call="reveal", useLastTry=True).json
    assert [lock["name"] for lock in shown["locks"]] == ["藏起来的"]


def test_a_handle_of_nothing_hidden_reveals_nothing(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin()
    lock = listed(driver)["锁"]["id"]
    assert driver.call("/v1/locks/reveal", {"lock": lock, "pin": PIN}).reason == "LOCK_REMOVED"
    assert driver.call("/v1/locks/reveal", {"lock": "A" * 24, "pin": PIN}).reason == "LOCK_UNKNOWN"


# --- a PIN that is typed on the reader


def test_a_pin_on_the_reader_is_typed_there_and_nowhere_else(begin, hsm: SoftHsm) -> None:
    put_lock(hsm, "锁")
    driver = begin(f"pinpad={PIN}", "newpin=111222")
    lock = listed(driver)["锁"]
    assert lock["pin"]["onReader"] is True
    verify(driver.authenticate(lock["id"], pin="").json)
    verify(driver.authenticate(lock["id"], pin="typed in vain").json)  # an older page does not know: the reader asks all the same
    assert change_pin(driver, lock["id"], "", "").status == 200


def test_a_pin_on_the_reader_was_changed_there(begin, hsm: SoftHsm, shim: Shim) -> None:
    put_lock(hsm, "锁")
    driver = begin(f"pinpad={PIN}", "newpin=111222")
    lock = listed(driver)["锁"]["id"]
    assert change_pin(driver, lock, "", "").status == 200
    shim.habits("pinpad=111222")
    verify(driver.authenticate(lock, pin="").json)
    shim.habits(f"pinpad={PIN}")
    assert driver.authenticate(lock, pin="").reason == "PIN_WRONG"


def test_a_reader_and_a_key_that_wants_a_login_for_each_signature(begin, hsm: SoftHsm) -> None:
    key = pki.make_key("EC")
    certificate = make_certificate(key, "锁")
    hsm.add_token("锁", PIN)
    always = {"ID": "01", "ALWAYS_AUTHENTICATE": True}
    hsm.store("锁", PIN, ("private", key.private_pkcs8, always), ("certificate", certificate, {"ID": "01"}))
    driver = begin(f"pinpad={PIN}")
    verify(driver.authenticate(listed(driver)["锁"]["id"], pin="").json)


# --- libraries that hang and crash


@pytest.mark.parametrize(("fault", "reason"), [("hang", "MODULE_NOT_ANSWERING"), ("crash", "MODULE_CRASHED")])
@pytest.mark.parametrize("call", ["C_Login", "C_Sign", "C_GetTokenInfo"])
def test_a_library_that_fails_in_a_call_is_told_as_what_it_did(begin, hsm: SoftHsm, shim: Shim, fault, reason, call) -> None:
    put_lock(hsm, "锁")
    driver = begin(impatient=True)
    lock = listed(driver)["锁"]["id"]
    shim.habits(f"{fault}={call}")
    assert driver.authenticate(lock).reason in (reason, "LOCK_REMOVED")  # the list may have met it first
    if call == "C_GetTokenInfo":
        until(lambda: driver.problems() == [("libshim.so", reason)], "the problem")
    shim.habits()
    again = listed(driver)["锁"]["id"]
    assert driver.authenticate(again).status == 200 or fault == "hang"
    assert PIN not in driver.log
    assert CHALLENGE not in driver.log
