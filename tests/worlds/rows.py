"""Organisations, accounts, providers, locks and sessions as rows: what every world of the server's tests is made of."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone
from worlds.practice import Family

from calock.core.certificates.certificate import Certificate
from calock.demo import pki
from calock.demo.people import organisation_code
from calock.demo.people import uscc as numbered
from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Lock, LockCertificate
from calock.server.organisations.models import Organisation, OrganisationKind
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, Provider
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import ABSOLUTE

PASSWORD = "Chang-Cheng-7-Li"
USCC = numbered("91140100" + organisation_code("MA0TEAC1"))
OTHER_USCC = numbered("91330100" + organisation_code("MA2PRAC2"))
RULES = {"identity": {"lock": [{"source": "oid", "oid": pki.LOCK_ID_OID}]}}


def rewrite(*rows: Model, **changes: Any) -> None:
    """Change rows as the server does: under their seal."""
    for row in rows:
        for name, value in changes.items():
            setattr(row, name, value)
        if isinstance(row, Session):
            row.seal()
            row.save()
        else:
            row.save(update_fields=[*changes])


def supplier(name: str = "测试供应商有限公司", uscc: str = USCC) -> Organisation:
    return Organisation.objects.create(kind=OrganisationKind.SUPPLIER, name=name, uscc=uscc)


def account(username: str, name: str, role: Role = Role.MEMBER, organisation: Organisation | None = None, **more: Any) -> Account:
    return Account.objects.create_account(username=username, name=name, role=role, organisation=organisation, **more)


def operator(username: str) -> Account:
    return account(username, f"运营{username}", Role.OPERATOR)


def install(
    family: Family,
    *,
    values: Mapping[str, Any] | None = None,
    rules: object = RULES,
    sites: Sequence[str] = ("shanxi",),
    groups: Sequence[str] = (),
    addresses: Sequence[Mapping[str, Any]] = ({}, {}),
    **more: Any,
) -> Provider:
    """Write the provider of a family into the register; of root and issuing CA: groups and addresses of revocation data."""
    named = {"name": f"{family.provider} 平台", "short_name": family.provider, "hotline": "0351-1234567", **(values or {})}
    cas = [
        CaToInstall(authority.certificate, anchor=authority is family.root, group=group, **where)
        for authority, group, where in zip(
            (family.root, family.issuing),
            groups or (f"{family.provider}-root", f"{family.provider}-issuing"),
            addresses,
            strict=True,
        )
    ]
    return install_provider(code=family.provider, values=named, rules=rules, sites=sites, cas=cas, **more)


def lock_row(of: Provider, lock_id: str, record: CaRecord, certificate: Certificate | None = None, **fields: Any) -> Lock:
    """A lock with its certificate, or with made-up fields of one."""
    lock = Lock.objects.create(provider=of, lock_id=lock_id)
    now = timezone.now()
    if certificate is None:
        made = {
            "serial": secrets.token_hex(8),
            "cert_sha256": secrets.token_hex(32),
            "spki_sha256": secrets.token_hex(32),
            "algorithm": "SM2",
            "not_before": now - timedelta(days=1),
            "not_after": now + timedelta(days=300),
            "der": b"",
        }
    else:
        made = {
            "serial": certificate.serial_hex,
            "cert_sha256": certificate.sha256,
            "spki_sha256": certificate.sha256,  # the practice keys are few and used again; a key is in one lock only
            "algorithm": certificate.algorithm,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "der": certificate.der,
        }
    LockCertificate.objects.create(lock=lock, ca_record=record, **{"subject_cn": "张三", **made, **fields})
    return lock


def ca_session(record: CaRecord, certificate: Certificate | None = None, *, name: str = "", site: str = "shanxi") -> Session:
    """A live session as a login leaves it, with a lock that this CA issued."""
    name = name or secrets.token_hex(8)
    now = timezone.now().replace(microsecond=0)
    return Session.objects.create(
        digest=secrets.token_hex(32),
        account=account(name, "张三"),
        site=site,
        method=SessionMethod.CA,
        lock=lock_row(record.provider, name, record, certificate),
        created_at=now,
        last_seen_at=now,
        expires_at=now + ABSOLUTE,
        authenticated_at=now,
    )
