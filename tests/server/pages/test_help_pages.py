"""Help that knows what it is asked about: the cause by its code, the CA that issued the lock."""

from __future__ import annotations

import re

import msgspec
import pytest
from worlds.browser import HOSTS, page_client
from worlds.manual import World
from worlds.page import Page, read

from calock.server.portal.failures import CATALOGUE, COMMON
from calock.server.portal.templatetags.portal import in_language
from calock.server.sites.practice import public_with_samples
from calock.server.sites.registry import sites
from calock.server.web.causes import CAUSE_OF
from calock.server.web.refusals import catalogue, describe


@pytest.mark.parametrize(
    ("referer", "offered"),
    [
        ("http://{}/help/?q=x", ["/help/"]),
        ("http://evil.example/help/", []),
        ("http://{}//evil.example/", []),
        ("http://{}/gone/", []),
        ("", []),
    ],
)
def test_a_missing_page_offers_the_search_and_the_page_that_led_to_it(world: World, referer: str, offered: list[str]):
    answer = page_client("shanxi").get("/gone/", headers={"referer": referer.format(HOSTS["shanxi"])})
    assert answer.status_code == 404
    page = Page(answer.content.decode())
    (search,) = [form for form in page.all("form") if form.get("role") == "search"]
    assert search["action"] == "/help/failures/"
    back = [link["href"] for link in page.all("a") if link.get("class") == "button large"]
    assert back == offered


def test_a_refusal_names_its_cause_as_the_help_lists_it(db):
    codes = {failure.code for failure in CATALOGUE}
    assert set(CAUSE_OF.values()) | {"F01", "F02", "F07", "F09", "F29"} == codes  # those five are the page's own findings
    assert set(COMMON) < codes
    for reason, code in CAUSE_OF.items():
        assert describe(reason)["cause"] == catalogue()[reason.value]["cause"] == code
        fragment = describe(reason)["action"]["href"].partition("#")[2]
        assert not fragment.startswith("F") or fragment == code, (reason, fragment, code)


@pytest.mark.parametrize(("code", "named"), [("zhejiang-tiangu", "浙江天谷CA"), ("nobody", ""), ("", "")])
def test_the_page_about_certificates_names_the_ca_of_the_lock_first(world: World, code: str, named: str):
    page = read(page_client("shanxi"), f"/help/certificate/?ca={code}")
    own = [element for _, element in page.elements if "data-own-ca" in element]
    assert len(own) == bool(named)
    assert f"您的 CA 锁由 {named} 签发" in page.text or not named


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_a_help_page_is_called_in_the_browsers_tab_what_its_heading_says(world: World, site: str):
    for name in ("driver", "binding", "login", "certificate", "failures", "versions"):
        shown = page_client(site).get(f"/help/{name}/").content.decode()
        title, heading = re.search("<title>(.*?) - ", shown), re.search("<h1>(.*?)</h1>", shown)
        assert title
        assert heading
        assert title[1] == heading[1]


def test_the_help_reports_a_lost_lock_before_anything_else(world: World):
    """As the user guide and the login page say: 挂失 stops it at once; the old binding ends when the new lock is there."""
    assert "CA 锁遗失的，先用账号密码登录，在锁的列表中点“挂失”" in read(page_client("shanxi"), "/help/certificate/").text


def test_a_telephone_can_be_dialled(world: World):
    dialled = [
        element["href"] for element in read(page_client("shanxi"), "/contact/").all("a") if element["href"].startswith("tel:")
    ]
    assert "tel:03510000100" in dialled
    assert len(dialled) >= 2  # the platform's, and its CAs'


SYSTEMS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0.0.0": "Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/140.0.0.0": "macOS",
    "Mozilla/5.0 (Linux; Android 14; Mobile) Chrome/140.0.0.0": "",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148": "",
}


@pytest.mark.parametrize("agent", SYSTEMS)
def test_how_to_install_begins_with_the_own_system_and_a_phone_is_told_that_it_takes_a_computer(db, agent: str):
    client = page_client("shanxi")
    client.defaults["HTTP_USER_AGENT"] = agent
    for path in ("/guide/downloads/ca/", "/downloads/", "/login/", "/check/"):
        page = read(client, path)
        told = [element for _, element in page.elements if "data-on-phone" in element]
        assert len(told) == (SYSTEMS[agent] == ""), path
    text = read(client, "/guide/downloads/ca/").text.partition("安装步骤")[2]
    assert text.strip().startswith(SYSTEMS[agent])
    assert all(name in text for name in ("install.cmd", "install.command", "sh install.sh", "从“开始”菜单打开“CA 驱动”"))


def test_a_note_in_two_languages_is_read_in_one():
    assert in_language("首个版本：SM2。\nFirst version.") == "首个版本：SM2。"
    assert in_language("Only one") == "Only one"


def test_sample_facts_are_marked_on_pages_and_named_where_a_site_has_a_public_name(db):
    assert "练习平台：下面的电话、单位和备案号都是练习值" in read(page_client("shanxi"), "/").text
    known = sites()["shanxi"]
    public = msgspec.structs.replace(known, hosts=("ca.example.gov.cn",))
    assert public_with_samples({"shanxi": known}) == []
    assert public_with_samples({"shanxi": public}) == ["shanxi"]
    assert public_with_samples({"shanxi": msgspec.structs.replace(public, practice_facts=False)}) == []
