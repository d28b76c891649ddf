"""CRLs on this machine's disk: the DER as it came, its index, and one small manifest that names what counts now.

Everything lies under ``CALOCK_DATA/crl``. Files are named by their content and never changed; the manifest is replaced in one
rename, so that a reader sees the old state or the new one. Index and manifest are sealed with a key derived from the server's
secret: a changed file is refused, and its issuer then has no data, which refuses logins rather than letting a revoked lock in.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import mmap
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import msgspec
from django.conf import settings

from calock.core.certificate import Certificate
from calock.core.crl import CrlHead
from calock.core.crl_entries import walk_entries
from calock.core.crl_index import CrlIndex, IndexDamagedError, write_index
from calock.core.walk import Bytes
from calock.server.keys import key_for

KEEP_UNUSED = 3600.0
"""Seconds for which files that no manifest names any more are kept: another process may be about to open them."""


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


class Trouble(msgspec.Struct, frozen=True):
    """What the last attempt at one address ended with, when it brought something that cannot be used."""

    provider: str
    ca: str
    url: str
    reason: str
    detail: str


class Manifest(msgspec.Struct, frozen=True):
    """What counts on this machine now."""

    held: tuple[Held, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    def of(self, ca: str, url: str) -> Held | None:
        return next((item for item in self.held if (item.ca, item.url) == (ca, url)), None)


class StoreDamagedError(RuntimeError):
    """The manifest is not one this server sealed."""


def directory() -> Path:
    """``CALOCK_DATA/crl``, made when it is not there."""
    path = Path(settings.CALOCK.data) / "crl"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


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
    if not hmac.compare_digest(mac, _mac(body)):
        raise StoreDamagedError("the manifest of the CRL store was changed outside the server")
    try:
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise StoreDamagedError("the manifest of the CRL store is another version's") from error


def _to_change() -> Manifest:
    """The manifest for somebody who writes it anew: a damaged one is empty, or nothing would ever count again.

    What it said is fetched again; that no source goes back is held by its row in the database.
    """
    try:
        return read_manifest()
    except StoreDamagedError:
        return Manifest()


def usable(ca: str, url: str) -> Held | None:
    """What one address brought, when it can still be read; None asks for it to be fetched and written anew."""
    held = _to_change().of(ca, url)
    try:
        if held is not None:
            open_index(held.file)
    except IndexDamagedError:
        return None
    return held


@contextmanager
def changing() -> Iterator[None]:
    """Hold the one lock of this machine under which the manifest is changed."""
    with (directory() / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def put(held: Held) -> None:
    """Let a CRL count from now on, in place of what its address brought before."""
    with changing():
        now = _to_change()
        rest = tuple(item for item in now.held if (item.ca, item.url) != (held.ca, held.url))
        troubles = tuple(item for item in now.troubles if (item.ca, item.url) != (held.ca, held.url))
        _write_manifest(Manifest((*rest, held), troubles))
        _sweep(Manifest((*rest, held)))


def note_trouble(trouble: Trouble) -> None:
    """Remember why what an address brought cannot be used; what counted before still does."""
    with changing():
        now = _to_change()
        rest = tuple(item for item in now.troubles if (item.ca, item.url) != (trouble.ca, trouble.url))
        if trouble not in now.troubles:
            _write_manifest(Manifest(now.held, (*rest, trouble)))


def forget(keep: set[tuple[str, str]]) -> int:
    """Drop what stands for addresses that are no source any more: ``keep`` are the (CA, address) pairs that are."""
    with changing():
        now = _to_change()
        held = tuple(item for item in now.held if (item.ca, item.url) in keep)
        troubles = tuple(item for item in now.troubles if (item.ca, item.url) in keep)
        dropped = len(now.held) - len(held)
        if dropped or len(troubles) != len(now.troubles):
            _write_manifest(Manifest(held, troubles))
        return dropped


def write_files(der: Bytes, head: CrlHead, signer: Certificate) -> str:
    """Write the DER and its index; returns the index file's name. Nothing counts until :func:`put` names it.

    Raises:
        Refusal: REVOCATION_UNTRUSTED, from walking the entries.
    """
    name = f"{head.sha256}-{signer.spki_sha256[:16]}.idx"
    place = directory()
    with _new_file(place / name) as file:
        write_index(head, signer, walk_entries(der, *head.entries), file, _key())
    if not (place / f"{head.sha256}.crl").exists():
        with _new_file(place / f"{head.sha256}.crl") as file:
            file.write(der)
    return name


def open_index(name: str) -> CrlIndex:
    """Map an index into memory: its pages are shared by all processes of this machine.

    Raises:
        IndexDamagedError: not the file we wrote, or not there.
    """
    try:
        with (directory() / name).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise IndexDamagedError("the index file cannot be read") from error
    return CrlIndex.open(cast(Bytes, mapped), _key())  # a mmap slices and unpacks like bytes


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that is whole or not there."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write_manifest(manifest: Manifest) -> None:
    body = msgspec.json.encode(manifest)
    with _new_file(directory() / "manifest") as file:
        file.write(body + b"\n" + _mac(body))


def _sweep(manifest: Manifest) -> None:
    """Delete files that nothing names any more and nobody can be about to open."""
    named = {item.file for item in manifest.held} | {f"{item.sha256}.crl" for item in manifest.held} | {"manifest", "lock"}
    for path in directory().iterdir():
        try:
            if path.name not in named and path.stat().st_mtime < time.time() - KEEP_UNUSED:
                path.unlink()
        except FileNotFoundError:
            continue


def _key() -> bytes:
    return key_for("revocation")


def _mac(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32, key=_key(), person=b"crl manifest").hexdigest().encode()
