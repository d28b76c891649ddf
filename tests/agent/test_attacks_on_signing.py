"""What is signed, and with which PIN: rows B08 to B13, B18, B19, B23, B26, B27 and B33 of the attack catalogue.

What a browser does with them is in test_hostile_web.py. The table of rows, defences and tests is docs/threats.md.
"""

from __future__ import annotations

import base64
import threading
import time
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, make_certificate, make_lock, until
from agent.test_service import verify

from calock.agent.backends.soft import SoftBackend
from calock.agent.backends.softlock import read_soft_lock
from calock.agent.signing import prepare
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement
from calock.demo import pki

# --- B08, B09, B27: what is signed


@pytest.mark.parametrize("field", ["origin", "Origin", "serverName", "url", "signOrigin"])
def test_b08_a_page_cannot_name_the_origin(shared_driver, field: str) -> None:
    lock = shared_driver.locks()[0]["id"]
    message = {"lock": lock, "challenge": CHALLENGE, "pin": PIN, field: "https://bank.example"}
    assert shared_driver.call("/v1/authenticate", message).reason == "REQUEST_MALFORMED"


@pytest.mark.parametrize("extra", [{"hash": "aa" * 32}, {"data": "x"}, {"csr": "x"}, {"algorithm": "none"}, {"digest": "sha256"}])
def test_b09_there_is_no_field_for_anything_else_to_sign(shared_driver, extra: dict) -> None:
    lock = shared_driver.locks()[0]["id"]
    reply = shared_driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": PIN, **extra})
    assert reply.reason == "REQUEST_MALFORMED"


@pytest.mark.parametrize(
    "challenge", ["", "a" * 43, "a" * 129, "a\nb" * 20, "x" * 43 + "\x00", "挑战" * 30, "<script>" * 8, " " * 64]
)
def test_b09_what_is_no_challenge_is_refused_before_the_pin_is_tried(shared_driver, challenge: str) -> None:
    assert shared_driver.authenticate(challenge=challenge, pin="999999").reason == "CHALLENGE_MALFORMED"
    assert shared_driver.locks()[0]["pin"]["triesLeft"] == 6


@pytest.mark.parametrize("algorithm", ["SM2", "RSA", "EC"])
def test_b09_a_hash_given_as_challenge_is_not_what_gets_signed(algorithm: pki.Algorithm) -> None:
    key = pki.make_key(algorithm)
    certificate = Certificate.parse(make_certificate(key))
    document = bytes(range(32))
    made = prepare(certificate, origin=ORIGIN, challenge=document.hex())
    assert document not in made.message
    assert document not in made.e
    assert made.message == signatures.signed_message(made.algorithm, ORIGIN, document.hex())


# --- B33: what is signed is what was said


def _stated(origin: str = ORIGIN, purpose: str = "bind", account: str = "cssbjgys02") -> Statement:
    return Statement(purpose, "shanxi", origin, "2026-11-29T00:00:00Z", account=account, organisation="测试供应商")


def _challenge(said: Statement) -> str:
    return f"c2.{said.purpose}.t4k2qo.{'r' * 22}.{said.digest}.{'m' * 33}"


WRONG_STATEMENTS = {
    "another account": (_stated(), _stated(account="another").text()),
    "another site": (_stated("https://other.example"), _stated("https://other.example").text()),
    "another purpose": (_stated(), _stated(purpose="login").text()),
    "not canonical": (_stated(), _stated().text().replace(":", ": ", 1)),
    "no statement": (_stated(), "绑定"),
}


@pytest.mark.parametrize("wrong", WRONG_STATEMENTS)
def test_b33_a_statement_that_is_not_the_challenges_is_refused_and_no_pin_tried(shared_driver, wrong: str) -> None:
    said, text = WRONG_STATEMENTS[wrong]
    assert shared_driver.authenticate(challenge=_challenge(said), statement=text, pin="999999").reason == "CHALLENGE_MALFORMED"
    window = shared_driver.open_window(_challenge(said))
    assert window("statement", statement=text).reason == "CHALLENGE_MALFORMED"
    lock = shared_driver.locks()[0]["id"]
    assert window("sign", lock=lock, pin="999999").reason == "SESSION_ENDED"
    assert shared_driver.locks()[0]["pin"]["triesLeft"] == 6


def test_b33_the_window_says_what_is_signed_and_older_pages_need_not_say_it(shared_driver) -> None:
    challenge, text = _challenge(_stated()), _stated().text()
    assert shared_driver.call("/v1/hello").json["takes"] == ["statement"]
    verify(shared_driver.authenticate(challenge=challenge, statement=text).json, challenge=challenge)
    verify(shared_driver.authenticate(challenge=challenge).json, challenge=challenge)
    window = shared_driver.open_window(challenge)
    assert window("statement", statement=text).json == {"text": "为账户 cssbjgys02 绑定此 CA 锁（测试供应商）"}
    assert window("sign", lock=shared_driver.locks()[0]["id"], pin=PIN).status == 200


def test_b27_an_answer_for_one_platform_is_worthless_at_another(shared_driver) -> None:
    answer = shared_driver.authenticate().json
    verify(answer)
    for elsewhere in ("https://www.other.example", ORIGIN + ":444", "null", ""):
        with pytest.raises(Refusal):
            verify(answer, origin=elsewhere)


# --- B10, B12, B13: an allowed page gone bad


def test_b10_ten_signatures_are_given_at_once_and_no_hundreds(start, locks: Path) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    began = time.monotonic()
    reasons = [driver.authenticate(lock).reason for _ in range(200)]
    minutes = (time.monotonic() - began) / 60
    assert 10 <= reasons.count("") <= 10 + 20 * minutes + 1
    assert reasons.count("TOO_MANY_ATTEMPTS") == 200 - reasons.count("")


def test_b12_guessing_ends_after_two_wrong_pins(start, locks: Path) -> None:
    made = make_lock(locks)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    reasons = [driver.authenticate(lock, pin=f"{number:06}").reason for number in range(9)]
    assert reasons == ["PIN_WRONG"] * 2 + ["PIN_WINDOW_ONLY"] * 7
    assert read_soft_lock(made.path).tries_left == 4


def test_b31_all_allowed_pages_together_never_reach_the_last_two_tries(start, locks: Path) -> None:
    made = make_lock(locks)
    origins = [f"https://site{number}.gov.example" for number in range(4)]
    driver = start(soft_dir=locks, origins=origins)
    for origin in origins:
        lock = driver.call("/v1/locks", origin=origin).json["locks"][0]["id"]
        for number in range(3):
            message = {"lock": lock, "challenge": CHALLENGE, "pin": f"{number:06}", "useLastTry": True}
            assert driver.call("/v1/authenticate", message, origin=origin).reason in ("PIN_WRONG", "PIN_WINDOW_ONLY")
    assert read_soft_lock(made.path).tries_left == 2


def test_b13_no_pin_is_kept(driver) -> None:
    assert driver.authenticate().status == 200
    assert driver.authenticate(pin="").reason == "PIN_MISSING"
    assert driver.authenticate(pin="543210").reason == "PIN_WRONG"


# --- B11: the PIN is nowhere


def test_b11_logs_and_refusals_hold_no_pin_challenge_token_or_name(start, locks: Path) -> None:
    pin = "8431-secret"
    made = make_lock(locks, pin=pin)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    signature = driver.authenticate(lock, pin=pin).json["token"]["signature"]
    page_headers = {"Content-Type": "application/json", "X-Calock": "1", "Origin": ORIGIN}
    refusals = [
        driver.authenticate(lock, pin=pin + "x"),
        driver.authenticate(lock, pin=pin * 4),
        driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": pin, "extra": pin}),
        driver.call("/v1/authenticate", {"lock": [pin], "challenge": CHALLENGE, "pin": pin}),
        driver.request("POST", "/v1/authenticate", f'{{"pin": "{pin}" "'.encode(), page_headers),
        driver.call("/v1/pin/change", {"lock": lock, "oldPin": pin + "y", "newPin": pin + "z"}),
        driver.call(f"/v1/{pin}", {"pin": pin}),
    ]  # fmt: skip
    assert all(reply.status >= 400 for reply in refusals)
    driver.close()
    said = driver.log + "".join(reply.body.decode() for reply in refusals)
    for secret in (pin, CHALLENGE, lock, made.serial, "张三", "太原", signature, base64.b64encode(made.certificate).decode()):
        assert secret not in said
    assert "Traceback" not in driver.log


# --- B18, B19: swaps and lists


def test_b18_a_lock_swapped_under_the_same_name_is_noticed(locks: Path) -> None:
    shown = make_lock(locks, "EC")
    backend = SoftBackend(locks)
    [record] = backend.list_locks().locks
    make_lock(locks, "EC")
    signing_input = prepare(Certificate.parse(shown.certificate), origin=ORIGIN, challenge=CHALLENGE)
    with pytest.raises(Refusal) as refused:
        backend.sign(
            record.key, certificate=record.certificate, pin=bytearray(PIN.encode()), signing_input=signing_input, consent="window"
        )
    assert refused.value.reason is Reason.LOCK_CHANGED
    assert backend.list_locks().locks[0].pin.tries_left == 6


def test_b18_and_through_the_driver(driver, locks: Path) -> None:
    lock = driver.locks()[0]["id"]
    make_lock(locks, "EC")
    reply = driver.authenticate(lock)
    assert reply.reason in ("LOCK_CHANGED", "LOCK_REMOVED")  # which one depends on whether the driver has looked again yet


def test_b18_one_operation_at_a_time(start, locks: Path) -> None:
    make_lock(locks)
    (locks / "fault").write_text("slow in sign")
    driver = start(soft_dir=locks, faulty=True)
    lock = driver.locks()[0]["id"]
    replies_: list = []
    threads = [threading.Thread(target=lambda: replies_.append(driver.authenticate(lock).reason)) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(replies_) == 7, "all but one to be refused")
    (locks / "go").touch()
    for thread in threads:
        thread.join()
    assert sorted(replies_) == [""] + ["DRIVER_BUSY"] * 7


def test_b19_two_platforms_cannot_follow_one_lock_by_its_handle(start, locks: Path) -> None:
    make_lock(locks)
    other = "https://www.zcy.example"
    driver = start(soft_dir=locks, origins=[ORIGIN, other])
    [mine], [theirs] = driver.locks(), driver.call("/v1/locks", origin=other).json["locks"]
    assert mine["id"] != theirs["id"]
    assert mine["device"] != theirs["device"]
    stolen = driver.call("/v1/authenticate", {"lock": theirs["id"], "challenge": CHALLENGE, "pin": PIN})
    assert stolen.reason == "LOCK_UNKNOWN"


def test_b19_certificate_and_serial_come_only_with_an_answer(driver) -> None:
    listed = driver.call("/v1/locks").body
    assert b"MII" not in listed
    assert b"3301000045102205" not in listed
    refused = driver.authenticate(pin="999999").body
    assert b"3301000045102205" not in refused


# --- B23, B26: what a lock may hold


@pytest.mark.parametrize(
    "certificate",
    [
        b"\x30\x82\xff\xff" + bytes(100),
        bytes(60_000)[: 16 * 1024 + 1],
        b"\x30\x80" * 2000,
        b"not a certificate",
        b"\x30\x03\x02\x01\x01",
    ],
)
def test_b26_an_unreadable_certificate_spoils_nothing_else(start, locks: Path, certificate: bytes) -> None:
    make_lock(locks, serial="1")
    make_lock(locks, serial="2", key=pki.make_key("SM2"), certificate=certificate)
    driver = start(soft_dir=locks)
    reply = driver.call("/v1/locks").json
    assert len(reply["locks"]) == 1
    assert reply["problems"][0]["reason"] in ("CERTIFICATE_UNPARSABLE", "CERTIFICATE_TOO_LARGE", "CERTIFICATE_VERSION")
    assert driver.authenticate().status == 200


def test_b26_names_are_made_harmless_to_show(start, locks: Path) -> None:
    name = "甲\u202e\u0007\x1b[31m<img src=x>\n乙"
    make_lock(locks, issue={"name": name})
    [lock] = start(soft_dir=locks).locks()
    assert not any(ord(character) < 32 or character in "\u202e\u2066" for character in lock["name"])
    assert lock["name"].endswith("乙")
