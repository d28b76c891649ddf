"""Every SAR code of GM/T 0016-2012 Annex A has its name and its reason, and reaches the page as one clear refusal."""

from __future__ import annotations

import pytest
from agent.soft_skf import Pair, SoftSkf, to_sign_for

from calock.agent.backends.skf import SkfBackend
from calock.agent.backends.skf.errors import SAR, SkfError
from calock.core.refusals import Reason, Refusal

# Annex A in the order of its codes, from 0x0A000001 on
ANNEX_A = """
FAIL UNKNOWNERR NOTSUPPORTYETERR FILEERR INVALIDHANDLEERR INVALIDPARAMERR READFILEERR WRITEFILEERR NAMELENERR
KEYUSAGEERR MODULUSLENERR NOTINITIALIZEERR OBJERR MEMORYERR TIMEOUTERR INDATALENERR INDATAERR GENRANDERR HASHOBJERR
HASHERR GENRSAKEYERR RSAMODULUSLENERR CSPIMPRTPUBKEYERR RSAENCERR RSADECERR HASHNOTEQUALERR KEYNOTFOUNDERR
CERTNOTFOUNDERR NOTEXPORTERR DECRYPTPADERR MACLENERR BUFFER_TOO_SMALL KEYINFOTYPEERR NOT_EVENTERR DEVICE_REMOVED
PIN_INCORRECT PIN_LOCKED PIN_INVALID PIN_LEN_RANGE USER_ALREADY_LOGGED_IN USER_PIN_NOT_INITIALIZED USER_TYPE_INVALID
APPLICATION_NAME_INVALID APPLICATION_EXISTS USER_NOT_LOGGED_IN APPLICATION_NOT_EXISTS FILE_ALREADY_EXIST NO_ROOM
FILE_NOT_EXIST REACH_MAX_CONTAINER_COUNT
""".split()  # noqa: SIM905 - fifty quotes more would hide the words


def test_table_is_complete_and_in_order() -> None:
    assert {code: name for code, (name, _) in SAR.items()} == {
        0x0A000001 + index: f"SAR_{name}" for index, name in enumerate(ANNEX_A)
    }
    assert max(SAR) == 0x0A000032


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0x0A000023, Reason.LOCK_REMOVED),
        (0x0A000024, Reason.PIN_WRONG),
        (0x0A000025, Reason.PIN_LOCKED),
        (0x0A000027, Reason.PIN_LENGTH),
        (0x0A00001C, Reason.LOCK_WITHOUT_CERTIFICATE),
        (0x0A00000A, Reason.KEY_USAGE_NOT_SIGNING),
        (0x0A000028, Reason.DRIVER_BUSY),
        (0x00000001, Reason.MODULE_FAILED),
        (0xE0000001, Reason.MODULE_FAILED),
    ],
)
def test_reasons(code: int, reason: Reason) -> None:
    refusal = SkfError("SKF_X", code).refusal()
    assert refusal.reason is reason
    assert refusal.detail.startswith("SKF_X: ")


def test_vendor_code_keeps_its_number() -> None:
    assert SkfError("SKF_ConnectDev", 1).refusal().detail == "SKF_ConnectDev: vendor code 0x00000001"


@pytest.mark.parametrize("code", sorted(SAR))
def test_every_code_while_signing_is_one_refusal_and_the_lock_works_afterwards(
    ports: SoftSkf, backend: SkfBackend, pairs: dict[str, Pair], code: int
) -> None:
    ports.add("key0", {"c": (pairs["SM2"], None)})
    (record,) = backend.list_locks().locks

    def sign() -> bytes:
        return backend.sign(
            record.key, certificate=record.certificate, pin=bytearray(b"012345"),
            signing_input=to_sign_for(record.certificate), consent="window",
        )  # fmt: skip

    ports.fault(f"ECCSignData fail={code:08X}")
    with pytest.raises(Refusal) as refused:
        sign()
    assert refused.value.reason is SAR[code][1]
    assert not ports.logged_in("key0")
    ports.fault()
    assert len(sign()) == 64
