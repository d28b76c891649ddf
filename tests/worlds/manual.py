"""The manuals' sample rows among others: two organisations, three providers, bound locks, published driver packages."""

# ruff: noqa: E501 - one row of sample data is one line

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from django.utils import timezone as clock
from worlds.practice import family
from worlds.rows import OTHER_USCC, account, install, lock_row, supplier

from calock.server.accounts.models import Account, Role
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.store import Incoming
from calock.server.locks.models import Binding, Lock
from calock.server.organisations.models import Organisation
from calock.server.providers.models import Provider

SHANGHAI = timezone(timedelta(hours=8))


def china(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI)  # type: ignore[arg-type,misc]


def provider(code: str, name: str, short: str, sites: list[str], order: int) -> Provider:
    values = {"name": name, "short_name": short, "order": order, "hotline": "0351-000000"}
    return install(family("EC", code), values=values, sites=sites)


def bind(
    of: Provider,
    lock_id: str,
    subject: str,
    not_after: datetime | None,
    holder: Account,
    *,
    by: Account,
    at: datetime,
    site: str = "shanxi",
) -> Binding:
    """A bound lock; ``not_after`` None: imported without its certificate."""
    if not_after is None:
        lock = Lock.objects.create(provider=of, lock_id=lock_id)
    else:
        dates = {"not_before": not_after - timedelta(days=365), "not_after": not_after}
        record = of.ca_records.get(anchor=False)
        lock = lock_row(of, lock_id, record, subject_cn=subject, holder_masked="9114************", der=b"made up", **dates)
    return Binding.objects.create(lock=lock, account=holder, bound_by=by, bound_at=at, site=site)


def package(code: str, title: str, sites: list[str], os: str, arch: str, providers: list[Provider]) -> DriverPackage:
    incoming = Incoming([f"{code} {os} {arch}".encode()])
    incoming.keep()
    made = DriverPackage.objects.create(
        code=code,
        title=title,
        sites=sites,
        os=os,
        arch=arch,
        version="1.0.0",
        file_name=f"{code}-1.0.0-{os}-{arch}.zip",
        size=incoming.stored.size,
        sha256=incoming.stored.sha256,
        sm3=incoming.stored.sm3,
        manifest="",
        signature="",
        state=PackageState.PUBLISHED,
        released_at=clock.now(),
    )
    made.providers.set(providers)
    return made


@dataclass
class World:
    supplier: Organisation
    admin: Account
    member: Account
    zcy_admin: Account
    operator: Account
    bindings: dict[str, Binding]
    packages: dict[str, DriverPackage]


def make_world() -> World:
    own, cloud = supplier(), supplier("测试_政采云测试", OTHER_USCC)
    admin = account("cssbjgys02", "测试供应商管理员", Role.ORGANISATION_ADMIN, own)
    member = account("cssbjgys03", "李明", Role.MEMBER, own)
    zcy_admin = account("yuhaiqin", "俞海琴", Role.ORGANISATION_ADMIN, cloud)
    operator = account("yunying01", "运营甲", Role.OPERATOR)
    huren = provider("shanxi-huren", "山西CA互认平台", "山西 CA", ["shanxi"], 1)
    tiangu = provider("zhejiang-tiangu", "浙江天谷CA", "浙江天谷CA", ["shanxi", "zcy"], 2)
    zcy_ca = provider("zcy-huren", "政采云CA互认平台", "政采云 CA", ["zcy"], 3)
    soon = clock.now() + timedelta(days=20, hours=1)
    bindings = {
        "first": bind(huren, "7201300001812001", "测试供应商", china(2020, 7, 16, 23, 59, 59), admin, by=admin, at=china(2020, 11, 30, 10, 55, 35)),
        "second": bind(tiangu, "7201300001813344", "测试供应商", china(2021, 4, 23, 10, 22, 34), admin, by=admin, at=china(2020, 11, 16, 19, 38, 45)),
        "member": bind(huren, "8201300001810000", "李明", soon, member, by=admin, at=china(2020, 10, 1, 8, 0, 0)),
        "zcy": bind(
            zcy_ca, "3301000045102205", "测试_政采云测试", clock.now() + timedelta(days=300), zcy_admin,
            by=zcy_admin, at=china(2019, 8, 16, 16, 25, 31), site="zcy",
        ),
        "imported": bind(zcy_ca, "3301000045102206", "", None, zcy_admin, by=zcy_admin, at=china(2019, 8, 15, 16, 25, 31), site="zcy"),
    }  # fmt: skip
    packages = {
        "linux": package("shanxi-huren", "山西互认驱动", ["shanxi"], "linux", "x86_64", [huren, tiangu]),
        "windows": package("shanxi-huren", "山西互认驱动", ["shanxi"], "windows", "x86_64", [huren, tiangu]),
        "zcy": package("zcy-huren", "政采云 CA 驱动", ["zcy"], "linux", "x86_64", [zcy_ca]),
        "tiangu": package("zhejiang-tiangu", "浙江天谷 CA 驱动", ["zcy"], "windows", "x86_64", [tiangu]),
    }
    return World(own, admin, member, zcy_admin, operator, bindings, packages)
