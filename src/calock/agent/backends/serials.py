"""Which serial numbers of tokens tell one token from another. Many tokens say a dummy: zeros, ``1234``, the same for all.

Known dummies: sixteen zeros (GoogleCloudPlatform/kms-integrations#61), always ``1234`` (Yubico/yubico-piv-tool#101).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_WORDS = frozenset({"na", "none", "null", "unknown", "default", "serial", "serialnumber", "sn", "test", "todo"})
_RUNS = ("0123456789" * 4, "1234567890" * 4, "0123456789abcdef" * 3, "123456789abcdef0" * 3, "9876543210" * 4)
_FEWEST = 3
"""A number of fewer figures, leading zeros left out, was not counted up over real tokens."""


def own_serial(told: str) -> str:
    """Return a serial number as told, or the empty text when it is a dummy that says nothing."""
    bare = "".join(c for c in told.lower() if c.isalnum())
    if len(bare.lstrip("0")) < _FEWEST or len(set(bare)) == 1 or bare in _WORDS:
        return ""
    return "" if len(bare) >= _FEWEST and any(run.startswith(bare) for run in _RUNS) else told


def own_serials(told: Iterable[str]) -> list[str]:
    """The same for all tokens that are plugged in at once: a number that two of them tell is none of either."""
    every = list(told)
    count = Counter(every)
    return [own_serial(serial) if count[serial] == 1 else "" for serial in every]
