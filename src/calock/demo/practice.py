"""The files of the practice world: CAs, CRLs and locks below one directory. Nothing of it needs Django or a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from calock.demo.authorities import FAMILIES, Family, load_families, make_family, save_family
from calock.demo.keyring import MadeLock, make_locks
from calock.demo.place import Place
from calock.server.tools.files import replacing

VERSION = 3
"""Raised when an older world on disk can no longer be used."""


class WorldError(RuntimeError):
    """The directory holds something that this version of calock did not make."""


@dataclass(frozen=True, slots=True)
class Practice:
    """The world's files: what is needed to publish CRLs and to fill a database."""

    place: Place
    now: datetime
    families: Mapping[str, Family]
    locks: Mapping[str, MadeLock]
    """By name; empty when the world was read back from disk (keys of locks are only in the locks)."""

    def write_crls(self, now: datetime | None = None) -> None:
        """Sign every CRL anew into the CRL source's directory, each in one step. ``now``: another clock than the computer's."""
        for family in self.families.values():
            for name, crl in family.crls((now or datetime.now(UTC)).replace(microsecond=0)).items():
                with replacing(self.place.crls / name) as file:
                    file.write(crl)


def require_ours(place: Place) -> None:
    """Before the first file is written, the lock's included, or deleted.

    Raises:
        WorldError: the directory has contents, and no practice world's mark among them.
    """
    if place.contents() and not place.mark.exists():
        raise WorldError(f"{place.root} is not empty and holds no practice world; nothing there was touched")


def make_practice(root: Path, *, now: datetime | None = None) -> Practice:
    """Make CAs, locks and CRLs below ``root``; nothing of it needs Django."""
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    place = Place(root)
    place.create()
    families = {spec.code: make_family(spec, now) for spec in FAMILIES}
    locks, families = make_locks(place.locks, families, now)
    for family in families.values():
        save_family(family, place.pki)
    practice = Practice(place, now, families, locks)
    practice.write_crls(now)
    return practice


def open_practice(root: Path) -> Practice:
    """Read the world's files back.

    Raises:
        WorldError: made by another version of calock.
    """
    place = Place(root)
    notes = place.notes()
    if notes.get("version") != VERSION:
        raise WorldError(f"{root} holds no practice world of this version; `calock {place.words} --reset` makes a new one")
    return Practice(place, datetime.fromisoformat(notes["made"]), load_families(place.pki), {})
