"""Shared by the tests of the register and of the console: operators, a provider with practice CAs, a session that stands on it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from calock.demo import pki
from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Lock, LockCertificate
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, Provider
from calock.server.sessions.models import Session, SessionMethod

AT_START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class World:
    provider: Provider
    anchor: CaRecord
    intermediate: CaRecord
    first: Account
    second: Account


def operator(username: str) -> Account:
    return Account.objects.create_account(username=username, name=f"运营{username}", role=Role.OPERATOR)


def install(authority: pki.Authority, intermediate: pki.Authority, *, code: str = "lianxi") -> Provider:
    return install_provider(
        code=code,
        values={"name": "练习 CA 互认平台", "short_name": "练习 CA", "hotline": "0351-0000000"},
        rules={},
        sites=["shanxi"],
        cas=[
            CaToInstall(authority.certificate, anchor=True, group="root"),
            CaToInstall(intermediate.certificate, anchor=False, group="issuing", crl_urls=("http://127.0.0.1:9/ca.crl",)),
        ],
    )


def make_world(authority: pki.Authority, intermediate: pki.Authority) -> World:
    provider = install(authority, intermediate)
    records = {record.anchor: record for record in CaRecord.objects.filter(provider=provider)}
    return World(provider, records[True], records[False], operator("jia"), operator("yi"))


def ca_session(world: World, *, site: str = "shanxi", record: CaRecord | None = None) -> Session:
    """A live session that a lock of the world's intermediate opened."""
    account = Account.objects.create_account(username=secrets.token_hex(6), name="张三")
    lock = Lock.objects.create(provider=world.provider, lock_id=secrets.token_hex(8))
    now = timezone.now()
    unique = secrets.token_hex(16)
    LockCertificate.objects.create(
        lock=lock,
        ca_record=record or world.intermediate,
        serial=unique,
        cert_sha256=hashlib.sha256(unique.encode()).hexdigest(),
        spki_sha256=hashlib.sha256(b"k" + unique.encode()).hexdigest(),
        subject_cn="张三",
        algorithm="SM2",
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=300),
        der=b"",
    )
    return Session.objects.create(
        digest=secrets.token_hex(32),
        account=account,
        site=site,
        method=SessionMethod.CA,
        lock=lock,
        created_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(hours=1),
        authenticated_at=now,
    )
