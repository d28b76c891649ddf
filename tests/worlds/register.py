"""A register with one provider, its anchor and the CA below it, and the two operators who decide about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from worlds.practice import Family
from worlds.rows import install, operator

from calock.demo import pki
from calock.server.accounts.models import Account
from calock.server.providers.models import CaRecord, Provider

AT_START = datetime(2024, 1, 1, tzinfo=UTC)
CODE = "lianxi"


@dataclass
class World:
    provider: Provider
    anchor: CaRecord
    intermediate: CaRecord
    first: Account
    second: Account


@cache
def practice_root() -> pki.Authority:
    return pki.make_root("练习根 CA", "SM2", not_before=AT_START, not_after=datetime(2046, 1, 1, tzinfo=UTC))


@cache
def practice_intermediate() -> pki.Authority:
    return practice_root().intermediate("练习中级 CA", not_before=AT_START, not_after=AT_START + timedelta(days=7000))


def install_practice(code: str = CODE) -> Provider:
    return install(
        Family(code, practice_root(), practice_intermediate()),
        values={"name": "练习 CA 互认平台", "short_name": "练习 CA", "hotline": "0351-0000000"},
        rules={},
        groups=("root", "issuing"),
        addresses=({}, {"crl_urls": ("http://127.0.0.1:8/ca.crl",)}),
    )


def make_world() -> World:
    provider = install_practice()
    records = {record.anchor: record for record in CaRecord.objects.filter(provider=provider)}
    return World(provider, records[True], records[False], operator("jia"), operator("yi"))
