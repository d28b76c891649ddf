"""Addresses of pages by their names."""

from __future__ import annotations

from functools import cache

from django.urls import get_script_prefix, reverse


def portal_page(name: str) -> str:
    """The address of the portal's page ``name``: worked out once, since every page leads to twenty others."""
    return _reversed(f"portal:{name}", get_script_prefix())


@cache
def _reversed(name: str, _prefix: str) -> str:
    return reverse(name)
