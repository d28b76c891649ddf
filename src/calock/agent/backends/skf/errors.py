"""SAR result codes of a SKF library and the reason each one becomes.

Source: GM/T 0016-2012 Annex A. Vendors also return codes of their own; those become MODULE_FAILED with the number in the detail.
"""

from __future__ import annotations

from typing import Final

from calock.core.refusals import Reason, Refusal

OK: Final = 0
NOT_SUPPORTED: Final = 0x0A000003
BUFFER_TOO_SMALL: Final = 0x0A000020
DEVICE_REMOVED: Final = 0x0A000023
PIN_LOCKED: Final = 0x0A000025
PIN_INVALID: Final = 0x0A000026
ALREADY_LOGGED_IN: Final = 0x0A000028

_R = Reason
SAR: Final[dict[int, tuple[str, Reason]]] = {
    0x0A000001: ("SAR_FAIL", _R.MODULE_FAILED),
    0x0A000002: ("SAR_UNKNOWNERR", _R.MODULE_FAILED),
    0x0A000003: ("SAR_NOTSUPPORTYETERR", _R.MODULE_FAILED),
    0x0A000004: ("SAR_FILEERR", _R.MODULE_FAILED),
    0x0A000005: ("SAR_INVALIDHANDLEERR", _R.MODULE_FAILED),
    0x0A000006: ("SAR_INVALIDPARAMERR", _R.MODULE_FAILED),
    0x0A000007: ("SAR_READFILEERR", _R.MODULE_FAILED),
    0x0A000008: ("SAR_WRITEFILEERR", _R.MODULE_FAILED),
    0x0A000009: ("SAR_NAMELENERR", _R.MODULE_FAILED),
    0x0A00000A: ("SAR_KEYUSAGEERR", _R.KEY_USAGE_NOT_SIGNING),
    0x0A00000B: ("SAR_MODULUSLENERR", _R.MODULE_FAILED),
    0x0A00000C: ("SAR_NOTINITIALIZEERR", _R.MODULE_FAILED),
    0x0A00000D: ("SAR_OBJERR", _R.MODULE_FAILED),
    0x0A00000E: ("SAR_MEMORYERR", _R.MODULE_FAILED),
    0x0A00000F: ("SAR_TIMEOUTERR", _R.MODULE_FAILED),
    0x0A000010: ("SAR_INDATALENERR", _R.MODULE_FAILED),
    0x0A000011: ("SAR_INDATAERR", _R.MODULE_FAILED),
    0x0A000012: ("SAR_GENRANDERR", _R.MODULE_FAILED),
    0x0A000013: ("SAR_HASHOBJERR", _R.MODULE_FAILED),
    0x0A000014: ("SAR_HASHERR", _R.MODULE_FAILED),
    0x0A000015: ("SAR_GENRSAKEYERR", _R.MODULE_FAILED),
    0x0A000016: ("SAR_RSAMODULUSLENERR", _R.MODULE_FAILED),
    0x0A000017: ("SAR_CSPIMPRTPUBKEYERR", _R.MODULE_FAILED),
    0x0A000018: ("SAR_RSAENCERR", _R.MODULE_FAILED),
    0x0A000019: ("SAR_RSADECERR", _R.MODULE_FAILED),
    0x0A00001A: ("SAR_HASHNOTEQUALERR", _R.MODULE_FAILED),
    0x0A00001B: ("SAR_KEYNOTFOUNDERR", _R.LOCK_WITHOUT_KEY),
    0x0A00001C: ("SAR_CERTNOTFOUNDERR", _R.LOCK_WITHOUT_CERTIFICATE),
    0x0A00001D: ("SAR_NOTEXPORTERR", _R.MODULE_FAILED),
    0x0A00001E: ("SAR_DECRYPTPADERR", _R.MODULE_FAILED),
    0x0A00001F: ("SAR_MACLENERR", _R.MODULE_FAILED),
    0x0A000020: ("SAR_BUFFER_TOO_SMALL", _R.MODULE_FAILED),
    0x0A000021: ("SAR_KEYINFOTYPEERR", _R.MODULE_FAILED),
    0x0A000022: ("SAR_NOT_EVENTERR", _R.MODULE_FAILED),
    0x0A000023: ("SAR_DEVICE_REMOVED", _R.LOCK_REMOVED),
    0x0A000024: ("SAR_PIN_INCORRECT", _R.PIN_WRONG),
    0x0A000025: ("SAR_PIN_LOCKED", _R.PIN_LOCKED),
    0x0A000026: ("SAR_PIN_INVALID", _R.PIN_WRONG),
    0x0A000027: ("SAR_PIN_LEN_RANGE", _R.PIN_LENGTH),
    0x0A000028: ("SAR_USER_ALREADY_LOGGED_IN", _R.DRIVER_BUSY),  # another program on this computer uses the lock
    0x0A000029: ("SAR_USER_PIN_NOT_INITIALIZED", _R.LOCK_WITHOUT_CERTIFICATE),  # as empty as that: only the CA can help
    0x0A00002A: ("SAR_USER_TYPE_INVALID", _R.MODULE_FAILED),
    0x0A00002B: ("SAR_APPLICATION_NAME_INVALID", _R.MODULE_FAILED),
    0x0A00002C: ("SAR_APPLICATION_EXISTS", _R.MODULE_FAILED),
    0x0A00002D: ("SAR_USER_NOT_LOGGED_IN", _R.DRIVER_BUSY),  # another program cleared the PIN state between our two calls
    0x0A00002E: ("SAR_APPLICATION_NOT_EXISTS", _R.LOCK_WITHOUT_CERTIFICATE),
    0x0A00002F: ("SAR_FILE_ALREADY_EXIST", _R.MODULE_FAILED),
    0x0A000030: ("SAR_NO_ROOM", _R.MODULE_FAILED),
    0x0A000031: ("SAR_FILE_NOT_EXIST", _R.MODULE_FAILED),
    0x0A000032: ("SAR_REACH_MAX_CONTAINER_COUNT", _R.MODULE_FAILED),
}

PIN_REASONS: Final = frozenset({Reason.PIN_WRONG, Reason.PIN_LOCKED, Reason.PIN_LENGTH})


class SkfError(Exception):
    """A SKF function did not return SAR_OK. ``tries_left`` is what a PIN function reported, None elsewhere."""

    def __init__(self, function: str, code: int, tries_left: int | None = None) -> None:
        self.function = function
        self.code = code
        self.tries_left = tries_left
        self.name, self.reason = SAR.get(code, (f"vendor code 0x{code:08X}", Reason.MODULE_FAILED))
        super().__init__(f"{function}: {self.name}")

    def refusal(self) -> Refusal:
        """The refusal a page is told; names the function and the code, never a device, a name or a PIN."""
        facts = {} if self.tries_left is None or self.reason not in PIN_REASONS else {"tries_left": self.tries_left}
        return Refusal(self.reason, str(self), facts)


class SkfContractError(SkfError):
    """The library said SAR_OK, but what it handed back cannot be: a length past its buffer, a missing end, a written guard."""

    def __init__(self, function: str, what: str) -> None:
        super().__init__(function, OK)
        self.name, self.reason = what, Reason.MODULE_FAILED
        self.args = (f"{function}: {what}",)
