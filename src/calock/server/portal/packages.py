"""Driver packages as the download pages show them: the newest per system, the one for this computer first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from calock.server.downloads.models import DriverPackage
from calock.server.sites.profile import Profile

SYSTEMS = {"windows": "Windows", "linux": "Linux", "macos": "macOS"}
ARCHITECTURES = {"x86_64": "x86-64", "arm64": "ARM64"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One package on a page. ``recommended``: this site's own driver for the system that asks."""

    code: str
    title: str
    version: str
    system: str
    os: str
    size: int
    file_name: str
    sha256: str
    sm3: str
    changes: str
    released_at: datetime | None
    providers: tuple[str, ...]
    provider_codes: tuple[str, ...]
    href: str
    recommended: bool

    @property
    def system_name(self) -> str:
        """The system without its architecture, under which a list groups it."""
        return SYSTEMS.get(self.os, self.os)


def system_of(user_agent: str) -> tuple[str, str]:
    """Operating system and architecture as a browser tells them; empty where it does not. A Mac is taken for Apple silicon."""
    arch = "arm64" if re.search(r"aarch64|arm64", user_agent, re.IGNORECASE) else "x86_64"
    if is_phone(user_agent):
        return "", ""
    if "Windows" in user_agent:
        return "windows", arch
    if "Mac OS X" in user_agent:
        return "macos", "arm64"
    if "Linux" in user_agent:
        return "linux", arch
    return "", ""


def is_phone(user_agent: str) -> bool:
    """Whether a phone or a tablet asks, into which no lock is plugged; an iPad may say that it is a Mac."""
    return re.search(r"Android|iPhone|iPad|Mobile|HarmonyOS", user_agent) is not None


def offers(site: Profile, user_agent: str) -> list[Offer]:
    """The newest published package of every kind that this site offers, the recommended one first."""
    os, arch = system_of(user_agent)
    found = [
        _offer(row, recommended=(row.code, row.os, row.arch) == (site.driver.package, os, arch))
        for row in DriverPackage.objects.for_site(site.code)
    ]
    return sorted(found, key=lambda offer: (not offer.recommended, offer.os != os, offer.system_name, offer.title, offer.system))


def _offer(row: DriverPackage, *, recommended: bool) -> Offer:
    providers = list(row.providers.all())
    return Offer(
        code=row.code,
        title=row.title,
        version=row.version,
        system=f"{SYSTEMS.get(row.os, row.os)} {ARCHITECTURES.get(row.arch, row.arch)}",
        os=row.os,
        size=row.size,
        file_name=row.file_name,
        sha256=row.sha256,
        sm3=row.sm3,
        changes=row.changes,
        released_at=row.released_at,
        providers=tuple(provider.name for provider in providers),
        provider_codes=tuple(provider.code for provider in providers),
        href=reverse("downloads:file", args=[row.pk]),
        recommended=recommended,
    )


def system_choices() -> list[tuple[str, str]]:
    """The choices of the system filter."""
    return [("", _("全部系统")), *SYSTEMS.items()]
