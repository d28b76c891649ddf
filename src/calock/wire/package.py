"""Driver packages: the signed manifest inside the zip, and the check of a whole zip against it without unpacking anything.

A package is a zip of stored (not compressed) members below one folder. ``manifest.json`` names every other member with size and
SHA-256; ``manifest.sig`` is the Base64 of an Ed25519 signature (RFC 8032) over the manifest's bytes. The builder of the
packages holds the private key; the server checks uploads with the public key, the driver checks updates with the key named in
its own package.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import IO, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from calock.core.refusals import Reason, Refusal
from calock.wire.archive import ZipMember, read_member, read_members
from calock.wire.vendors import LibraryName

FORMAT = "calock-package-1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MAX_PACKAGE = 200 * 1024 * 1024
"""Bytes of a whole zip."""
MAX_MANIFEST = 1024 * 1024
_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,48}")
_VERSION = re.compile(r"(0|[1-9]\d{0,4})(\.(0|[1-9]\d{0,4})){1,3}")
_TITLE = re.compile(r"[\w()（）·. -]{1,100}")


class PackedFile(msgspec.Struct, frozen=True):
    sha256: str
    size: int


class ModuleHints(msgspec.Struct, frozen=True, kw_only=True):
    """Which vendor libraries the installed driver looks for; no paths: it knows where they may lie."""

    find_skf: bool = False
    find_pkcs11: bool = False
    """Those of the vendors that the driver itself knows."""
    skf_names: tuple[LibraryName, ...] = ()
    pkcs11_names: tuple[LibraryName, ...] = ()
    """Those of an operator's own vendors, which it does not."""


class PackageManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a package says about itself. Unknown fields are ignored, so that an old driver can read a newer manifest."""

    format: Literal["calock-package-1"]
    code: str
    """The same over versions and systems, e.g. ``shanxi-huren``."""
    title: str
    version: str
    os: Literal["linux", "windows", "macos"]
    arch: Literal["x86_64", "arm64"]
    sites: tuple[str, ...]
    providers: tuple[str, ...]
    origins: tuple[str, ...]
    """Exact origins that the installed driver answers; the first is where it asks for newer versions."""
    key: str
    """Base64 of the Ed25519 public key that newer packages are checked with."""
    released: str
    """ISO 8601, UTC: the date of the sources, not of the build."""
    changes: str
    files: dict[str, PackedFile]
    modules: ModuleHints = ModuleHints()

    @property
    def file_name(self) -> str:
        """The name a person sees, e.g. ``山西互认驱动-1.0.0-linux-x86_64.zip``."""
        return f"{self.title}-{self.version}-{self.os}-{self.arch}.zip"

    @property
    def folder(self) -> str:
        """The one folder at the top of the zip."""
        return f"calock-{self.code}-{self.version}-{self.os}-{self.arch}"


class Release(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the server tells a driver about the newest package of its code and system."""

    manifest: str
    """The manifest's text, exactly as it was signed."""
    signature: str
    path: str
    """Where the zip lies on the same origin."""
    size: int
    sha256: str


def version_key(version: str) -> tuple[int, ...]:
    """Value to compare versions by.

    Raises:
        Refusal: PACKAGE_REFUSED, not two to four numbers with dots.
    """
    if not _VERSION.fullmatch(version):
        raise Refusal(Reason.PACKAGE_REFUSED, f"version {version[:40]!r} is not two to four numbers with dots")
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def parse_manifest(text: bytes) -> PackageManifest:
    """Read a manifest.

    Raises:
        Refusal: PACKAGE_REFUSED with what is wrong.
    """
    if len(text) > MAX_MANIFEST:
        raise Refusal(Reason.PACKAGE_REFUSED, "manifest too large")
    try:
        manifest = msgspec.json.decode(text, type=PackageManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.PACKAGE_REFUSED, f"manifest: {str(error)[:120]}") from error
    version_key(manifest.version)
    if not _CODE.fullmatch(manifest.code) or not _TITLE.fullmatch(manifest.title):
        raise Refusal(Reason.PACKAGE_REFUSED, "manifest: code or title has characters that a file name must not have")
    return manifest


def load_key(text: str) -> Ed25519PublicKey:
    """Read a public key from Base64.

    Raises:
        ValueError: not 32 bytes in Base64.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise ValueError("a package key is the Base64 of 32 bytes") from error


def verify_manifest(text: bytes, signature: str, keys: Iterable[str]) -> PackageManifest:
    """Check the signature with any of ``keys``, then read the manifest.

    Raises:
        Refusal: PACKAGE_REFUSED: no signature, none of the keys made it, or an unusable manifest.
    """
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.PACKAGE_REFUSED, "the manifest's signature is not Base64") from error
    for key in keys:
        try:
            load_key(key).verify(raw, text)
        except (InvalidSignature, ValueError):
            continue
        return parse_manifest(text)
    raise Refusal(Reason.PACKAGE_REFUSED, "the manifest is not signed by a known package key")


class VerifiedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A zip whose contents are exactly those that its signed manifest names."""

    manifest: PackageManifest
    text: str
    """The manifest's text in the zip."""
    signature: str
    folder: str


def inspect(file: IO[bytes], keys: Iterable[str]) -> VerifiedPackage:
    """Check a whole package: the zip's form, the manifest's signature, and every member's size and SHA-256. Nothing is unpacked.

    Raises:
        Refusal: PACKAGE_REFUSED with what is wrong.
    """
    members = read_members(file, limit=MAX_PACKAGE)
    folder = next(iter(members)).partition("/")[0]
    inside: dict[str, ZipMember] = {}
    for name, member in members.items():
        top, _, rest = name.partition("/")
        if top != folder or not rest:
            raise Refusal(Reason.PACKAGE_REFUSED, "members lie outside the one folder")
        inside[rest] = member
    if MANIFEST not in inside or SIGNATURE not in inside:
        raise Refusal(Reason.PACKAGE_REFUSED, "no signed manifest inside")
    text = read_member(file, inside[MANIFEST], MAX_MANIFEST)
    try:
        signature = read_member(file, inside[SIGNATURE], 1024).decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise Refusal(Reason.PACKAGE_REFUSED, "the manifest's signature is not Base64") from error
    manifest = verify_manifest(text, signature, keys)
    if folder != manifest.folder:
        raise Refusal(Reason.PACKAGE_REFUSED, "the folder inside is not named after the package")
    _compare(file, inside, manifest.files)
    return VerifiedPackage(manifest=manifest, text=text.decode("utf-8"), signature=signature, folder=folder)


def _compare(file: IO[bytes], inside: Mapping[str, ZipMember], listed: Mapping[str, PackedFile]) -> None:
    present = set(inside) - {MANIFEST, SIGNATURE}
    if present != set(listed):
        odd = min(present ^ set(listed))
        raise Refusal(Reason.PACKAGE_REFUSED, f"manifest and zip disagree about {odd[:80]!r}")
    for name, entry in listed.items():
        member = inside[name]
        if member.size != entry.size or _sha256(file, member) != entry.sha256:
            raise Refusal(Reason.PACKAGE_REFUSED, f"{name[:80]!r} is not what the manifest says")


def _sha256(file: IO[bytes], member: ZipMember) -> str:
    digest = hashlib.sha256()
    file.seek(member.start)
    left = member.size
    while left:
        part = file.read(min(left, 1 << 20))
        if not part:
            break
        digest.update(part)
        left -= len(part)
    return digest.hexdigest()
