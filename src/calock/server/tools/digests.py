"""What is kept of a secret that was made at random and handed out: its SHA-256, which opens nothing and can be looked up.

For 80 random bits and more alone. A password, or anything else that people choose, is guessed from a fast digest.
"""

from __future__ import annotations

import hashlib


def digest(text: str) -> str:
    """SHA-256 in 64 hex digits; of anything that somebody shows, text that is not UTF-8 too."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
