"""Calls of PKCS#11 that python-pkcs11 does not have.

With a NULL PIN, for tokens whose PIN is typed on the reader (CKF_PROTECTED_AUTHENTICATION_PATH): it logs in so, but cannot change
a PIN, or log in once more for a single signature without one. And how long a token's PIN may be. The functions are taken from the
same loaded library, by their place in CK_FUNCTION_LIST (PKCS#11 2.40 clause 3.6).
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

from pkcs11 import exceptions as errors

_PLACES: Final = {
    "C_GetTokenInfo": 6, "C_SetPIN": 11, "C_CloseSession": 13, "C_CloseAllSessions": 14, "C_Login": 18, "C_Logout": 19,
    "C_SignInit": 42, "C_Sign": 43,
}  # fmt: skip
_CONTEXT_SPECIFIC: Final = 2
_MAX_SIGNATURE: Final = 1024
_FAILURES: Final[dict[int, type[Exception]]] = {
    0x30: errors.DeviceError,
    0x32: errors.DeviceRemoved,
    0x50: errors.FunctionCancelled,
    0xA0: errors.PinIncorrect,
    0xA1: errors.PinInvalid,
    0xA2: errors.PinLenRange,
    0xA4: errors.PinLocked,
    0xE0: errors.TokenNotPresent,
    0x101: errors.UserNotLoggedIn,
}


class _Mechanism(ctypes.Structure):
    if sys.platform == "win32":
        _pack_ = 1  # PKCS#11 2.40 clause 2.1: one-byte packing, on Windows alone
    _fields_ = (("mechanism", ctypes.c_ulong), ("parameter", ctypes.c_void_p), ("length", ctypes.c_ulong))


class _TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO (PKCS#11 2.40 clause 3.2) as far as it is read, with room for the rest."""

    if sys.platform == "win32":
        _pack_ = 1
    _fields_ = (
        ("texts", ctypes.c_char * 96), ("flags", ctypes.c_ulong), ("sessions", ctypes.c_ulong * 4), ("longest_pin", ctypes.c_ulong),
        ("shortest_pin", ctypes.c_ulong), ("rest", ctypes.c_char * 256),
    )  # fmt: skip


class ReaderCalls:
    """The functions of one library. Sessions and objects are those of python-pkcs11."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        listed = ctypes.c_void_p()
        _require_ok(library.C_GetFunctionList(ctypes.byref(listed)))
        assert listed.value
        self._first: int = listed.value + (2 if sys.platform == "win32" else ctypes.sizeof(ctypes.c_void_p))  # behind CK_VERSION

    def pin_lengths(self, slot: int) -> tuple[int, int]:
        """Octets of the shortest and of the longest PIN that the token in a slot takes, as it tells them."""
        info = _TokenInfo()
        self._call("C_GetTokenInfo", ctypes.c_ulong(slot), ctypes.byref(info))
        return info.shortest_pin, info.longest_pin

    def log_out(self, session: Any) -> None:
        """End a login that this program did not make."""
        self._call("C_Logout", ctypes.c_ulong(session.handle))

    def close_session(self, session: Any) -> None:
        """Close a session without a logout: python-pkcs11 closes none whose logout fails."""
        self._call("C_CloseSession", ctypes.c_ulong(session.handle))

    def close_sessions(self, slot: int) -> None:
        """Close all that this program has with a token: python-pkcs11 tells no handle of one in which a login failed."""
        self._call("C_CloseAllSessions", ctypes.c_ulong(slot))

    def change_pin(self, session: Any) -> None:
        """C_SetPIN: the reader asks for the old PIN and twice for the new one."""
        self._call("C_SetPIN", ctypes.c_ulong(session.handle), None, ctypes.c_ulong(0), None, ctypes.c_ulong(0))

    def sign(self, private: Any, mechanism: int, data: bytes) -> bytes:
        """Sign with a key that wants a login of its own for each signature (CKA_ALWAYS_AUTHENTICATE)."""
        session = ctypes.c_ulong(private.session.handle)
        self._call("C_SignInit", session, ctypes.byref(_Mechanism(mechanism, None, 0)), ctypes.c_ulong(private.handle))
        self._call("C_Login", session, ctypes.c_ulong(_CONTEXT_SPECIFIC), None, ctypes.c_ulong(0))
        signature = ctypes.create_string_buffer(_MAX_SIGNATURE)
        length = ctypes.c_ulong(_MAX_SIGNATURE)
        self._call("C_Sign", session, data, ctypes.c_ulong(len(data)), signature, ctypes.byref(length))
        return signature.raw[: length.value]

    def _call(self, name: str, *arguments: Any) -> None:
        address = ctypes.c_void_p.from_address(self._first + _PLACES[name] * ctypes.sizeof(ctypes.c_void_p)).value
        if not address:
            raise errors.FunctionNotSupported(name)
        _require_ok(ctypes.CFUNCTYPE(ctypes.c_ulong)(address)(*arguments))


def _require_ok(code: int) -> None:
    if code:
        raise _FAILURES.get(code, errors.GeneralError)(f"0x{code:08X}")
