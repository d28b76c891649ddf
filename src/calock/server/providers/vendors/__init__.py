"""One folder per CA vendor, everything of theirs inside: ``<code>/provider.toml`` and, where they were handed over, ``*.pem``.

A folder without CA certificates is a template: it is installed suspended, and stays so until two operators recognised an anchor.
Adding a vendor is adding a folder; removing one is removing it.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import Provider

FOLDER = Path(__file__).parent


class Modules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File names of the vendor's token libraries, by system; the driver looks for them, a page never names one."""

    linux: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    macos: tuple[str, ...] = ()


class Driver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hints for the driver package. ``package`` is the code in the download catalogue."""

    package: str = ""
    title: str = ""
    skf: Modules = Modules()
    pkcs11: Modules = Modules()


class VendorCa(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One CA certificate in the vendor's folder."""

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\.pem$")]
    anchor: bool
    group: str = ""
    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    private_network: bool = False


class Vendor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``provider.toml`` says. ``rules`` is ``calock.core.policy.Policy`` as JSON; missing keys take the strict default."""

    code: str
    name: str
    short_name: str
    legal_name: str = ""
    hotline: str = ""
    website: str = ""
    renew_url: str = ""
    unlock_url: str = ""
    order: int = 100
    sites: tuple[str, ...] = ()
    allow_expired_binding: bool = False
    rules: dict[str, Any] = {}
    driver: Driver = Driver()
    ca: tuple[VendorCa, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The descriptive fields as the services take them."""
        names = ("name", "short_name", "legal_name", "hotline", "website", "renew_url", "unlock_url", "order")
        return {name: getattr(self, name) for name in names}


def vendor_codes() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/provider.toml"))


@cache
def load_vendor(code: str) -> Vendor:
    """Read one vendor's folder.

    Raises:
        LookupError: there is no such folder.
        ValueError: its file does not say what it must, or names another code than its folder.
    """
    if code not in vendor_codes():
        raise LookupError(f"no vendor folder {code!r}")
    with (FOLDER / code / "provider.toml").open("rb") as file:
        vendor = msgspec.convert(tomllib.load(file), Vendor)
    if vendor.code != code:
        raise ValueError(f"folder {code} holds the provider {vendor.code}")
    return vendor


def install_vendor(code: str) -> Provider:
    """Put a vendor into the register with the CA certificates of its folder; suspended when there are none.

    Raises:
        LookupError, ValueError: as :func:`load_vendor`.
        Refusal: as ``install_provider``.
    """
    vendor = load_vendor(code)
    cas = [
        CaToInstall((FOLDER / code / ca.file).read_bytes(), ca.anchor, ca.group, ca.crl, ca.ocsp, ca.private_network)
        for ca in vendor.ca
    ]
    return install_provider(
        code=code,
        values=vendor.values,
        rules=vendor.rules,
        sites=vendor.sites,
        cas=cas,
        allow_expired_binding=vendor.allow_expired_binding,
    )
