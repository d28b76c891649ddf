"""One SKF lock through its whole use: list, sign, PIN. Every test runs against both ULONG builds of the library."""

from __future__ import annotations

import pytest
from agent.soft_skf import PIN, Pair, SoftSkf, to_sign_for

from calock.agent import signing
from calock.agent.backends.base import Consent, LockRecord
from calock.agent.backends.skf import SkfBackend
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

ALGORITHMS = ("SM2", "RSA")


def only(backend: SkfBackend) -> LockRecord:
    listing = backend.list_locks()
    assert listing.problems == ()
    (record,) = listing.locks
    return record


def change_pin(backend: SkfBackend, record: LockRecord, old: bytes, new: bytes) -> None:
    backend.change_pin(record.key, certificate=record.certificate, old=bytearray(old), new=bytearray(new), consent="window")


def sign(backend: SkfBackend, record: LockRecord, pin: str = PIN, *, consent: Consent = "window") -> bytes:
    wanted = to_sign_for(record.certificate)
    signature = backend.sign(
        record.key, certificate=record.certificate, pin=bytearray(pin.encode()), signing_input=wanted, consent=consent
    )
    signing.require_good_signature(Certificate.parse(record.certificate), wanted, signature)
    return signature


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def lock(ports: SoftSkf, pairs: dict[str, Pair], algorithm: str) -> SoftSkf:
    ports.add("key0", {"{C-1}": (pairs[algorithm], pairs[f"{algorithm}-enc"])})
    return ports


def test_lists_what_the_lock_holds(lock: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], algorithm: str) -> None:
    record = only(backend)
    assert record.certificate == pairs[algorithm].certificate  # the signing one, not the encryption one beside it
    assert (record.serial, record.label, record.manufacturer) == ("3301000045102205", "测试锁", "Soft SKF")
    assert (record.pin.tries_left, record.pin.tries_max, record.pin.locked, record.pin.default) == (6, 6, False, False)


def test_signs_with_a_pin_that_starts_with_zero(lock: SoftSkf, backend: SkfBackend) -> None:
    assert sign(backend, only(backend), "012345")


def test_signature_leaves_no_open_lock_behind(lock: SoftSkf, backend: SkfBackend) -> None:
    record = only(backend)
    lock.start_trace()
    sign(backend, record)
    calls = lock.trace()
    assert not lock.logged_in("key0")
    assert calls.index("GetPINInfo") < calls.index("VerifyPIN") < calls.index("ClearSecureState") < calls.index("CloseApplication")
    assert calls.count("OpenContainer") == calls.count("CloseContainer")
    assert calls[-1] == "DisConnectDev"


def test_wrong_pin_costs_one_try_and_says_how_many_are_left(lock: SoftSkf, backend: SkfBackend) -> None:
    record = only(backend)
    with pytest.raises(Refusal) as refused:
        sign(backend, record, "999999")
    assert (refused.value.reason, refused.value.facts["tries_left"]) == (Reason.PIN_WRONG, 5)
    assert lock.field("key0", "left") == "5"
    assert not lock.logged_in("key0")
    assert "999999" not in str(refused.value)
    sign(backend, record)
    assert lock.field("key0", "left") == "6"


@pytest.mark.parametrize("left", [1, 2])
def test_the_last_two_tries_need_the_users_word(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], left: int) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, left=left)
    record = only(backend)
    with pytest.raises(Refusal) as refused:
        sign(backend, record)
    assert (refused.value.reason, refused.value.facts["tries_left"]) == (Reason.PIN_LAST_TRY, left)
    with pytest.raises(Refusal) as refused:
        sign(backend, record, consent="page")
    assert refused.value.reason is Reason.PIN_WINDOW_ONLY
    assert ports.field("key0", "left") == str(left)
    sign(backend, record, consent="released")
    assert ports.field("key0", "left") == "6"


def test_last_try_that_fails_locks_and_says_so(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, left=1)
    record = only(backend)
    with pytest.raises(Refusal) as refused:
        sign(backend, record, "999999", consent="released")
    assert (refused.value.reason, refused.value.facts["tries_left"]) == (Reason.PIN_LOCKED, 0)


def test_locked_pin_is_seen_before_and_never_tried(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, left=0)
    record = only(backend)
    assert record.pin.locked
    ports.start_trace()
    with pytest.raises(Refusal) as refused:
        sign(backend, record, consent="released")
    assert refused.value.reason is Reason.PIN_LOCKED
    assert "VerifyPIN" not in ports.trace()


@pytest.mark.parametrize(("pin", "reason"), [("", Reason.PIN_MISSING), ("12345", Reason.PIN_LENGTH), ("1" * 17, Reason.PIN_LENGTH)])
def test_impossible_pin_costs_no_try(lock: SoftSkf, backend: SkfBackend, pin: str, reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        sign(backend, only(backend), pin)
    assert refused.value.reason is reason
    assert lock.field("key0", "left") == "6"


def test_default_pin_is_reported_until_it_is_changed(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, pin="111111", default=True)
    record = only(backend)
    assert record.pin.default
    backend.change_pin(
        record.key, certificate=record.certificate, old=bytearray(b"111111"), new=bytearray(b"000123"), consent="window"
    )
    record = only(backend)
    assert not record.pin.default
    assert not ports.logged_in("key0")
    sign(backend, record, "000123")
    with pytest.raises(Refusal):
        sign(backend, record, "111111")


def test_change_pin_follows_the_same_rules(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, left=3)
    record = only(backend)

    def change(old: bytes, new: bytes) -> Refusal:
        with pytest.raises(Refusal) as refused:
            change_pin(backend, record, old, new)
        return refused.value

    assert change(b"012345", b"12345").reason is Reason.PIN_LENGTH
    wrong = change(b"999999", b"123456")
    assert (wrong.reason, wrong.facts["tries_left"]) == (Reason.PIN_WRONG, 2)
    assert change(b"012345", b"123456").reason is Reason.PIN_LAST_TRY
    assert ports.field("key0", "user") == PIN


def test_several_locks_containers_and_certificates(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"new": (pairs["SM2"], pairs["SM2-enc"]), "old": (pairs["expired"], None), "empty": (None, None)})
    ports.add("key1", {"锁 1/2".replace("/", "-"): (pairs["RSA"], None)}, serial="99")
    ports.add("key2", {"only-enc": (None, pairs["SM2-enc"])}, serial="77")
    listing = backend.list_locks()
    assert [(r.device, r.certificate) for r in listing.locks] == [
        ("key0", pairs["SM2"].certificate),
        ("key0", pairs["expired"].certificate),
        ("key1", pairs["RSA"].certificate),
    ]
    assert [problem.reason for problem in listing.problems] == [Reason.LOCK_WITHOUT_CERTIFICATE]
    assert len({r.key for r in listing.locks}) == 3
    for record in listing.locks:
        assert sign(backend, record)


def test_lock_without_anything(ports: SoftSkf, backend: SkfBackend) -> None:
    ports.add("key0", {})
    assert [problem.reason for problem in backend.list_locks().problems] == [Reason.LOCK_WITHOUT_CERTIFICATE]


def test_no_lock_at_all(ports: SoftSkf, backend: SkfBackend) -> None:
    assert backend.list_locks().locks == ()
    assert backend.list_locks().problems == ()


def test_certificate_replaced_behind_our_back(lock: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    record = only(backend)
    (lock.root / "key0" / "CAAPP" / "containers" / "{C-1}" / "sign.crt").write_bytes(pairs["expired"].certificate)
    with pytest.raises(Refusal) as refused:
        sign(backend, record)
    assert refused.value.reason is Reason.LOCK_CHANGED
    assert lock.field("key0", "left") == "6"


def test_open_lock_of_another_program_does_not_stand_in_for_the_pin(lock: SoftSkf, backend: SkfBackend) -> None:
    record = only(backend)
    sign(backend, record)
    lock.root.joinpath("key0", "CAAPP", "session").write_text("plugged 1\n")  # left logged in by another program
    with pytest.raises(Refusal) as refused:
        sign(backend, record, "999999")
    assert refused.value.reason is Reason.PIN_WRONG
    assert not lock.logged_in("key0")


def test_pulled_out_before(lock: SoftSkf, backend: SkfBackend) -> None:
    record = only(backend)
    lock.unplug("key0")
    with pytest.raises(Refusal) as refused:
        sign(backend, record)
    assert refused.value.reason is Reason.LOCK_REMOVED
    assert backend.list_locks().locks == ()


@pytest.mark.parametrize("function", ["VerifyPIN", "ECCSignData", "ExportCertificate", "GetPINInfo"])
def test_pulled_out_in_the_middle(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], function: str) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    record = only(backend)
    ports.fault(f"{function} remove")
    with pytest.raises(Refusal) as refused:
        sign(backend, record)
    assert refused.value.reason is Reason.LOCK_REMOVED
    ports.fault()
    ports.plug("key0")
    assert sign(backend, only(backend))


def test_unknown_key_text_is_refused(lock: SoftSkf, backend: SkfBackend) -> None:
    record = only(backend)
    for key in ("", "key0", "a/b/c/d", "../../x/y/z"):
        with pytest.raises(Refusal):
            backend.change_pin(
                key, certificate=record.certificate, old=bytearray(b"012345"), new=bytearray(b"123456"), consent="window"
            )
    assert record.key.startswith("key0/")
