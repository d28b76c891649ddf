"""Operators in a real browser: the proof, the dashboard, and a CA certificate that two of them recognise."""

from __future__ import annotations

import re

from django.utils import timezone
from playwright.sync_api import expect

from calock.demo import pki
from journeys.people import Person, tail_of


def enter(person: Person, lock: str) -> None:
    """An operator logs in with their lock and lands in the console."""
    person.log_out()
    person.ca_login(tail_of(person.platform, lock), "135790")
    expect(person.page.get_by_role("heading", name="信任总览")).to_be_visible()


def test_two_operators_recognise_a_new_root(person: Person, tmp_path):
    complaints: list[str] = []
    person.page.on(
        "console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None
    )
    at = timezone.now()
    root = pki.make_root("山西互认练习 根CA 第二代", "SM2", not_before=pki.years(at, -1), not_after=pki.years(at, 9))
    (tmp_path / "root.cer").write_bytes(root.certificate)

    enter(person, "operator-1")
    person.picture("console-trust")
    person.page.get_by_role("link", name="山西CA互认平台").click()
    person.page.get_by_label("CA 证书文件").set_input_files(tmp_path / "root.cer")
    person.page.get_by_role("radio", name=re.compile("^信任锚")).check()
    person.page.get_by_label("理由").locator("visible=true").first.fill("CA 换发根证书")
    person.page.get_by_role("button", name="提出，等待复核").click()
    expect(person.page.get_by_text("等待另一位运营人员复核").first).to_be_visible()
    person.page.get_by_role("link", name=re.compile("^双人复核")).click()
    person.page.get_by_role("link", name="查看").click()
    expect(person.page.get_by_role("button", name="复核通过并执行")).to_have_count(0)

    enter(person, "operator-2")
    person.page.get_by_role("link", name=re.compile("^双人复核")).click()
    person.page.get_by_role("link", name="复核", exact=True).click()
    expect(person.page.get_by_text(root.key.spki_sha256)).to_be_visible()
    person.picture("console-approval")
    person.page.get_by_role("button", name="复核通过并执行").click()
    expect(person.page.get_by_text("已复核通过并执行")).to_be_visible()
    assert root.key.spki_sha256 in person.platform.manage("register", "list")
    person.platform.manage("register", "check")

    for path, picture in (("failures/?period=7d", "console-failures"), ("audit/auditevent/?verify=1", "console-audit")):
        person.go(f"/console/{path}")
        person.picture(picture)
    expect(person.page.get_by_text("条记录完整")).to_be_visible()
    export = person.page.locator("details.export")
    export.locator("summary").press("Enter")
    expect(export.get_by_role("link", name="CSV")).to_be_in_viewport(ratio=1)
    person.page.keyboard.press("Escape")
    expect(export.get_by_role("link", name="CSV")).to_be_hidden()
    assert not complaints


def test_a_supplier_finds_no_console(person: Person):
    person.enter("cssbjgys02")
    person.go("/console/trust/")
    expect(person.page.get_by_role("heading", name="信任总览")).to_have_count(0)
    person.go("/apps/")
    expect(person.page.get_by_role("link", name="运营控制台")).to_have_count(0)
