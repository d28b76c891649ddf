"""The loopback API as an allowed page uses it, with practice locks of all three kinds of key."""

from __future__ import annotations

import base64
import threading
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, UNTOUCHED, Events, make_certificate, make_lock, until

from calock.agent.backends.softlock import plug, read_soft_lock, unplug
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal
from calock.demo import pki


def verify(answer: dict, origin: str = ORIGIN, challenge: str = CHALLENGE) -> None:
    token = answer["token"]
    certificate = Certificate.parse(base64.b64decode(token["unverifiedCertificate"]))
    message = signatures.signed_message(token["algorithm"], origin, challenge)
    signatures.verify(certificate.spki_der, token["algorithm"], message, base64.b64decode(token["signature"]))


@pytest.mark.parametrize(("kind", "algorithm", "size"), [("SM2", "SM2", 64), ("RSA", "RS256", 256), ("EC", "ES256", 64)])
def test_an_allowed_page_gets_one_verifiable_answer(start, locks: Path, kind, algorithm, size) -> None:
    made = make_lock(locks, kind)
    driver = start(soft_dir=locks)
    answer = driver.authenticate().json
    token = answer["token"]
    assert (token["format"], token["algorithm"]) == ("web-eid:1.0", algorithm)
    assert base64.b64decode(token["unverifiedCertificate"]) == made.certificate
    assert len(base64.b64decode(token["signature"])) == size
    verify(answer)
    assert answer["device"] == {"serial": made.serial, "label": "练习锁", "manufacturer": "calock 练习锁"}


def test_hello_says_who_listens_and_nothing_about_people(start, locks: Path) -> None:
    make_lock(locks)
    hello = start(soft_dir=locks).call("/v1/hello").json
    assert hello["driver"] == "calock"
    assert hello["protocol"] == 1
    assert set(hello) == {"driver", "version", "protocol", "pinEntry", "package", "takes", "proof"}


def test_a_chooser_gets_what_it_shows_and_no_more(start, locks: Path) -> None:
    made = make_lock(locks, default_pin=True)
    reply = start(soft_dir=locks).call("/v1/locks")
    [lock] = reply.json["locks"]
    assert lock["name"] == "测试单位_张三"
    assert lock["issuer"] == "练习 CA"
    assert lock["issuerKeyId"] == Certificate.parse(made.certificate).authority_key_id
    assert lock["deviceSerial"] == "****2205"
    state = {"triesLeft": 6, "triesMax": 6, "locked": False, "default": True, "reserved": False, "onReader": False}
    assert lock["pin"] == state
    assert made.serial.encode() not in reply.body
    assert base64.b64encode(made.certificate)[:60] not in reply.body


def test_certificates_of_one_lock_stand_together_valid_first_and_encryption_is_left_out(start, locks: Path) -> None:
    key = pki.make_key("SM2")
    valid, old = make_certificate(key, "新证书"), make_certificate(key, "旧证书", days=(-800, -5))
    encryption = make_certificate(key, "加密证书", usages=("key_encipherment", "data_encipherment"))
    make_lock(locks, key=key, certificate=old, extra_certificates_der=(encryption, valid))
    make_lock(locks, "EC", serial="77")
    listed = start(soft_dir=locks).locks()
    first = [lock for lock in listed if lock["device"] == listed[0]["device"]]
    assert [(lock["name"], lock["expired"]) for lock in first] == [("新证书", False), ("旧证书", True)]
    assert len({lock["device"] for lock in listed}) == 2


def test_a_lock_without_a_signing_certificate_is_a_problem_that_is_told(start, locks: Path) -> None:
    key = pki.make_key("SM2")
    make_lock(locks, key=key, certificate=make_certificate(key, usages=("key_encipherment",)))
    make_lock(locks, key=key, certificate=b"", serial="88")
    reply = start(soft_dir=locks).call("/v1/locks").json
    assert reply["locks"] == []
    assert [problem["reason"] for problem in reply["problems"]] == ["LOCK_WITHOUT_CERTIFICATE"] * 2


def test_wrong_pin_costs_one_try_and_the_page_is_told_how_many_are_left(start, locks: Path) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks)
    reply = driver.authenticate(pin="012346")
    assert (reply.status, reply.json["error"]["reason"], reply.json["error"]["triesLeft"]) == (403, "PIN_WRONG", 5)
    assert driver.locks()[0]["pin"]["triesLeft"] == 5
    assert driver.authenticate().status == 200
    assert driver.locks()[0]["pin"]["triesLeft"] == 6


def test_leading_zeros_count(start, locks: Path) -> None:
    make_lock(locks, pin="012345")
    driver = start(soft_dir=locks)
    assert driver.authenticate(pin="12345").reason == "PIN_LENGTH"
    assert driver.authenticate(pin="0012345").reason == "PIN_WRONG"
    assert driver.authenticate(pin="012345").status == 200


@pytest.mark.parametrize(
    ("pin", "reason"), [("", "PIN_MISSING"), ("12345", "PIN_LENGTH"), ("1" * 17, "PIN_LENGTH"), ("123\x00456", "PIN_CHARACTERS")]
)
def test_a_pin_no_lock_can_hold_costs_no_try(start, locks: Path, pin, reason) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks)
    assert driver.authenticate(pin=pin).reason == reason
    assert driver.locks()[0]["pin"]["triesLeft"] == 6


@pytest.mark.parametrize("left", [1, 2])
@pytest.mark.parametrize("claim", [{}, {"useLastTry": True}])
def test_a_page_never_gets_the_last_two_tries_whatever_it_claims(start, locks: Path, left: int, claim: dict[str, bool]) -> None:
    made = make_lock(locks, tries_left=left)
    driver = start(soft_dir=locks)
    assert driver.locks()[0]["pin"]["reserved"] is True
    for pin in ("999999", PIN):
        refused = driver.authenticate(pin=pin, **claim)
        assert (refused.status, refused.reason, refused.json["error"]["triesLeft"]) == (409, "PIN_WINDOW_ONLY", left)
    change = {"lock": driver.locks()[0]["id"], "oldPin": PIN, "newPin": "000777", **claim}
    assert driver.call("/v1/pin/change", change).reason == "PIN_WINDOW_ONLY"
    assert read_soft_lock(made.path).tries_left == left


@pytest.mark.parametrize("left", [1, 2])
def test_in_the_window_the_last_two_tries_take_a_tick(start, locks: Path, left: int) -> None:
    made = make_lock(locks, tries_left=left)
    driver = start(soft_dir=locks)
    refused = driver.in_window(None, "999999")
    assert (refused.status, refused.reason) == (409, "PIN_LAST_TRY")
    assert read_soft_lock(made.path).tries_left == left
    wrong = driver.in_window(None, "999999", useLastTry=True)
    assert (wrong.reason, wrong.json["error"]["triesLeft"]) == ("PIN_WRONG" if left > 1 else "PIN_LOCKED", left - 1)
    assert driver.locks()[0]["pin"]["locked"] is (left == 1)


def test_the_right_pin_in_the_window_gives_all_tries_back_to_the_page(start, locks: Path) -> None:
    make_lock(locks, tries_left=1)
    driver = start(soft_dir=locks)
    assert driver.in_window(None, PIN, useLastTry=True).status == 200
    assert driver.locks()[0]["pin"] == UNTOUCHED
    assert driver.authenticate().status == 200


def test_after_two_wrong_pins_in_a_row_a_page_is_sent_to_the_window(start, locks: Path) -> None:
    """Of any lock: the page may be guessing at several. Another page is not hindered, and a right PIN clears the count."""
    make_lock(locks, serial="3301000000001111")
    made = make_lock(locks, "EC", serial="3301000000002222")
    other = "https://other.gov.example"
    driver = start(soft_dir=locks, origins=[ORIGIN, other])
    locks_by_kind = {lock["algorithm"]: lock["id"] for lock in driver.locks()}
    first, second = locks_by_kind["SM2"], locks_by_kind["EC"]
    assert driver.authenticate(first, pin="999999").reason == "PIN_WRONG"
    assert driver.authenticate(first).status == 200  # in a row: a right one in between starts anew
    assert driver.authenticate(first, pin="999999").reason == "PIN_WRONG"
    assert driver.call("/v1/locks").json["windowOnly"] is False
    assert driver.authenticate(second, pin="999999").reason == "PIN_WRONG"
    assert driver.call("/v1/locks").json["windowOnly"] is True
    assert driver.authenticate(second).reason == "PIN_WINDOW_ONLY"
    assert read_soft_lock(made.path).tries_left == 5
    theirs = driver.call("/v1/locks", origin=other).json
    assert theirs["windowOnly"] is False
    lock = next(lock["id"] for lock in theirs["locks"] if lock["algorithm"] == "EC")
    assert driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": PIN}, origin=other).status == 200
    assert driver.authenticate(second).reason == "PIN_WINDOW_ONLY"
    assert driver.in_window(None, PIN).status == 200
    assert driver.authenticate(second).status == 200


@pytest.mark.parametrize(
    "typed",
    [f"{PIN} ", f" {PIN}", f"{PIN}\u3000", "\uff10\uff11\uff12\uff13\uff14\uff15", "01234\uff15", f"\ufeff{PIN}", f"{PIN}\n"],
)
def test_a_pin_that_was_pasted_with_something_else_costs_no_try(start, locks: Path, typed: str) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    refused = driver.authenticate(lock, pin=typed)
    assert (refused.status, refused.reason) == (400, "PIN_CHARACTERS")
    assert driver.call("/v1/pin/change", {"lock": lock, "oldPin": typed, "newPin": "000777"}).reason == "PIN_CHARACTERS"
    assert driver.in_window(lock, typed).reason == "PIN_CHARACTERS"
    assert driver.locks()[0]["pin"] == UNTOUCHED


def test_a_pin_with_a_blank_at_its_end_can_be_used_when_it_is_meant(start, locks: Path) -> None:
    make_lock(locks, pin="12 45 ")
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    assert driver.authenticate(lock, pin="12 45 ").reason == "PIN_CHARACTERS"
    assert driver.authenticate(lock, pin="12 45 ", asTyped=True).status == 200
    change = {"lock": lock, "oldPin": "12 45 ", "newPin": "654321 ", "asTyped": True}
    assert driver.call("/v1/pin/change", change).reason == "PIN_CHARACTERS"  # no new PIN of that kind is ever set
    assert driver.call("/v1/pin/change", {**change, "newPin": "654321"}).status == 200


def test_change_pin(start, locks: Path) -> None:
    make_lock(locks, default_pin=True)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    wrong = driver.call("/v1/pin/change", {"lock": lock, "oldPin": "999999", "newPin": "000777"})
    assert (wrong.reason, wrong.json["error"]["triesLeft"]) == ("PIN_WRONG", 5)
    assert driver.call("/v1/pin/change", {"lock": lock, "oldPin": PIN, "newPin": "1"}).reason == "PIN_LENGTH"
    changed = driver.call("/v1/pin/change", {"lock": lock, "oldPin": PIN, "newPin": "000777"})
    assert changed.json == {"pin": UNTOUCHED}
    assert driver.authenticate(lock).reason == "PIN_WRONG"
    assert driver.authenticate(lock, pin="000777").status == 200


def test_a_lock_pulled_out_is_said_so(start, locks: Path) -> None:
    made = make_lock(locks)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    unplug(locks, made.serial)
    assert driver.authenticate(lock).reason == "LOCK_REMOVED"
    assert driver.locks() == []


def test_a_handle_dies_with_the_plug(start, locks: Path) -> None:
    made = make_lock(locks)
    driver = start(soft_dir=locks)
    first = driver.locks()[0]["id"]
    assert driver.locks()[0]["id"] == first
    unplug(locks, made.serial)
    until(lambda: driver.locks() == [], "the lock to go")
    plug(locks, made.serial)
    second = until(driver.locks, "the lock to come back")[0]["id"]
    assert second != first
    assert driver.authenticate(first).reason == "LOCK_REMOVED"


def test_plug_and_unplug_reach_the_page(start, locks: Path) -> None:
    made = make_lock(locks, plugged=False)
    driver = start(soft_dir=locks)
    assert driver.locks() == []
    with Events(driver.port) as events:
        first = events.next()
        assert first["event"] == "locks"
        plug(locks, made.serial)
        second = events.next()
        assert second["revision"] > first["revision"]
        assert len(driver.locks()) == 1
        unplug(locks, made.serial)
        third = events.next()
        assert third["revision"] > second["revision"]
        assert driver.locks() == []


def test_two_pages_at_once_are_served_one_after_the_other_or_refused(start, locks: Path) -> None:
    make_lock(locks)
    (locks / "fault").write_text("slow in sign")
    driver = start(soft_dir=locks, faulty=True)
    lock = driver.locks()[0]["id"]
    replies = []
    first = threading.Thread(target=lambda: replies.append(driver.authenticate(lock)))
    first.start()
    until((locks / "signing").exists, "the first to be at the lock")
    second = driver.authenticate(lock)
    assert (second.status, second.reason) == (409, "DRIVER_BUSY")
    (locks / "go").touch()
    first.join()
    verify(replies[0].json)
    assert driver.authenticate(lock).status == 200


def test_diagnosis_names_nobody(start, locks: Path) -> None:
    made = make_lock(locks)
    driver = start(soft_dir=locks)
    driver.authenticate(pin="999999")
    reply = driver.call("/v1/diagnosis")
    assert reply.json["modules"] == [
        {"module": "locks", "backend": "soft", "state": "running", "reason": "", "locks": 1, "restarts": 0}
    ]
    assert reply.json["reasons"] == {"PIN_WRONG": 1}
    for secret in (made.serial, "张三", "练习", PIN, str(locks), "root"):
        assert secret not in reply.body.decode()


def test_an_answer_is_for_the_page_that_asked(start, locks: Path) -> None:
    other = "https://www.zcy.example"
    make_lock(locks)
    driver = start(soft_dir=locks, origins=[ORIGIN, other])
    lock = driver.call("/v1/locks", origin=other).json["locks"][0]["id"]
    answer = driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": PIN}, origin=other).json
    verify(answer, origin=other)
    with pytest.raises(Refusal):
        verify(answer, origin=ORIGIN)
