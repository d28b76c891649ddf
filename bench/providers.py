# ruff: noqa: E402, PLC0415 - the path comes first, and the environment before Django
"""What a CA login costs on a platform that recognises a thousand providers beside one that recognises three.

Run: ``python bench/providers.py [--providers 3 1000] [--logins N] [--rounds N]``. Two databases of one PostgreSQL and a server
process for each, over HTTP in turns: CPU of the server and of the database. Each provider has a root and a CA below it. Besides:
what it costs to build the register of all of them, as at the start, and to see that nothing changed, as every minute.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from functools import partial

from measuring import LARGE, SMALL, Cost, Goals, Logins, chosen, database, machine_without_jobs, ratio, turns, use_this_checkout

use_this_checkout()
from field import Field

GOAL = 1.05


def recognise(count: int) -> None:
    """So many providers more, each with two CAs, as one change of the register."""
    from django.db import transaction
    from worlds.practice import Family, family
    from worlds.rows import RULES

    from calock.core.certificates.certificate import Certificate
    from calock.server.providers.models import CaRecord, CaState, Provider, open_register

    def record(provider: Provider, of: Family, *, anchor: bool) -> CaRecord:
        certificate = Certificate.parse((of.root if anchor else of.issuing).certificate)
        return CaRecord(
            provider=provider, group=f"{provider.code}-{anchor}", anchor=anchor, spki_sha256=certificate.spki_sha256,
            certificate=certificate.der, subject=certificate.subject_cn, state=CaState.RECOGNISED,
            not_before=certificate.not_before, not_after=certificate.not_after,
        )  # fmt: skip

    known = Provider.objects.count()
    families = [family("EC", f"anbieter-{known + number:04}") for number in range(count)]
    providers = [
        Provider(code=one.provider, name=one.provider, short_name=one.provider, sites=["shanxi"], rules=RULES) for one in families
    ]
    records = [record(of, one, anchor=anchor) for of, one in zip(providers, families, strict=True) for anchor in (True, False)]
    with transaction.atomic():
        register = open_register()
        for row in (*providers, *records):
            row.mac = row.sealed_mac()
        Provider.objects.bulk_create(providers)
        CaRecord.objects.bulk_create(records)
        register.seal(register.macs | {row.mac for row in (*providers, *records)})


def milliseconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return (time.process_time() - began) * 1000


def main() -> int:
    asked = chosen(providers=[3, 1000], logins=200, rounds=9)
    field, goals = Field("postgresql"), Goals()
    from django.db import connection

    from calock.server.providers.register_rows import fingerprint
    from calock.server.providers.trust import load_register
    from calock.server.revocation.evidence import StoredEvidence
    from calock.server.revocation.manifest import read_manifest

    data = {SMALL: field.place / "small", LARGE: field.place / "harness"}
    urls, acts = {SMALL: field.url}, {}
    try:
        for name, count in zip((SMALL, LARGE), asked.providers, strict=True):
            if name == SMALL:
                recognise(count - 1)
                shutil.copytree(data[LARGE], data[SMALL])  # with what this machine knows of the register so far
            else:
                connection.close()
                urls[LARGE] = field.copied_database(LARGE)
                connection.settings_dict["NAME"] = LARGE
                recognise(count - asked.providers[0])
            register = load_register().register
            manifest = read_manifest()
            built, linked = milliseconds(load_register), milliseconds(partial(StoredEvidence, register, manifest, {}))
            seen = milliseconds(fingerprint)
            print(f"{count} providers, CPU: register {built:.0f} ms, evidence {linked:.0f} ms, seen to be the same {seen:.0f} ms")
        for name, folder in data.items():
            machine = machine_without_jobs(field, DATABASE_URL=urls[name], CALOCK_DATA=str(folder))
            logins = Logins(machine.port, field.people)
            logins.run(100)
            acts[name] = partial(Cost([machine.children, database(field)], logins.run).of, asked.logins)
        found = turns(acts, asked.rounds)
    finally:
        field.close()
    reached = ratio(found[LARGE], found[SMALL])
    print(f"CPU ms of challenge + login, P-256, server and PostgreSQL, {asked.rounds} x {asked.logins} in turns")
    for name, count in zip((SMALL, LARGE), asked.providers, strict=True):
        print(f"{count:>5} providers: best {min(found[name]):.2f} ms, all turns together {sum(found[name]) / asked.rounds:.2f} ms")
    print(f"ratio {reached:.3f}   {goals.at_most(reached, GOAL)}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
