"""The sealed manifest of this machine's CRLs: what counts now, what cannot be used, and how new the newest ever was.

It is replaced in one rename, so that a reader sees the old state or the new one, and sealed with a key derived from the server's
secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from django.conf import settings

from calock.server.tools import seals
from calock.server.tools.files import locked, make_folder, replacing
from calock.server.tools.keys import ring


class Held(msgspec.Struct, frozen=True):
    """One CRL in force: from which address, for which CA of which provider."""

    file: str
    provider: str
    ca: str
    """SPKI SHA-256 of the CA record whose source this is."""
    url: str
    sha256: str
    etag: str = ""
    last_modified: str = ""
    head: str = ""
    """SHA-256 of the first octets of the body as it was served; empty = they do not tell one CRL from the next."""
    size: int = 0
    """Octets of that body."""


class Trouble(msgspec.Struct, frozen=True):
    """What the last attempt at one address ended with, when it brought something that cannot be used."""

    provider: str
    ca: str
    url: str
    reason: str
    detail: str


class Mark(msgspec.Struct, frozen=True):
    """The newest CRL that ever counted here from one address: an older one is refused, whatever became of the database's row."""

    ca: str
    url: str
    this_update: datetime
    number: str = ""
    """CRLNumber, hex; empty = it had none."""

    def raised_by(self, other: Mark) -> Mark:
        """Both maxima of two marks of one address."""
        number = max(self.number, other.number, key=lambda text: int(text or "0", 16))
        return Mark(self.ca, self.url, max(self.this_update, other.this_update), number)


class Final(msgspec.Struct, frozen=True):
    """A CA certificate that a CRL listed as revoked for good: no later CRL takes that back on this machine."""

    ca: str
    """SPKI SHA-256 of the key that issued it."""
    serial: str
    """Hex."""
    sha256: str
    """Of the CRL."""
    revoked_at: datetime
    detail: str
    noted_at: datetime


class Manifest(msgspec.Struct, frozen=True):
    """What counts on this machine now."""

    held: tuple[Held, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    marks: tuple[Mark, ...] = ()
    """They outlive their source: one that was taken away and comes back begins where it was."""
    finals: tuple[Final, ...] = ()

    def of(self, ca: str, url: str) -> Held | None:
        return next((item for item in self.held if (item.ca, item.url) == (ca, url)), None)

    def trouble_of(self, ca: str, url: str) -> Trouble | None:
        return next((item for item in self.troubles if (item.ca, item.url) == (ca, url)), None)

    def mark_of(self, ca: str, url: str) -> Mark | None:
        return next((item for item in self.marks if (item.ca, item.url) == (ca, url)), None)


class StoreDamagedError(RuntimeError):
    """The manifest is not one this server sealed."""


def directory() -> Path:
    """``CALOCK_DATA/crl``, made when it is not there."""
    return make_folder(Path(settings.CALOCK.data) / "crl")


def stamp() -> tuple[int, int, int]:
    """Something that differs whenever the manifest was replaced; one system call."""
    try:
        found = os.stat(directory() / "manifest")  # noqa: PTH116 - the login path looks here every second
    except FileNotFoundError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_manifest() -> Manifest:
    """Read the manifest; an absent one is empty.

    Raises:
        StoreDamagedError: it is not the one we wrote.
    """
    try:
        data = (directory() / "manifest").read_bytes()
    except FileNotFoundError:
        return Manifest()
    body, _, mac = data.rpartition(b"\n")
    if not seals.fits(mac.decode(errors="replace"), "manifest", body) and not _fits_former(mac, body):
        raise StoreDamagedError("the manifest of the CRL store was changed outside the server")
    try:
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise StoreDamagedError("the manifest of the CRL store is another version's") from error


def manifest_or_empty() -> Manifest:
    """The manifest for somebody who takes in CRLs: a damaged one is empty, or nothing would ever count again.

    What it said is fetched again; that no source goes back is held by its row in the database.
    """
    try:
        return read_manifest()
    except StoreDamagedError:
        return Manifest()


def write_manifest(manifest: Manifest) -> None:
    body = msgspec.json.encode(manifest)
    with replacing(directory() / "manifest") as file:
        file.write(body + b"\n" + seals.mac("manifest", body).encode())


@contextmanager
def changing() -> Iterator[None]:
    """Hold the one lock of this machine under which the manifest is changed."""
    with locked(directory() / "lock"):
        yield


def _fits_former(mac: bytes, body: bytes) -> bool:
    """How it was sealed before :mod:`calock.server.tools.seals`: to lose it would lose what is revoked for good."""
    keys = [key.octets for key in ring("revocation")]
    made = (hashlib.blake2b(body, digest_size=32, key=key, person=b"crl manifest").hexdigest().encode() for key in keys)
    return any(hmac.compare_digest(mac, former) for former in made)
