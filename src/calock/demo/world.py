"""Build the whole practice world below one directory: CAs, CRLs, locks, organisations, accounts, provider register.

``build(root)`` is for a fresh process: it sets the server's environment and creates the database. Tests that already run Django
use ``make_practice`` (files) and ``fill_database`` (rows) with the database they have. ``now`` fixes the clock of everything made.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from calock.core.policy import IdentityRule, IdentityRules, Policy
from calock.demo import pki
from calock.demo.authorities import PROVIDERS, ProviderSpec
from calock.demo.crl_source import CrlSource
from calock.demo.keyring import BOUND
from calock.demo.people import ACCOUNTS, ORGANISATIONS, PASSWORD
from calock.demo.place import Place
from calock.demo.practice import VERSION, Practice, make_practice, open_practice, require_ours

if TYPE_CHECKING:
    from calock.server.accounts.models import Account
    from calock.server.organisations.models import Organisation

RULES = Policy(identity=IdentityRules(lock=(IdentityRule("oid", pki.LOCK_ID_OID),), holder_required=True))
"""What the practice providers ask of a certificate: the strict default, and where they write the lock's id."""


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

    own = [family for family in practice.families.values() if spec.code in family.spec.providers]
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


def move_destination(purpose: str, address: str) -> None:
    """Let the server ask a practice service where it listens now, and nowhere else."""
    from calock.server.egress.decisions import add_destination  # noqa: PLC0415 - needs Django set up
    from calock.server.egress.models import Destination  # noqa: PLC0415 - same

    Destination.objects.filter(purpose=purpose, url__startswith="http://127.0.0.1:").exclude(url=address).delete()
    if not Destination.objects.filter(purpose=purpose, url=address).exists():
        add_destination(purpose=purpose, url=address, private_network=True, by=None, context=None)


def prepare_server(root: Path, database: str = "") -> None:
    """Point the server at ``root`` and set Django up, in a process where that has not happened yet.

    What the environment says of a real server's database, key, outside places and proxy is put aside: a demonstration writes into
    none of them, and asks this computer alone.
    ``database``: address of an empty one to use instead of SQLite below ``root``.
    """
    for name in ("DATABASE_URL", "CALOCK_SECRET_KEY", "CALOCK_SECRET_KEY_FILE", "CALOCK_AUDIT_HEADS", "CALOCK_EGRESS_PROXY"):
        os.environ.pop(name, None)
    if database:
        os.environ["DATABASE_URL"] = database
    os.environ["CALOCK_DATA"] = str(root)
    os.environ["CALOCK_INSECURE_HTTP"] = "1"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.process.settings")
    import django  # noqa: PLC0415 - reads the environment set above

    django.setup()


def build(root: Path, *, now: datetime | None = None, crl_port: int = 8790, database: str = "") -> Practice:
    """Make the world at ``root``, or open the one that is there. Its data is kept; a build that was interrupted is made anew.

    The register names a CRL source on ``crl_port``, or on another when that is taken; :func:`move_crl_source` corrects it later.
    With a clock of another time (``now``) no lock is bound: that takes today's checks. ``database``: see :func:`prepare_server`.

    Raises:
        WorldError: ``root`` holds something else, or a world of another version.
    """
    place = Place(root)
    notes = place.notes()
    if notes.get("made"):
        practice = open_practice(root)
        prepare_server(root, database)
        _migrate()
        return practice
    require_ours(place)
    place.create()
    place.write_notes({"version": VERSION, "made": ""})
    for leftover in (*root.glob("calock.sqlite3*"), *root.glob("register.seen")):  # a new database has a new register
        leftover.unlink()
    practice = make_practice(root, now=now)
    prepare_server(root, database)
    _migrate()
    with CrlSource(practice, crl_port) as source:
        fill_database(practice, crl_base=source.address)
        if now is None:
            _bind_sample(practice, source)
    place.write_notes({"version": VERSION, "made": practice.now.isoformat(), "crl_base": source.address})
    return practice


def _bind_sample(practice: Practice, source: CrlSource) -> None:
    from calock.demo.bound import bind_samples  # noqa: PLC0415 - needs Django set up

    bind_samples(practice, BOUND, source=source)


def _migrate() -> None:
    from django.core.management import call_command  # noqa: PLC0415 - needs Django set up

    call_command("migrate", verbosity=0, interactive=False)
