"""A broken lock or library costs one clear refusal."""

from __future__ import annotations

import pytest
from agent.soft_skf import Pair, SoftSkf, Width, to_sign_for

from calock.agent import signing
from calock.agent.backends.base import LockRecord
from calock.agent.backends.skf import SkfBackend
from calock.agent.signing import SigningInput
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal


@pytest.fixture
def sm2(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> LockRecord:
    ports.add("key0", {"c": (pairs["SM2"], pairs["SM2-enc"])})
    return backend.list_locks().locks[0]


@pytest.fixture
def rsa(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> LockRecord:
    ports.add("key1", {"c": (pairs["RSA"], None)})
    return backend.list_locks().locks[-1]


def sign_once(backend: SkfBackend, record: LockRecord) -> bytes:
    wanted = to_sign_for(record.certificate)
    signature = backend.sign(
        record.key, certificate=record.certificate, pin=bytearray(b"012345"), signing_input=wanted, consent="window"
    )
    signing.require_good_signature(Certificate.parse(record.certificate), wanted, signature)  # as the driver does with each
    return signature


def refusal_of(backend: SkfBackend, record: LockRecord) -> Refusal:
    with pytest.raises(Refusal) as refused:
        sign_once(backend, record)
    return refused.value


@pytest.mark.parametrize(("fault", "reason"), [("wrong-signature", Reason.LOCK_SIGNATURE_WRONG), ("zero", Reason.MODULE_FAILED)])
def test_wrong_sm2_signature_never_leaves(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord, fault: str, reason: Reason) -> None:
    ports.fault(f"ECCSignData {fault}")
    assert refusal_of(backend, sm2).reason is reason
    assert not ports.logged_in("key0")
    ports.fault()
    assert sign_once(backend, sm2)


@pytest.mark.parametrize(
    ("fault", "reason"), [("wrong-signature", Reason.LOCK_SIGNATURE_WRONG), ("wrong-length", Reason.MODULE_FAILED)]
)
def test_wrong_rsa_signature_never_leaves(ports: SoftSkf, backend: SkfBackend, rsa: LockRecord, fault: str, reason: Reason) -> None:
    ports.fault(f"RSASignData {fault}")
    assert refusal_of(backend, rsa).reason is reason
    assert not ports.logged_in("key1")


def test_rsa_lock_that_adds_the_digest_info_itself(ports: SoftSkf, backend: SkfBackend, rsa: LockRecord) -> None:
    ports.fault("RSASignData adds-digest-info")
    ports.start_trace()
    assert len(sign_once(backend, rsa)) == 256
    assert ports.trace().count("VerifyPIN") == 1  # the second form costs no second PIN


@pytest.mark.parametrize("fault", ["short", "noise", "wrong-length"])
def test_broken_certificate_in_the_lock(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], fault: str) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault(f"ExportCertificate {fault}")
    listing = backend.list_locks()
    if fault == "wrong-length":
        assert (listing.locks, [problem.reason for problem in listing.problems]) == ((), [Reason.MODULE_FAILED])
    else:
        with pytest.raises(Refusal):
            Certificate.parse(listing.locks[0].certificate)
    ports.fault()
    assert backend.list_locks().problems == ()


def test_one_broken_lock_does_not_hide_the_other(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("good", {"c": (pairs["SM2"], None)})
    ports.add("half", {"c": (pairs["RSA"], None)})
    (ports.root / "half" / "CAAPP" / "containers" / "c" / "sign.crt").unlink()
    listing = backend.list_locks()
    assert [record.device for record in listing.locks] == ["good"]
    assert [problem.reason for problem in listing.problems] == [Reason.LOCK_WITHOUT_CERTIFICATE]


@pytest.mark.parametrize(
    "fault",
    [
        "OpenApplication fails-for=ESEAL",
        "OpenContainer fails-for=a",
        "ExportCertificate nothing-fails",
        "ExportCertificate nothing-ok",
    ],
)
def test_what_a_lock_does_not_open_hides_nothing_else_in_it(
    ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], fault: str
) -> None:
    """Seal applications and containers that were never filled: vendors answer for them as they like."""
    ports.add("key0", {"a": (None, None), "b": (pairs["SM2"], None)})
    ports.add("key0", {"s": (None, None)}, application="ESEAL")
    ports.add("key0", {"t": (pairs["RSA"], None)}, application="ZZ")
    ports.fault(fault)
    listing = backend.list_locks()
    assert [record.certificate for record in listing.locks] == [pairs["SM2"].certificate, pairs["RSA"].certificate]
    assert listing.problems == ()
    for record in listing.locks:
        assert sign_once(backend, record)


def test_a_lock_of_which_nothing_opens_says_why(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"a": (None, None), "b": (pairs["SM2"], None)})
    ports.fault("OpenContainer fails-for=b")
    assert [problem.reason for problem in backend.list_locks().problems] == [Reason.MODULE_FAILED]


def test_noise_instead_of_device_information(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], width: Width) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    ports.fault("GetDevInfo noise")
    listing = backend.list_locks()
    if width == 64:  # random 64-bit numbers cannot be a DEVINFO's; 32-bit ones can
        assert (listing.locks, [problem.reason for problem in listing.problems]) == ((), [Reason.MODULE_FAILED])
    else:
        assert (listing.locks[0].serial + listing.locks[0].label + listing.locks[0].manufacturer).isprintable()


def test_lock_that_does_not_tell_its_tries(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    ports.fault("GetPINInfo fail=0A000003")
    (record,) = backend.list_locks().locks
    assert (record.pin.tries_left, record.pin.locked) == (None, False)
    assert sign_once(backend, sm2)


def change_pin(backend: SkfBackend, record: LockRecord, old: bytes) -> None:
    new = bytearray(b"222222")
    backend.change_pin(record.key, certificate=record.certificate, old=bytearray(old), new=new, consent="window")


def test_lock_that_tells_its_tries_only_after_a_wrong_pin(ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair]) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)}, left=3)
    ports.fault("GetPINInfo fail=0A000003")
    (record,) = backend.list_locks().locks
    with pytest.raises(Refusal) as wrong:
        change_pin(backend, record, b"999999")
    assert wrong.value.facts["tries_left"] == 2
    assert backend.list_locks().locks[0].pin.tries_left == 2
    assert refusal_of(backend, record).reason is Reason.PIN_LAST_TRY
    assert ports.field("key0", "left") == "2"
    ports.unplug("key0")
    assert backend.list_locks().locks == ()
    ports.plug("key0")
    assert backend.list_locks().locks[0].pin.tries_left is None  # it may have been unlocked elsewhere meanwhile
    change_pin(backend, record, b"012345")
    assert backend.list_locks().locks[0].pin.tries_left is None


def test_a_wrong_pin_counts_as_one_whichever_code_says_it(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    ports.fault("VerifyPIN fail=0A000026")  # SAR_PIN_INVALID
    assert refusal_of(backend, sm2).reason is Reason.PIN_WRONG
    assert backend.list_locks().locks[0].pin.wrong_before is True


def test_a_new_pin_that_the_lock_refuses_is_no_wrong_pin(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    ports.fault("ChangePIN fail=0A000026")
    with pytest.raises(Refusal) as refused:
        change_pin(backend, sm2, b"012345")
    assert refused.value.reason is Reason.PIN_LENGTH
    assert backend.list_locks().locks[0].pin == sm2.pin


@pytest.mark.parametrize(("habit", "told"), [("invalid", True), ("invalid", False), ("zero", True)])
def test_a_wrong_pin_for_which_a_library_counts_nothing_is_counted_and_locks_nothing(
    ports: SoftSkf, backend: SkfBackend, sm2: LockRecord, habit: str, *, told: bool
) -> None:
    ports.fault(f"TryPIN {habit}", *([] if told else ["GetPINInfo fail=0A000003"]))
    with pytest.raises(Refusal) as refused:
        change_pin(backend, sm2, b"999999")
    assert (refused.value.reason, refused.value.facts.get("tries_left")) == (Reason.PIN_WRONG, 5 if told else None)
    pin = backend.list_locks().locks[0].pin
    assert (pin.wrong_before, pin.locked) == (True, False)


def test_unreadable_pin_state_is_no_licence_to_try(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    ports.fault("GetPINInfo fail=0A000001")
    ports.start_trace()
    assert refusal_of(backend, sm2).reason is Reason.MODULE_FAILED
    assert "VerifyPIN" not in ports.trace()


@pytest.mark.parametrize(
    "function", ["ConnectDev", "OpenApplication", "OpenContainer", "ExportCertificate", "VerifyPIN", "ECCSignData"]
)
def test_failing_function_is_named_and_nothing_stays_open(
    ports: SoftSkf, backend: SkfBackend, sm2: LockRecord, function: str
) -> None:
    ports.fault(f"{function} fail=0A000001")
    refusal = refusal_of(backend, sm2)
    assert refusal.reason is Reason.MODULE_FAILED
    assert f"SKF_{function}: SAR_FAIL" in refusal.detail
    assert not ports.logged_in("key0")
    ports.fault()
    assert sign_once(backend, sm2)


def test_failure_to_log_out_does_not_hide_the_answer(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    ports.fault("ClearSecureState fail=0A000001")
    assert sign_once(backend, sm2)


def test_already_logged_in_is_cleared_then_tried(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    ports.fault("VerifyPIN fail=0A000028")
    ports.start_trace()
    assert refusal_of(backend, sm2).reason is Reason.DRIVER_BUSY
    calls = ports.trace()
    assert calls.count("VerifyPIN") == 2
    assert calls[calls.index("VerifyPIN") + 1] == "ClearSecureState"


def test_key_of_another_kind_is_the_locks_own_refusal(
    ports: SoftSkf, backend: SkfBackend, sm2: LockRecord, rsa: LockRecord
) -> None:
    with pytest.raises(Refusal) as refused:
        backend.sign(
            sm2.key,
            certificate=sm2.certificate,
            pin=bytearray(b"012345"),
            signing_input=to_sign_for(rsa.certificate),
            consent="window",
        )
    assert refused.value.reason is Reason.KEY_USAGE_NOT_SIGNING
    assert not ports.logged_in("key0")


def test_algorithm_that_no_skf_lock_has_costs_no_try(ports: SoftSkf, backend: SkfBackend, sm2: LockRecord) -> None:
    wanted = SigningInput("ES256", b"m", b"e" * 32)
    ports.start_trace()
    with pytest.raises(Refusal) as refused:
        backend.sign(sm2.key, certificate=sm2.certificate, pin=bytearray(b"012345"), signing_input=wanted, consent="window")
    assert refused.value.reason is Reason.ALGORITHM_NOT_ALLOWED
    assert ports.trace() == []
