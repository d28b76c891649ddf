"""What every page owes its readers and its security policy."""

# ruff: noqa: E501 - lists of names

from __future__ import annotations

import re

import pytest
from worlds.browser import page_client
from worlds.manual import World
from worlds.page import Page, read

from calock.server.portal.templatetags.portal import whole_dates
from calock.server.sites.registry import sites
from calock.wire.driver import PORTS, TLS_PORTS

PUBLIC = (
    "/", "/guide/", "/guide/downloads/", "/guide/downloads/ca/", "/downloads/", "/login/", "/help/", "/help/driver/", "/help/binding/",
    "/help/login/", "/help/certificate/", "/help/failures/", "/help/versions/", "/contact/", "/legal/", "/legal/privacy/", "/check/",
)  # fmt: skip
PRIVATE = ("/apps/", "/user-center/", "/system/", "/system/ca/", "/system/ca/?state=ended", "/sessions/", "/password/")


def _pages(world: World, site: str, *, english: bool = False) -> dict[str, Page]:
    account = world.admin if site == "shanxi" else world.zcy_admin
    client = page_client(site, account, english=english)
    own = next(iter(account.bindings.all()))
    found = {path: read(page_client(site, english=english), path) for path in PUBLIC}
    found |= {path: read(client, path) for path in (*PRIVATE, f"/system/ca/{own.pk}/")}
    found["/nothing/"] = read(client, "/nothing/", 404)
    return found


@pytest.mark.parametrize("site", sites())
def test_nothing_runs_or_styles_inline(world: World, site: str):
    for path, page in _pages(world, site).items():
        assert page.inline_scripts == [], path
        assert page.all("style") == [], path
        for tag, attributes in page.elements:
            assert "style" not in attributes, (path, tag)
            assert not [name for name in attributes if name.startswith("on")], (path, tag)
            assert "javascript:" not in attributes.get("href", ""), path


FULL_WIDTH = re.compile(r"[a-z]{2} ?[，。；：（）！？]|[，。；：（）！？] ?[A-Za-z]{2}")


@pytest.mark.parametrize("site", sites())
def test_english_sentences_have_english_punctuation(world: World, site: str):
    """But for the name of a CA, which is the register's."""
    for path, page in _pages(world, site, english=True).items():
        assert FULL_WIDTH.findall(re.sub("（C=[^）]*）", "", page.text)) == [], path


def test_a_date_in_a_sentence_is_broken_nowhere_and_a_label_stays_text():
    assert whole_dates("绑定于 2026-11-30 <b>") == '绑定于 <span class="nowrap">2026-11-30</span> &lt;b&gt;'


@pytest.mark.parametrize("site", sites())
def test_pages_can_be_read_by_everyone(world: World, site: str):
    for path, page in _pages(world, site).items():
        assert page.all("html")[0]["lang"] == "zh-CN", path
        assert len(page.all("h1")) == 1, path
        assert len(page.all("main")) == 1, path
        assert len(page.ids) == len(set(page.ids)), (path, sorted(page.ids))
        assert all("alt" in image for image in page.all("img")), path
        named = {label.get("for") for label in page.all("label")}
        for field in page.all("input") + page.all("select") + page.all("textarea"):
            labelled = field.get("id") in named or "aria-label" in field or "label" in field["_inside"].split()
            assert labelled or field.get("type") == "hidden", (path, field)
        for target in (element for _, element in page.elements if "aria-controls" in element):
            assert target["aria-controls"] in page.ids, path


@pytest.mark.parametrize("site", sites())
def test_a_pin_field_belongs_to_no_form_and_is_not_remembered(world: World, site: str):
    account = world.admin if site == "shanxi" else world.zcy_admin
    for path, client in (("/login/", page_client(site)), ("/system/ca/", page_client(site, account))):
        fields = [field for field in read(client, path).all("input") if "data-pin" in field]
        assert len(fields) == 1, path
        assert "form" not in fields[0]["_inside"].split(), path
        assert "name" not in fields[0], path
        assert fields[0]["autocomplete"] == "off", path
        assert fields[0]["type"] == "password", path


def test_policy_lets_scripts_only_from_here_and_connections_only_here_and_to_the_driver(world: World):
    policy = page_client("shanxi").get("/login/")["Content-Security-Policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";") if rule.strip()}
    assert rules["script-src"] == ["'self'"]
    assert rules["style-src"] == ["'self'"]
    assert rules["frame-ancestors"] == ["'none'"]
    plain = [f"{scheme}://127.0.0.1:{port}" for port in PORTS for scheme in ("http", "ws")]
    secure = [f"{scheme}://127.0.0.1:{port}" for port in TLS_PORTS for scheme in ("https", "wss")]
    assert sorted(rules["connect-src"]) == sorted(["'self'", *plain, *secure])
    assert rules["form-action"] == [source for source in rules["connect-src"] if not source.startswith("ws")]
    assert len(policy) < 2500  # proxies give all headers of an answer 4 KB


@pytest.mark.parametrize("site", sites())
def test_english_pages_are_english(world: World, site: str):
    """Names of people, organisations, CAs and packages stay as they are; nothing else is left in Chinese."""
    names = ("中文", "测试供应商管理员", "测试供应商有限公司", "测试供应商", "测试_政采云测试", "俞海琴", "李明", "运营甲", "山西CA互认平台",
             "山西 CA", "浙江天谷CA", "浙江天谷 CA 驱动", "政采云CA互认平台", "政采云 CA 驱动", "政采云 CA", "山西互认驱动", "检测完成")  # fmt: skip
    chinese = re.compile(r"[一-鿿]+")
    left = {}
    for path, page in _pages(world, site, english=True).items():
        assert page.all("html")[0]["lang"] == "en", path
        text = page.text
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(name, "")
        assert not re.search(r"sign(ed|ing)?[ -](in|out)\b|[【】]", text, re.IGNORECASE), path  # one word for one act: log in
        if found := chinese.findall(text):
            left[path] = found
    assert left == {}


def test_the_switch_stays_and_returns_to_the_page(world: World):
    client = page_client("shanxi")
    assert read(client, "/contact/").all("html")[0]["lang"] == "zh-CN"
    response = client.post("/language/", {"language": "en", "next": "/contact/"})
    assert (response.status_code, response["Location"]) == (302, "/contact/")
    assert "Contact" in read(client, "/contact/").text
    assert client.post("/language/", {"language": "zh-hans", "next": "https://evil.example/"})["Location"] == "/"
    assert "联系我们" in read(client, "/contact/").text


def test_a_browser_that_prefers_english_still_gets_chinese_first(world: World):
    response = page_client("shanxi").get("/", headers={"accept-language": "en-US,en;q=0.9"})
    assert response["Content-Language"] == "zh-hans"
