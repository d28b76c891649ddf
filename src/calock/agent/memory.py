"""What the processes that see a PIN have in memory never becomes a file, whatever a vendor library does."""

from __future__ import annotations

import sys


def never_dumped() -> None:
    """Forbid core dumps of this process. Windows writes none unless an administrator asks for them."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - Windows has no such module

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
