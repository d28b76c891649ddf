"""CA vendors, one folder each: ``<code>/vendor.toml`` and, where they were handed over, CA certificates as ``*.pem``.

All that is known of a vendor stands there. The server reads rules, names and links when a vendor is put into the register; the
driver reads the file names of its token libraries; the build of driver packages reads both and what the vendor's own package is. It
lies here because server and driver meet nowhere else.

A folder without CA certificates is a template: it is installed suspended, and stays so until two operators recognised an anchor.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from calock.core.policy import Policy, PolicyError
from calock.wire.folders import DefinitionError, find_folders, read_toml

SHIPPED = Path(__file__).parent
FILE = "vendor.toml"

LibraryKind = Literal["skf", "pkcs11"]
System = Literal["linux", "windows", "macos"]
LibraryName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}\Z")]
"""A file's name without a folder: where libraries may lie is the driver's to say (``calock.agent.backends.libraries``)."""


class Libraries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File names of one kind of token library, by system."""

    linux: tuple[LibraryName, ...] = ()
    windows: tuple[LibraryName, ...] = ()
    macos: tuple[LibraryName, ...] = ()


class VendorLibraries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a vendor's own installer puts on a user's computer: SKF (GM/T 0016) and PKCS#11 libraries."""

    skf: Libraries = Libraries()
    pkcs11: Libraries = Libraries()


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The driver package that is built for a vendor. Its code is the vendor's."""

    title: str
    sites: tuple[str, ...]
    """Codes of the sites whose pages the installed driver answers."""
    providers: tuple[str, ...]
    """Codes of the providers whose locks it is offered for."""


class VendorCa(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One CA certificate in the vendor's folder, with the addresses of its revocation data.

    ``crl_signer``: its key signs CRLs alone.
    """

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\.pem\Z")]
    anchor: bool = False
    crl_signer: bool = False
    group: str = ""
    crl: tuple[str, ...] = ()
    ocsp: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    """Those of the addresses that lie in a private network."""


class Vendor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``vendor.toml`` says. ``rules`` is ``calock.core.policy.Policy`` as JSON; missing keys take the strict default."""

    code: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,49}\Z")]
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
    published: dict[str, str] = {}
    """By OID that an identity rule reads: where it is published that a CA writes this there."""
    libraries: VendorLibraries = VendorLibraries()
    product: Product | None = None
    ca: tuple[VendorCa, ...] = ()


def vendor_folders(own: Path | None = None) -> dict[str, Path]:
    """The folders of all vendors by code: those of the program and those in ``own``.

    Raises:
        DefinitionError: as ``calock.wire.folders.find_folders``.
    """
    return find_folders(SHIPPED, own, FILE)


def read_vendor(folder: Path) -> Vendor:
    """Read one vendor's folder.

    Raises:
        DefinitionError: its file does not say what it must, has rules that are none, names another code than its folder, a
            certificate that is not there, an address inside that is no address, or a source for an OID that no rule reads; one of
            the program's own has an OID without a source.
    """
    path = folder / FILE
    vendor = read_toml(path, Vendor)
    if vendor.code != folder.name:
        raise DefinitionError(f"{path}: code {vendor.code!r} is not the name of its folder")
    try:
        identity = Policy.from_json(vendor.rules).identity
    except (PolicyError, OverflowError) as error:
        raise DefinitionError(f"{path}: rules: {error}") from error
    rules = (*identity.lock, *identity.holder) if "identity" in vendor.rules else ()
    read = {rule.oid for rule in rules if rule.source == "oid"}
    if vendor.published.keys() - read:
        raise DefinitionError(f"{path}: published: no identity rule reads {min(vendor.published.keys() - read)}")
    if folder.parent == SHIPPED and read - vendor.published.keys():
        raise DefinitionError(f"{path}: published: nothing says where {min(read - vendor.published.keys())} is published")
    for ca in vendor.ca:
        if not (folder / ca.file).is_file():
            raise DefinitionError(f"{path}: ca.file: there is no {ca.file} beside it")
        if not {*ca.inside} <= {*ca.crl, *ca.ocsp}:
            raise DefinitionError(f"{path}: ca.inside: an address of {ca.file} that is neither in crl nor in ocsp")
    return vendor


def read_vendors(own: Path | None = None) -> dict[str, Vendor]:
    """Every vendor by code.

    Raises:
        DefinitionError: as :func:`vendor_folders` and :func:`read_vendor`.
    """
    return {code: read_vendor(folder) for code, folder in vendor_folders(own).items()}


def library_names(vendors: Iterable[Vendor], kind: LibraryKind, system: System) -> tuple[str, ...]:
    """File names of all libraries of a kind that the vendors have on a system, each once."""
    found = (getattr(getattr(vendor.libraries, kind), system) for vendor in vendors)
    return tuple(dict.fromkeys(name for names in found for name in names))
