"""CRLs on this machine's disk: the DER as it came, its index, and one small manifest that names what counts now.

Everything lies under ``CALOCK_DATA/crl``. Files are named by their content and never changed. Index and manifest are sealed with a
key derived from the server's secret: a changed file is refused, and its issuer then has no data, which refuses logins rather than
letting a revoked lock in.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import cast

import structlog
from msgspec.structs import replace

from calock.core.certificates.certificate import Certificate
from calock.core.der.reader import Bytes
from calock.core.revocation.crl import CrlHeader
from calock.core.revocation.crl_entries import walk_entries
from calock.core.revocation.crl_index import CrlIndex, IndexDamagedError, seal_anew, write_index
from calock.server.revocation.manifest import (
    Final,
    Held,
    Manifest,
    Mark,
    StoreDamagedError,
    Trouble,
    changing,
    directory,
    manifest_or_empty,
    read_manifest,
    write_manifest,
)
from calock.server.tools.files import UNFINISHED, replacing
from calock.server.tools.keys import key_for, ring
from calock.server.tools.rekeying import Rekeyed

KEEP_UNUSED = 180.0
"""Seconds for which files that no manifest names any more are kept: another process may be about to open them.

Each looks for a new manifest every second; a large CRL that is issued anew all the time must not fill the disk meanwhile.
"""

log = structlog.get_logger(__name__)


def usable(ca: str, url: str) -> tuple[Held, CrlIndex] | None:
    """What one address brought, when it can still be read; None asks for it to be fetched and written anew."""
    held = manifest_or_empty().of(ca, url)
    try:
        return None if held is None else (held, open_index(held.file))
    except IndexDamagedError:
        return None


def put(held: Held, mark: Mark, finals: Iterable[Final] = ()) -> None:
    """Let a CRL count from now on, in place of what its address brought before.

    ``mark`` says how new it is, ``finals`` which CA certificates it or its predecessor revokes for good.
    """
    with changing():
        now = manifest_or_empty()
        before = now.mark_of(held.ca, held.url)
        known = {(item.ca, item.serial) for item in now.finals}
        manifest = Manifest(
            (*(item for item in now.held if not _same(item, held)), held),
            tuple(item for item in now.troubles if not _same(item, held)),
            (*(item for item in now.marks if not _same(item, held)), mark.raised_by(before) if before else mark),
            (*now.finals, *{(item.ca, item.serial): item for item in finals if (item.ca, item.serial) not in known}.values()),
        )
        write_manifest(manifest)
        sweep(manifest)


def _same(one: Held | Trouble | Mark, other: Held | Trouble | Mark) -> bool:
    """Whether two speak of one address of one CA."""
    return (one.ca, one.url) == (other.ca, other.url)


def note_trouble(trouble: Trouble) -> None:
    """Remember why what an address brought cannot be used; what counted before still does."""
    with changing():
        now = manifest_or_empty()
        if trouble not in now.troubles:
            write_manifest(replace(now, troubles=(*(item for item in now.troubles if not _same(item, trouble)), trouble)))


def forget(keep: set[tuple[str, str]]) -> int:
    """Drop what stands for addresses that are no source any more: ``keep`` are the (CA, address) pairs that are."""
    with changing():
        now = manifest_or_empty()
        held = tuple(item for item in now.held if (item.ca, item.url) in keep)
        troubles = tuple(item for item in now.troubles if (item.ca, item.url) in keep)
        dropped = len(now.held) - len(held)
        if dropped or len(troubles) != len(now.troubles):
            write_manifest(replace(now, held=held, troubles=troubles))
        return dropped


def write_files(der: Bytes, head: CrlHeader, signer: Certificate) -> str:
    """Write the DER and its index; returns the index file's name. Nothing counts until :func:`put` names it.

    Raises:
        Refusal: REVOCATION_UNTRUSTED, from walking the entries.
    """
    name = f"{head.sha256}-{signer.spki_sha256[:16]}.idx"
    place = directory()
    with replacing(place / name) as file:
        write_index(head, signer, walk_entries(der, *head.entries), file, key_for("revocation"))
    if not (place / f"{head.sha256}.crl").exists():
        with replacing(place / f"{head.sha256}.crl") as file:
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
    *newer, oldest = ring("revocation")
    for key in newer:
        with suppress(IndexDamagedError):
            return CrlIndex.open(cast(Bytes, mapped), key.octets)
    return CrlIndex.open(cast(Bytes, mapped), oldest.octets)  # a mmap slices and unpacks like bytes


def rekey() -> Rekeyed:
    """Seal this machine's manifest and indexes under the newest key. What does not fit stays, and is fetched anew as ever."""
    found = Rekeyed("CRLs of this machine")
    newest, *older = ring("revocation")
    with changing():
        try:
            manifest = read_manifest()
        except StoreDamagedError as error:
            found.failed.append(str(error))
            return found
        for name in {held.file for held in manifest.held}:
            block = (directory() / name).read_bytes() if (directory() / name).exists() else b""
            for key in older:
                with suppress(IndexDamagedError):
                    _replace_index(name, seal_anew(block, key.octets, newest.octets))
                    found.done += 1
        write_manifest(manifest)
    return found


def _replace_index(name: str, block: bytes) -> None:
    with replacing(directory() / name) as file:
        file.write(block)


def sweep(manifest: Manifest) -> int:
    """Delete files of ours that nothing names any more and that no process can be about to open. Returns how many.

    A file that cannot be deleted is logged and tried again at the next run.
    """
    named = {item.file for item in manifest.held} | {f"{item.sha256}.crl" for item in manifest.held}
    before = time.time() - KEEP_UNUSED
    count = 0
    with os.scandir(directory()) as entries:
        for entry in entries:
            try:
                if entry.name not in named and _is_ours(entry) and entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.path)  # noqa: PTH108 - an entry of scandir has no method for it
                    count += 1
            except FileNotFoundError:
                continue
            except OSError as error:
                log.warning("crl_file_not_deleted", file=entry.name, error=str(error))
    return count


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """An index, a CRL, or a temporary that a process left behind when it was killed."""
    name = entry.name
    return (name.endswith((".idx", ".crl")) or name.startswith(UNFINISHED)) and entry.is_file(follow_symlinks=False)


def sweep_files() -> int:
    """:func:`sweep` by what the manifest says now, for the background; nothing while it cannot be believed."""
    with changing():
        try:
            return sweep(read_manifest())
        except StoreDamagedError:
            return 0
