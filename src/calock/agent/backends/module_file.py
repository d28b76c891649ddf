"""What a module file is, read from its first bytes: so that "cannot be loaded" becomes missing, damaged or wrong architecture."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

from calock.core.refusals import Reason, Refusal

_ELF = {
    0x03: "x86",
    0x3E: "x86-64",
    0xB7: "arm64",
    0x28: "arm",
    0x102: "loongarch64",
    0x08: "mips",
    0x9916: "sw64",
    0xF3: "riscv64",
}
_PE = {0x014C: "x86", 0x8664: "x86-64", 0xAA64: "arm64"}
_MACHO = {0x01000007: "x86-64", 0x0100000C: "arm64", 0x00000007: "x86"}
_HERE = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64", "arm64": "arm64", "i386": "x86", "i686": "x86"}


def architecture_here() -> str:
    """Architecture of this process (not of the machine: a 32-bit Python loads 32-bit modules)."""
    machine = platform.machine().lower()
    name = _HERE.get(machine, machine)
    return "x86" if name == "x86-64" and struct.calcsize("P") == 4 else name


def architectures(head: bytes) -> frozenset[str]:
    """Architectures a module was built for, from its first bytes (some KB); empty when it is no module of any known system."""
    if head.startswith(b"\x7fELF") and len(head) >= 20:
        order = "<" if head[5] == 1 else ">"
        return frozenset({_ELF.get(struct.unpack_from(order + "H", head, 18)[0], "other")})
    if head.startswith(b"MZ") and len(head) >= 0x40:
        at = int.from_bytes(head[0x3C:0x40], "little")
        if head[at : at + 4] == b"PE\0\0" and len(head) >= at + 6:
            return frozenset({_PE.get(struct.unpack_from("<H", head, at + 4)[0], "other")})
    if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe") and len(head) >= 8:
        return frozenset({_MACHO.get(struct.unpack_from("<I", head, 4)[0], "other")})
    if head.startswith(b"\xca\xfe\xba\xbe") and len(head) >= 8:
        count = min(int.from_bytes(head[4:8], "big"), 8)
        cpus = [int.from_bytes(head[8 + 20 * index : 12 + 20 * index], "big") for index in range(count)]
        return frozenset(_MACHO.get(cpu, "other") for cpu in cpus)
    return frozenset()


def load_refusal(path: str, error: OSError) -> Refusal:
    """Why this module could not be loaded, with one short sentence for operators that names the architecture, not the path.

    MODULE_MISSING, MODULE_ARCHITECTURE, or MODULE_FAILED: it cannot be read, is damaged, or needs another library.
    """
    file = Path(path)
    bare = file.parent == Path()
    if not bare and not file.exists():
        return Refusal(Reason.MODULE_MISSING, "module file is missing")
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
    except OSError:
        missing = Refusal(Reason.MODULE_MISSING, "module is not installed")
        return missing if bare else Refusal(Reason.MODULE_FAILED, "module file cannot be read")
    return _mismatch(head) or Refusal(Reason.MODULE_FAILED, f"module cannot be loaded: {type(error).__name__}")


def _mismatch(head: bytes) -> Refusal | None:
    """Compare a file's first bytes with this process; None where they fit."""
    built_for = architectures(head)
    if not built_for:
        return Refusal(Reason.MODULE_FAILED, "module file is not a program library")
    here = architecture_here()
    if here not in built_for:
        return Refusal(Reason.MODULE_ARCHITECTURE, f"module is built for {', '.join(sorted(built_for))}, this driver for {here}")
    system = {"linux": b"\x7fELF", "win32": b"MZ"}.get(sys.platform)
    if system is not None and not head.startswith(system):
        return Refusal(Reason.MODULE_ARCHITECTURE, "module is built for another operating system")
    return None
