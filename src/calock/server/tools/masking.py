"""How people are shown to others: enough to recognise a colleague, not enough to learn who somebody is."""

from __future__ import annotations


def mask_name(name: str) -> str:
    """``张三`` → ``张*``."""
    return f"{name[:1]}*"
