"""Accounts, locks bound to them, and the CRLs of their CAs on a live source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from worlds.browser import context
from worlds.locks import LockWorld, make_lock_world
from worlds.practice import PracticeLock, make_lock
from worlds.revocation import LiveSource
from worlds.rows import PASSWORD

from calock.core.challenge import Purpose
from calock.server.accounts.models import Account
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.locks.services import bind_lock
from calock.server.providers.models import CaRecord, RevocationSource, SourceKind
from calock.server.revocation.refresh import refresh_crl


@dataclass(frozen=True)
class Person:
    """An account with a bound lock."""

    username: str
    password: str
    account: Account
    lock: PracticeLock


def make_people(count: int, algorithm: str = "EC") -> tuple[LockWorld, LiveSource, list[Person]]:
    world = make_lock_world(algorithm)
    source = LiveSource()
    publish(world, source)
    return world, source, [make_person(world, number, algorithm) for number in range(count)]


def publish(world: LockWorld, source: LiveSource) -> None:
    """Serve each CA's CRL on loopback, and fetch it into this process' own store, with which the locks are bound."""
    now = timezone.now()
    for family in world.families:
        for authority in (family.root, family.issuing):
            path = f"/{authority.key.spki_sha256}.crl"
            source.serve(path, authority.crl([], this_update=now - timedelta(minutes=5), next_update=now + timedelta(hours=9)))
            row = RevocationSource(ca_record=CaRecord.objects.get(spki_sha256=authority.key.spki_sha256), kind=SourceKind.CRL)
            row.url, row.private_network = source.url(path), True
            row.save()
            refresh_crl(row)


def make_person(world: LockWorld, number: int, algorithm: str = "EC") -> Person:
    username = f"person{number:02}"
    account = Account.objects.create_account(
        username=username, name=f"测试{number:02}", password=PASSWORD, organisation=world.organisation
    )
    lock = make_lock(algorithm, number=number, lock_id=f"R-{number:04}")
    made = context(account=account)
    text = issue_challenge(aim=Aim(Purpose.BIND, member=account.pk, provider=lock.family.provider), context=made).text
    token = json.dumps(lock.sign(text)).encode()
    bind_lock(member=account, provider=lock.family.provider, challenge=text, token=token, device=None, by=account, context=made)
    return Person(username, PASSWORD, account, lock)
