"""Operators' pages for driver packages: upload, look, publish, withdraw; nobody else, and no huge form from anybody else."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, prove
from worlds.driver_packages import make_package, package_key
from worlds.practice import HOST, ORIGIN

from calock.server.accounts.models import Account, Role
from calock.server.approvals.models import Approval
from calock.server.audit.models import AuditEvent
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.services import count_download, monday_of
from calock.server.sessions.context import RequestContext
from calock.server.web.uploads import ANYBODY

LIST = "/console/downloads/driverpackage/"


@pytest.fixture
def browser(operator, package_store):
    browser = Browser()
    prove(browser.enter(operator))
    return browser


def send(browser, data: bytes | None):
    file = io.BytesIO(data or b"")
    file.name = "上传.zip"
    fields = {} if data is None else {"package": file}
    return browser.client.post(LIST + "upload/", fields, headers={"origin": ORIGIN}, follow=True)


def step(browser, package, **fields):
    return browser.client.post(f"{LIST}{package.pk}/change/", fields, headers={"origin": ORIGIN}, follow=True).content.decode()


def test_upload_check_publish_withdraw(browser):
    page = send(browser, make_package()).content.decode()
    package = DriverPackage.objects.get()
    assert "已上传为草稿" in page
    assert package.sha256 in page
    assert package.sm3 in page
    assert "山西互认驱动-1.0.0-linux-x86_64.zip" in page
    step(browser, package, step="publish", checked=package.sha256, reason="1.0.0 发布")
    package.refresh_from_db()
    assert package.state == PackageState.DRAFT  # one operator proposes
    second = Browser()
    prove(second.enter(Account.objects.create_account(username="yunying2", name="运营乙", role=Role.OPERATOR)))
    approval = Approval.objects.get()
    form = {"step": "approve", "version": approval.version, "sha256": approval.sha256}
    for press in (browser, second):
        page = press.client.get(f"/console/approvals/{approval.pk}/").content.decode()
        assert package.sha256 in page
        press.client.post(f"/console/approvals/{approval.pk}/", form, headers={"origin": ORIGIN})
    package.refresh_from_db()
    assert package.state == PackageState.PUBLISHED
    assert AuditEvent.objects.get(event="package:published").actor == Account.objects.get(username="yunying2").pk
    assert "已撤回" in step(browser, package, step="withdraw", reason="安装失败")
    package.refresh_from_db()
    assert (package.state, package.withdrawn_reason) == (PackageState.WITHDRAWN, "安装失败")
    assert "山西互认驱动" in browser.client.get(LIST).content.decode()


def test_the_pages_name_the_system_as_the_portal_does_and_tell_downloads_by_the_week(browser, upload):
    package = upload()
    context = RequestContext(site="shanxi", origin="", ip=None, user_agent="", browser="", session=None, at=timezone.now())
    for at in (context.at, context.at, context.at - timedelta(weeks=1)):
        count_download(package=package, context=replace(context, at=at))
    page = browser.client.get(f"{LIST}{package.pk}/change/").content.decode()
    assert "Linux x86-64" in page
    for at, count in ((context.at, 2), (context.at - timedelta(weeks=1), 1)):
        assert f'<td>{monday_of(timezone.localdate(at))}</td><td class="number">{count}</td>' in page
    row = browser.client.get(LIST).content.decode().partition('id="result_list"')[2]
    assert re.search(r"其中本周[^>]*>2</td>", row)


def test_publishing_needs_the_check_of_this_very_file(browser, upload):
    package = upload(publish=False)
    step(browser, package, step="publish")
    step(browser, package, step="publish", checked="0" * 64)
    package.refresh_from_db()
    assert package.state == PackageState.DRAFT


def test_withdrawing_needs_a_reason(browser, upload):
    package = upload()
    step(browser, package, step="withdraw", reason="")
    package.refresh_from_db()
    assert package.state == PackageState.PUBLISHED


@pytest.mark.parametrize("data", [None, b"", b"MZ", make_package(key=package_key("stranger"))])
def test_a_refused_upload_says_why_and_is_recorded(browser, data):
    page = send(browser, data).content.decode()
    assert re.search(r"不是可用的驱动包（技术说明：[^（）]+）</span>", page), "why, and once"
    assert not DriverPackage.objects.exists()
    assert AuditEvent.objects.filter(event="package:refused", reason="PACKAGE_REFUSED").count() == 1


def test_without_a_key_the_page_says_so(browser, package_store):
    (package_store.parent / "package-keys.txt").unlink()
    assert "尚未配置驱动包签名公钥" in browser.client.get(LIST).content.decode()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ORGANISATION_ADMIN])
def test_for_everybody_else_there_is_no_such_page(upload, role):
    package = upload(publish=False)
    browser = Browser()
    browser.enter(Account.objects.create_account(username="qita", name="其他人", role=role))
    assert browser.client.get(LIST).status_code == 404
    assert send(browser, make_package(version="2.0.0")).status_code == 404
    step(browser, package, step="publish", checked=package.sha256)
    package.refresh_from_db()
    assert package.state == PackageState.DRAFT
    assert DriverPackage.objects.count() == 1


def test_a_huge_form_of_a_stranger_is_refused_before_it_is_kept(db):
    """A form is parsed for its CSRF token before any view runs."""
    browser = Browser(enforce_csrf_checks=True)
    browser.client.get("/login/")  # brings the CSRF cookie
    file = io.BytesIO(b"x" * (ANYBODY + 1))
    file.name = "big.zip"
    answer = browser.client.post("/login/", {"package": file}, headers={"origin": f"http://{HOST}"})
    assert answer.status_code in (400, 413)
