"""The sites of this server: loaded once, found by host name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
from django.conf import settings

from calock.server.sites.profile import Profile
from calock.wire.folders import DefinitionError, find_folders, read_toml

SITES = Path(__file__).parent
FILE = "profile.toml"
LOOK = ("static/tokens.css", "static/emblem.svg")
"""What every site has: its colours and measures, its emblem."""
_CODE = re.compile(r"[a-z][a-z0-9-]{1,31}")
_HOSTS = "CALOCK_HOSTS_"
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def _variable(code: str) -> str:
    return f"{_HOSTS}{code.upper().replace('-', '_')}"


def _hosts_from(variable: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    hosts = tuple(filter(None, (host.strip().lower() for host in environ[variable].split(","))))
    if not hosts:
        raise DefinitionError(f"{variable} names no host; leave it out where the profile's own hosts are meant")
    return hosts


def load_profile(folder: Path, environ: Mapping[str, str] = os.environ) -> Profile:
    """Read ``folder/profile.toml``. ``CALOCK_HOSTS_<CODE>`` (comma list) replaces its hosts.

    Raises:
        DefinitionError: unreadable, unknown or missing keys, wrong types, a code that is not the folder's name, a bad host name.
    """
    path = folder / FILE
    profile = read_toml(path, Profile)
    if profile.code != folder.name or not _CODE.fullmatch(profile.code):
        raise DefinitionError(f"{path}: code {profile.code!r} is not the name of its folder")
    variable = _variable(profile.code)
    if variable in environ:
        profile = msgspec.structs.replace(profile, hosts=_hosts_from(variable, environ))
    for host in profile.hosts:
        if not _HOST.fullmatch(host):
            named_by = variable if variable in environ else f"{path}: hosts"
            if "/" in host and "://" not in host:
                raise DefinitionError(
                    f"{named_by}: {host!r}: a site has host names of its own, never a part of another's below a path"
                )
            raise DefinitionError(f"{named_by}: {host!r} is not a host name (lower case, no port, no scheme)")
    return profile


def site_folders(own: Path | None, root: Path = SITES) -> dict[str, Path]:
    """The folders of all sites by code: those of the program and those in ``own``.

    Raises:
        DefinitionError: as ``calock.wire.folders.find_folders``.
    """
    return find_folders(root, own, FILE, *LOOK)


def load_sites(root: Path = SITES, environ: Mapping[str, str] = os.environ, *, own: Path | None = None) -> dict[str, Profile]:
    """Every site under ``root`` and in the operator's ``own`` folder by code, in their order.

    Raises:
        DefinitionError: a folder or profile that cannot be used, no site, hosts for a site that is not there, two sites with one
            host, or not exactly one default.
    """
    folders = site_folders(own, root)
    profiles = sorted(
        (load_profile(folder, environ) for folder in folders.values()), key=lambda profile: (profile.order, profile.code)
    )
    variables = [_variable(profile.code) for profile in profiles]
    for name in sorted(environ):
        if name.startswith(_HOSTS) and name not in variables:
            raise DefinitionError(f"{name} is no site's; there are {', '.join(variables)}")
    owner: dict[str, str] = {}
    for profile in profiles:
        for host in profile.hosts:
            if owner.setdefault(host, profile.code) != profile.code:
                raise DefinitionError(
                    f"{host} belongs to {owner[host]} and to {profile.code}: one host has one site, "
                    f"see hosts in {folders[owner[host]] / FILE} and {folders[profile.code] / FILE}, "
                    f"{_variable(owner[host])} and {_variable(profile.code)}"
                )
    if sum(profile.default for profile in profiles) != 1:
        raise DefinitionError(f"exactly one site must be the default, of {', '.join(folders)}: see default in their {FILE}")
    return {profile.code: profile for profile in profiles}


@cache
def sites() -> Mapping[str, Profile]:
    """The sites of this process."""
    return load_sites(own=settings.CALOCK.sites)


def origin_of(profile: Profile) -> str:
    """Scheme, first host and port of a site, for links that no request asked for."""
    scheme = "http" if settings.CALOCK.insecure_http else "https"
    port = f":{settings.CALOCK.public_port}" if settings.CALOCK.public_port else ""
    return f"{scheme}://{profile.hosts[0]}{port}"


def site_for_host(host: str) -> Profile | None:
    """The site of a Host header (a port and case do not matter); None when no site has it."""
    name = host.lower()
    if not name.endswith("]"):
        name = name.rsplit(":", 1)[0] if name.rpartition(":")[2].isdigit() else name
    for profile in sites().values():
        if name in profile.hosts:
            return profile
    return None
