"""Find out how wide a library's ULONG is, without a device in the computer.

``SKF_EnumDev`` writes one ULONG. Eight marked bytes are offered: the upper four stay marked when ULONG has 32 bits and become
zero when it has 64. The question exists only where ``unsigned long`` may have 64 bits, which is where there is ``fork``: it is
asked in a child process, because public libraries crash on a NULL list, and a library that hangs must not take the driver along.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
from typing import Final

from calock.agent.backends.skf.structures import UlongSize

_MARK: Final = 0xA5A5A5A5
_SECONDS: Final = 3
_LIST_SIZE: Final = 8192
_UNKNOWN: Final = 1


def ulong_size(path: str) -> UlongSize | None:
    """Return 4 or 8: the bytes of ULONG in the library at ``path``; None where it does not tell.

    Loading may fail here as it will fail again, with its reason, in ``binding.load``.
    """
    if sys.platform == "win32":  # unsigned long has 32 bits there, also in 64-bit programs
        return 4
    return _ask_in_child(path, with_list=False) or _ask_in_child(path, with_list=True)


def width_from(cell: bytes) -> UlongSize | None:
    """Judge the eight bytes after the call: 4, 8, or None when the library wrote nothing that tells."""
    low, high = int.from_bytes(cell[:4], sys.byteorder), int.from_bytes(cell[4:], sys.byteorder)
    if sys.byteorder == "big":
        low, high = high, low
    if high == _MARK:
        return None if low == _MARK else 4
    return 8 if high == 0 else None


def _ask_in_child(path: str, *, with_list: bool) -> UlongSize | None:
    if not hasattr(os, "fork"):
        return None
    child = os.fork()
    if child == 0:
        code = _UNKNOWN
        try:
            code = _ask(path, with_list=with_list) or _UNKNOWN
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {4: 4, 8: 8}.get(code)  # type: ignore[return-value]  # a dict of literals is a dict of int to mypy


def _ask(path: str, *, with_list: bool) -> UlongSize | None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_SECONDS)
    faulthandler.disable()
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)  # a library's output while it crashes is discarded
    enum = ctypes.CDLL(path).SKF_EnumDev
    enum.restype, enum.argtypes = ctypes.c_uint64, [ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p]
    size = _LIST_SIZE if with_list else _MARK
    cell = ctypes.create_string_buffer(size.to_bytes(4, "little") + _MARK.to_bytes(4, "little"), 8)
    enum(0, ctypes.create_string_buffer(_LIST_SIZE) if with_list else None, cell)
    return width_from(cell.raw)
