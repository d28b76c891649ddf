"""Build the whole practice world below one directory: CAs, CRLs, locks, organisations, accounts, provider register.

``build(root)`` is for a fresh process: it sets the server's environment and creates the database. Tests that already run Django
use ``make_practice`` (files) and ``fill_database`` (rows) with the database they have. ``now`` fixes the clock of everything made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from calock.core.policy import IdentityRule, IdentityRules, Policy
from calock.demo import pki
from calock.demo.authorities import FAMILIES, PROVIDERS, Family, ProviderSpec, load_families, make_family, save_family
from calock.demo.keyring import MadeLock, lock, make_locks
from calock.demo.people import ACCOUNTS, ORGANISATIONS, PASSWORD
from calock.demo.place import Place

if TYPE_CHECKING:
    from calock.demo.crl_source import CrlSource
    from calock.server.accounts.models import Account
    from calock.server.organisations.models import Organisation

VERSION = 1
"""Raised when an older world on disk can no longer be used."""

RULES = Policy(identity=IdentityRules(lock=(IdentityRule("oid", pki.LOCK_ID_OID),), holder_required=True))
"""What the practice providers ask of a certificate: the strict default, and where they write the lock's id."""


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
                fresh = self.place.crls / (name + ".new")
                fresh.write_bytes(crl)
                fresh.replace(self.place.crls / name)


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


def fill_database(practice: Practice, *, crl_base: str) -> None:
    """Create organisations, accounts and the provider register, in the database that Django is set up with.

    ``crl_base``: address of the CRL source, e.g. ``http://127.0.0.1:8801/``.
    """
    from django.db import transaction  # noqa: PLC0415 - Django is set up by the caller, after this module is imported

    with transaction.atomic():
        _people()
        for order, spec in enumerate(PROVIDERS):
            _provider(spec, order, practice, crl_base)


def _people() -> None:
    from calock.server.accounts.models import Account  # noqa: PLC0415 - needs Django set up
    from calock.server.organisations.models import Organisation  # noqa: PLC0415 - same

    organisations: dict[str, Organisation] = {}
    for org in ORGANISATIONS:
        organisations[org.key] = Organisation.objects.create(kind=org.kind, name=org.name, uscc=org.uscc)
    for sample in ACCOUNTS:
        account: Account = Account.objects.create_account(
            username=sample.username,
            name=sample.name,
            password=PASSWORD,
            role=sample.role,
            organisation=organisations[sample.organisation] if sample.organisation else None,
        )
        account.full_clean()


def _provider(spec: ProviderSpec, order: int, practice: Practice, crl_base: str) -> None:
    from calock.server.providers.installation import CaToInstall, install_provider  # noqa: PLC0415 - needs Django set up

    own = [family for family in practice.families.values() if family.spec.provider == spec.code]
    install_provider(
        code=spec.code,
        values={"name": spec.name, "short_name": spec.short_name, "hotline": spec.hotline, "order": 10 * (order + 1)},
        rules=RULES.to_json(),
        sites=spec.sites,
        cas=[
            CaToInstall(
                authority.certificate,
                anchor=authority is family.root,
                group=family.spec.code,
                crl_urls=(crl_base + file_name,),
                private_network=True,
            )
            for family in own
            for file_name, authority in family.authorities()
        ],
    )


def move_crl_source(crl_base: str) -> None:
    """The CRL source listens elsewhere now: write the new address into the register."""
    from calock.server.providers.models import RevocationSource  # noqa: PLC0415 - needs Django set up

    for source in RevocationSource.objects.filter(kind="crl", url__startswith="http://127.0.0.1:"):
        url = crl_base + source.url.rpartition("/")[2]
        if source.url != url:
            source.url = url
            source.save()


def prepare_server(root: Path) -> None:
    """Point the server at ``root`` and set Django up, in a process where that has not happened yet.

    What the environment says of another database or key is put aside: a demonstration never writes into a real server's.
    """
    for name in ("DATABASE_URL", "CALOCK_SECRET_KEY", "CALOCK_SECRET_KEY_FILE"):
        os.environ.pop(name, None)
    os.environ["CALOCK_DATA"] = str(root)
    os.environ["CALOCK_INSECURE_HTTP"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.settings")
    import django  # noqa: PLC0415 - reads the environment set above

    django.setup()


def build(root: Path, *, now: datetime | None = None, crl_port: int = 8790) -> Practice:
    """Make the world at ``root``, or open the one that is there. Its data is kept; a build that was interrupted is made anew.

    The register names a CRL source on ``crl_port``, or on another when that is taken; :func:`move_crl_source` corrects it later.
    With a clock of another time (``now``) no lock is bound: that takes today's checks.

    Raises:
        WorldError: ``root`` holds something else, or a world of another version.
    """
    place = Place(root)
    notes = place.notes()
    if notes.get("made"):
        practice = open_practice(root)
        prepare_server(root)
        _migrate()
        return practice
    require_ours(place)
    place.create()
    place.write_notes({"version": VERSION, "made": ""})
    for leftover in (*root.glob("calock.sqlite3*"), *root.glob("register.seen")):  # a new database has a new register
        leftover.unlink()
    practice = make_practice(root, now=now)
    prepare_server(root)
    _migrate()
    from calock.demo.crl_source import CrlSource  # noqa: PLC0415 - that module imports this one

    with CrlSource.open(practice, crl_port) as source:
        fill_database(practice, crl_base=source.base)
        if now is None:
            _bind_sample(practice, source)
    place.write_notes({"version": VERSION, "made": practice.now.isoformat(), "crl_base": source.base})
    return practice


def _bind_sample(practice: Practice, source: CrlSource) -> None:
    from calock.demo.bound import bind_sample  # noqa: PLC0415 - needs Django set up

    bind_sample(practice, lock("bound"), username="cssbjgys03", provider="zhejiang-tiangu", source=source)


def _migrate() -> None:
    from django.core.management import call_command  # noqa: PLC0415 - needs Django set up

    call_command("migrate", verbosity=0, interactive=False)
