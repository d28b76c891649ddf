"""The C boundary of a SKF library: load it, declare its functions for one ULONG width, guard every buffer it writes to.

Source: GM/T 0016-2012 clause 7; DEVAPI is ``_stdcall``, which differs from the C convention on 32-bit Windows only.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from typing import Any

from calock.agent.backends.module_file import load_refusal
from calock.agent.backends.skf.errors import NOT_SUPPORTED, OK, SkfContractError, SkfError
from calock.agent.backends.skf.structures import UlongSize
from calock.core.refusals import Reason, Refusal

_GUARD = b"\xc3\x5a" * 64
"""Stands after every buffer a library writes to. Longer than the difference between the two DEVINFO layouts."""

# h handle, u ULONG, b BOOL, p bytes or buffer, o pointer to one value
_FUNCTIONS = {
    "WaitForDevEvent": "poo",
    "CancelWaitForDevEvent": "",
    "EnumDev": "bpo",
    "ConnectDev": "po",
    "DisConnectDev": "h",
    "GetDevInfo": "hp",
    "EnumApplication": "hpo",
    "OpenApplication": "hpo",
    "CloseApplication": "h",
    "GetPINInfo": "huooo",
    "VerifyPIN": "hupo",
    "ChangePIN": "huppo",
    "ClearSecureState": "h",
    "EnumContainer": "hpo",
    "OpenContainer": "hpo",
    "CloseContainer": "h",
    "GetContainerType": "ho",
    "ExportCertificate": "hbpo",
    "ECCSignData": "hpup",
    "RSASignData": "hpupo",
    "GenRandom": "hpu",
}
_MISSPELT = {"GetContainerType": "GetContianerType"}  # one real library exports only this name
_OPTIONAL = frozenset({"WaitForDevEvent", "CancelWaitForDevEvent", "GetContainerType", "RSASignData", "ECCSignData", "GenRandom"})


def load(path: str) -> ctypes.CDLL:
    """Load a module into this process.

    Raises:
        Refusal: MODULE_MISSING, MODULE_ARCHITECTURE, MODULE_FAILED.
    """
    try:
        if sys.platform == "win32" and struct.calcsize("P") == 4:
            return ctypes.WinDLL(path)
        return ctypes.CDLL(path)
    except OSError as error:
        raise load_refusal(path, error) from error


class OutParameter:
    """Memory for one value that a library writes: 8 bytes, so that a library with a 64-bit ULONG stays inside it too."""

    def __init__(self, size: int, value: int = 0) -> None:
        self._size = size
        self.raw = ctypes.create_string_buffer(value.to_bytes(8, sys.byteorder), 8)

    @property
    def value(self) -> int:
        """As this library's ULONG."""
        return int.from_bytes(self.raw.raw[: self._size], sys.byteorder)

    @property
    def handle(self) -> int:
        return int.from_bytes(self.raw.raw[: struct.calcsize("P")], sys.byteorder)

    @property
    def flag(self) -> bool:
        """As a BOOL of any width: the memory was zeroed before the call."""
        return any(self.raw.raw)


class GuardedBuffer:
    """A zeroed buffer with a guard behind it; ``wipe`` after secrets."""

    def __init__(self, function: str, size: int, content: bytes | bytearray = b"") -> None:
        self._function, self.size = function, size
        self.memory = ctypes.create_string_buffer(size + len(_GUARD))
        if content:
            source = (ctypes.c_char * len(content)).from_buffer_copy(content)
            ctypes.memmove(self.memory, source, len(content))
            ctypes.memset(source, 0, len(content))
        ctypes.memmove(ctypes.addressof(self.memory) + size, _GUARD, len(_GUARD))

    def bytes(self) -> bytes:
        """Return the content.

        Raises:
            SkfContractError: the library wrote past the end; with DEVINFO that means the other ULONG width.
        """
        raw = self.memory.raw
        if raw[self.size :] != _GUARD:
            raise SkfContractError(self._function, "wrote past its buffer")
        return raw[: self.size]

    def wipe(self) -> None:
        ctypes.memset(self.memory, 0, self.size)


class SkfFunctions:
    """The functions of one loaded library, for one ULONG width. Not for two threads at once, except ``WaitForDevEvent``."""

    def __init__(self, loaded: ctypes.CDLL, ulong: UlongSize) -> None:
        self.ulong: UlongSize = ulong
        unsigned = ctypes.c_uint32 if ulong == 4 else ctypes.c_uint64
        kinds: dict[str, Any] = {
            "h": ctypes.c_void_p, "u": unsigned, "b": ctypes.c_int32, "p": ctypes.c_void_p, "o": ctypes.c_void_p
        }  # fmt: skip
        self._functions: dict[str, Any] = {}
        for name, arguments in _FUNCTIONS.items():
            entry = getattr(loaded, "SKF_" + name, None) or getattr(loaded, "SKF_" + _MISSPELT.get(name, name), None)
            if entry is None:
                if name in _OPTIONAL:
                    continue
                raise Refusal(Reason.MODULE_FAILED, f"module is no SKF library: SKF_{name} is missing")
            entry.restype, entry.argtypes = unsigned, [kinds[kind] for kind in arguments]
            self._functions[name] = entry

    def has(self, name: str) -> bool:
        return name in self._functions

    def cell(self, value: int = 0) -> OutParameter:
        return OutParameter(self.ulong, value)

    def call(self, name: str, *arguments: int | bytes | OutParameter | GuardedBuffer | None) -> None:
        """Call ``SKF_<name>``.

        Raises:
            SkfError: it did not return SAR_OK, or the library does not have it.
        """
        code = self.code(name, *arguments)
        if code != OK:
            raise SkfError("SKF_" + name, code)

    def code(self, name: str, *arguments: int | bytes | OutParameter | GuardedBuffer | None) -> int:
        """Call ``SKF_<name>`` and return its result code."""
        entry = self._functions.get(name)
        if entry is None:
            return NOT_SUPPORTED
        return int(entry(*(_native(argument) for argument in arguments))) & 0xFFFFFFFF


def _native(argument: int | bytes | OutParameter | GuardedBuffer | None) -> Any:
    if isinstance(argument, OutParameter):
        return argument.raw
    return argument.memory if isinstance(argument, GuardedBuffer) else argument
