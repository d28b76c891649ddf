"""The rows behind the pages: the manuals' sample rows among others, made through the models, with real package files."""

# ruff: noqa: E501 - one row of sample data is one line

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from html.parser import HTMLParser

from console_help import prove
from django.conf import settings
from django.test import Client
from django.utils import timezone as clock

from calock.core.certificates.certificate import Certificate
from calock.demo import pki
from calock.server.accounts.models import Account
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.store import Incoming
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.organisations.models import Organisation
from calock.server.providers.models import CaRecord, Provider
from calock.server.sessions import cookies
from calock.server.sessions.models import Session
from calock.server.sessions.services import ABSOLUTE
from calock.server.sites.registry import sites

HOSTS = {code: f"{profile.hosts[0]}:8000" for code, profile in sites().items()}
PASSWORD = "Chang-Cheng-7-Li"
LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"
SHANGHAI = timezone(timedelta(hours=8))


def china(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI)  # type: ignore[arg-type,misc]


@cache
def _authority(name: str) -> bytes:
    now = datetime.now(UTC)
    return pki.make_root(name, "EC", not_before=now - timedelta(days=4000), not_after=now + timedelta(days=4000)).certificate


def provider(code: str, name: str, short: str, sites: list[str], order: int) -> Provider:
    made = Provider.objects.create(code=code, name=name, short_name=short, sites=sites, order=order, hotline="0351-000000")
    certificate = Certificate.parse(_authority(name))
    CaRecord.objects.create(
        provider=made,
        group=code,
        anchor=True,
        spki_sha256=certificate.spki_sha256,
        certificate=certificate.der,
        subject=certificate.subject_text,
        state="recognised",
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )
    return made


def bind(
    of: Provider,
    lock_id: str,
    subject: str,
    not_after: datetime | None,
    account: Account,
    *,
    by: Account,
    at: datetime,
    site: str = "shanxi",
) -> Binding:
    """A bound lock; ``not_after`` None: imported without its certificate."""
    lock = Lock.objects.create(provider=of, lock_id=lock_id)
    if not_after is not None:
        LockCertificate.objects.create(
            lock=lock,
            ca_record=of.ca_records.get(),
            serial=secrets.token_hex(8),
            cert_sha256=secrets.token_hex(32),
            spki_sha256=secrets.token_hex(32),
            subject_cn=subject,
            holder_masked="9114************",
            algorithm="SM2",
            not_before=not_after - timedelta(days=365),
            not_after=not_after,
            der=b"",
        )
    return Binding.objects.create(lock=lock, account=account, bound_by=by, bound_at=at, site=site)


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
    supplier = Organisation.objects.create(kind="supplier", name="测试供应商有限公司", uscc="91140100MA0TEAC100")
    cloud = Organisation.objects.create(kind="supplier", name="测试_政采云测试", uscc="91330100MA2PRAC200")

    def account(username: str, name: str, role: str, organisation: Organisation | None) -> Account:
        return Account.objects.create(username=username, name=name, role=role, organisation=organisation, password="!")

    admin = account("cssbjgys02", "测试供应商管理员", "organisation_admin", supplier)
    member = account("cssbjgys03", "李明", "member", supplier)
    zcy_admin = account("yuhaiqin", "俞海琴", "organisation_admin", cloud)
    operator = account("yunying01", "运营甲", "operator", None)
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
    return World(supplier, admin, member, zcy_admin, operator, bindings, packages)


def browser(site: str, account: Account | None = None, *, english: bool = False) -> Client:
    """A browser on one site; with a live session when ``account`` is given."""
    client = Client(headers={"host": HOSTS[site], "user-agent": LINUX, "origin": f"http://{HOSTS[site]}"})
    if account is not None:
        value, now = cookies.new_value(), clock.now()
        Session.objects.create(
            digest=cookies.digest(value),
            account=account,
            site=site,
            method="password",
            ip="127.0.0.1",
            user_agent=LINUX,
            created_at=now,
            last_seen_at=now,
            expires_at=now + ABSOLUTE,
            authenticated_at=now,
        )
        if account.role == "operator":
            prove(Session.objects.get(digest=cookies.digest(value)))
        client.cookies[cookies.session_cookie()] = value
    if english:
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    return client


class Page(HTMLParser):
    """One page as text, elements and links."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "path", "rect", "circle", "ellipse"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inline_scripts: list[str] = []
        self.pieces: list[str] = []
        self._open: list[str] = []
        self.html = html
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.elements.append((tag, {**values, "_inside": " ".join(self._open)}))
        if tag not in self.VOID:
            self._open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            self.inline_scripts.append(html_of(values))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style", "title"):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.pieces))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def html_of(attributes: dict[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in attributes.items())


def read(client: Client, path: str, status: int = 200) -> Page:
    response = client.get(path)
    assert response.status_code == status, (path, response.status_code)
    return Page(response.content.decode())
