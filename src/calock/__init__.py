"""calock: bind hardware CA locks (CA 锁) to accounts of a procurement platform, and log in with lock and PIN."""

from __future__ import annotations

__version__ = "1.0.0"
