"""Addresses of pages by their names, and those that somebody sent."""

from __future__ import annotations

from functools import cache

from django.urls import get_script_prefix, reverse
from django.utils.http import url_has_allowed_host_and_scheme


def portal_page(name: str) -> str:
    """The address of the portal's page ``name``: worked out once, since every page leads to twenty others."""
    return _reversed(f"portal:{name}", get_script_prefix())


@cache
def _reversed(name: str, _prefix: str) -> str:
    return reverse(name)


def is_local(address: str) -> bool:
    """Whether an address that somebody sent is a path of this site."""
    return address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)
