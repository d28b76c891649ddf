"""What belongs to practice: names of this very computer, and the sample facts of the sites that calock brings."""

from __future__ import annotations

from collections.abc import Mapping

from calock.server.sites.profile import Profile

BARE_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def is_loopback_name(name: str) -> bool:
    """Whether only this computer has that host name."""
    return name in BARE_LOOPBACK or name.endswith(".localhost")


def public_with_samples(sites: Mapping[str, Profile]) -> list[str]:
    """Codes of the sites that have a public name and still show sample facts (telephone, hours, 备案号) to those who call there."""
    return [
        code
        for code, profile in sites.items()
        if profile.practice_facts and not all(is_loopback_name(host) for host in profile.hosts)
    ]
