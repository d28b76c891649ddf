"""SM2 in PKCS#11: there is no standard mechanism before 3.2, so each vendor has numbers of its own.

The mechanisms here sign the 32-byte e = SM3(Z ‖ M), which the driver computes. They come from vendors' public headers; none was
tried on hardware by us. A wrong number ends in a refusal: the library says it does not know it, or the signature does not verify.
"""

from __future__ import annotations

from typing import Any

from pkcs11 import Mechanism

CKM_VENDOR_DEFINED = 0x80000000

_TABLE: tuple[tuple[str, int], ...] = (
    ("IBM", CKM_VENDOR_DEFINED + 0x5000B),
    ("SafeNet", CKM_VENDOR_DEFINED + 0xB02),
    ("Thales", CKM_VENDOR_DEFINED + 0xB02),
)
"""(start of the token's manufacturer text, mechanism)."""
_COMMON = CKM_VENDOR_DEFINED + 0x8000
"""CKM_SM2 of the numbering most Chinese vendors share."""


def number_for(manufacturer: str) -> int:
    """Mechanism number for tokens of this manufacturer."""
    return next((number for start, number in _TABLE if manufacturer.lower().startswith(start.lower())), _COMMON)


def mechanism_for(manufacturer: str) -> Any:
    """Return the number as python-pkcs11 takes it: it accepts only members of its own enumeration, so one is made."""
    number = number_for(manufacturer)
    member = int.__new__(Mechanism, number)
    member._name_ = f"VENDOR_SM2_{number:08X}"
    member._value_ = number
    return member
