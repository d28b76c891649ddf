"""The driver's configuration: TOML files of the user's own, and the command line. A web page can change none of it.

``agent.toml`` in the configuration folder, then every ``agent.d/*.toml`` beside it in the order of their names, which is what
installed driver packages drop there: lists add up, single values of later files win. Unknown keys are refused.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from calock.agent.private_file import why_not_own
from calock.wire.vendors import LibraryName


class ConfigError(ValueError):
    """A configuration that cannot be used; the text says which file and why."""


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Rate = Annotated[int, msgspec.Meta(ge=1)]


class Compat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For pages written for other CA middleware (``docs/compat.md``). Off unless asked for."""

    synctl: bool = False
    """Answer ``POST /synctl`` for the configured origins."""
    port: Port | None = None
    """One more port, for that path alone: the one such pages have built in is 21051."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    origins: tuple[str, ...] = ()
    """Exact origins of the platforms that may talk to the driver."""
    soft_dir: str | None = None
    """Directory of practice locks."""
    pkcs11: tuple[str, ...] = ()
    skf: tuple[str, ...] = ()
    """Vendor libraries by path."""
    find_skf: bool = False
    find_pkcs11: bool = False
    """Look for the known vendors' libraries of that kind in the places where their installers put them."""
    skf_names: tuple[LibraryName, ...] = ()
    pkcs11_names: tuple[LibraryName, ...] = ()
    """Look for these files too, in the same places and nowhere else."""
    package: str = "source"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    pin_entry: Annotated[tuple[Literal["page", "window"], ...], msgspec.Meta(min_length=1)] = ("page", "window")
    signatures_per_minute: Rate = 20
    """Per page; half of them at once."""
    requests_per_second: Rate = 20
    """Per page, of every kind; three times as many at once."""
    port: Port | None = None
    """One fixed port instead of the first free one of ``calock.wire.driver.PORTS``; 0 takes any."""
    tls: bool = False
    """Listen once more, with https, for browsers that let no page speak http to 127.0.0.1 (``calock.agent.tls``)."""
    tls_port: Port | None = None
    """One fixed port for that instead of the first free one of ``calock.wire.driver.TLS_PORTS``; 0 takes any."""
    compat: Compat = Compat()


_LISTS = ("origins", "pkcs11", "skf", "pkcs11_names", "skf_names")


def put_together(*layers: Mapping[str, Any]) -> Config:
    """Add up the lists of several files; of a single value the last one counts that stands there, be it the usual one.

    Each layer holds what one file, or the command line, says, and no other keys.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            values[name] = list(dict.fromkeys((*values.get(name, ()), *value))) if name in _LISTS else value
    return msgspec.convert(values, Config)


def config_home() -> Path:
    """Folder of the user's configuration, by the custom of each system."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home())) / "calock"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "calock"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "calock"


def state_home() -> Path:
    """Folder for what the driver writes: its instance file and its log."""
    if sys.platform in ("win32", "darwin"):
        return config_home() / "state"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "calock"


def check_origin(origin: str) -> str:
    """Return ``origin`` if it is exactly what a browser would send, and of a kind that may be trusted.

    https, or http to this very computer (``localhost``, ``*.localhost``, 127.0.0.1). Host in lower case, punycode, no default
    port, no path.

    Raises:
        ConfigError: anything else.
    """
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"origin {origin!r}: {error}") from error
    local = host in ("localhost", "127.0.0.1") or host.endswith(".localhost")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise ConfigError(f"origin {origin!r}: only https, or http to this computer")
    if not host:
        raise ConfigError(f"origin {origin!r}: no host")
    default = 443 if parts.scheme == "https" else 80
    rebuilt = f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, default) else "")
    if rebuilt != origin or not origin.isascii() or "*" in origin:
        raise ConfigError(f"origin {origin!r}: write it exactly as scheme://host[:port]")
    return origin


def _read(path: Path) -> dict[str, Any]:
    """What one file says.

    Raises:
        ConfigError: not readable, not TOML, nested too deep, unknown keys, wrong types, bad origins; or others could have
            written it, and with it name a library that sees the user's PIN.
    """
    try:
        return _checked(path)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _checked(path: Path) -> dict[str, Any]:
    for place in dict.fromkeys((path, path.parent, path.resolve().parent)):
        if why := why_not_own(place):
            raise ConfigError(f"not read: {why}")
    found = tomllib.loads(path.read_text("utf-8"))
    for origin in msgspec.convert(found, Config).origins:
        check_origin(origin)
    return found


def load(explicit: Path | None = None, asked: Mapping[str, Any] | None = None) -> Config:
    """Read ``explicit`` alone, or the user's files; ``asked`` is what the command line says, which comes last.

    Raises:
        ConfigError: see ``_read``.
    """
    if explicit is not None:
        files = [explicit]
    else:
        home = config_home()
        files = [path for path in (home / "agent.toml",) if path.exists()] + sorted((home / "agent.d").glob("*.toml"))
    return put_together(*map(_read, files), asked or {})
