"""A page as existing CA middleware has them, in a real browser: user list, items, PIN, login; then the same through ``sof.js``."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.chromium import Site, chromium, serving
from agent.driving import CHALLENGE, PIN, DriverProcess, Made, make_lock
from playwright.sync_api import Page

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate

# how pages of that family call: a synchronous request, the value out of retVal, the token sent along afterwards
OLD_PAGE = """<!doctype html><meta charset="utf-8"><title>旧版 CA 登录</title>
<select id="UserList"></select><input id="UserPwd" type="password"><pre id="out"></pre>
<script>
let loginToken = "";
function call(func, param) {
  const xhr = new XMLHttpRequest();
  xhr.open("POST", "http://127.0.0.1:%d/synctl", false);
  xhr.setRequestHeader("Content-type", "application/json");
  const sent = {url: location.href, clsid: "3F367B74-92D9-4C5E-AB93-234F8A91D5E6", func, param};
  if (loginToken) sent.token = loginToken;
  xhr.send(JSON.stringify(sent));
  if (xhr.status != 200) return "";
  const answer = JSON.parse(xhr.responseText);
  if (answer.token) loginToken = answer.token;
  return answer.retVal;
}
function fill() {
  for (const one of call("SOF_GetUserList").split("&&&")) {
    if (one) document.getElementById("UserList").add(new Option(one.split("||")[0], one.split("||")[1]));
  }
}
function login(challenge) {
  const id = document.getElementById("UserList").value, pin = document.getElementById("UserPwd").value;
  const certificate = call("SOF_ExportUserCert", [id]);
  const result = {name: call("SOF_GetCertInfo", [certificate, 17]), right: call("SOF_Login", [id, pin]),
    left: call("SOF_GetPinRetryCount", [id]), signed: call("SOF_SignData", [id, challenge]), why: call("SOF_GetLastError")};
  if (result.right) result.answer = call("SOF_Authenticate", [id, pin, challenge]);
  return result;
}
</script>"""

NEW_PAGE = """<!doctype html><meta charset="utf-8"><title>sof.js</title>
<script type="module">
import { connect } from "http://127.0.0.1:%d/compat/sof.js";
window.sof = await connect({ports: [%d], numbering: "gm"});
</script>"""


@pytest.fixture
def lock(tmp_path: Path) -> Made:
    return make_lock(tmp_path / "locks", "SM2", issue={"name": "测试_政采云测试", "uscc": "91140100MA0EXAMPL3"})


@pytest.fixture
def site() -> Iterator[Site]:
    """A platform on this computer."""
    with serving(Site({})) as running:
        yield running


@pytest.fixture
def browser_page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def start(tmp_path: Path, origin: str) -> DriverProcess:
    (tmp_path / "agent.toml").write_text("[compat]\nsynctl = true\n")
    return DriverProcess(tmp_path, origins=(origin,), options=["--config", str(tmp_path / "agent.toml")])


def check_answer(text: str, lock: Made, origin: str) -> None:
    token = json.loads(text)["token"]
    message = signatures.signed_message("SM2", origin, CHALLENGE)
    signatures.verify(lock.key.spki_der, "SM2", message, base64.b64decode(token["signature"]))


def test_old_page_logs_in(tmp_path: Path, lock: Made, site: Site, browser_page: Page) -> None:
    origin = site.at("old")
    with start(tmp_path, origin) as driver:
        site.pages["/"] = OLD_PAGE % driver.port
        browser_page.goto(origin + "/")
        browser_page.evaluate("fill()")
        assert browser_page.locator("#UserList option").all_text_contents() == ["测试_政采云测试"]
        browser_page.fill("#UserPwd", "999999")
        wrong = browser_page.evaluate("c => login(c)", CHALLENGE)
        assert (wrong["right"], wrong["left"], wrong["signed"], wrong["why"]) == (False, 5, "", 0x0B000009)
        browser_page.fill("#UserPwd", PIN)
        right = browser_page.evaluate("c => login(c)", CHALLENGE)
        assert (right["name"], right["right"], right["left"]) == ("测试_政采云测试", True, 6)
        check_answer(right["answer"], lock, origin)


def test_page_of_a_stranger_gets_nothing(tmp_path: Path, lock: Made, site: Site, browser_page: Page) -> None:
    origin = site.at("old")
    with start(tmp_path, "https://www.gov.example") as driver:
        site.pages["/"] = OLD_PAGE % driver.port
        browser_page.goto(origin + "/")
        with pytest.raises(Exception, match="NetworkError"):  # the preflight was refused
            browser_page.evaluate("fill()")
        assert browser_page.locator("#UserList option").count() == 0


def test_a_name_in_a_certificate_makes_no_entry_of_its_own(tmp_path: Path, site: Site, browser_page: Page) -> None:
    make_lock(tmp_path / "locks", "SM2", issue={"name": "甲||||假&&&&&&乙|"})
    origin = site.at("old")
    with start(tmp_path, origin) as driver:
        site.pages["/"] = NEW_PAGE % (driver.port, driver.port)
        browser_page.goto(origin + "/")
        browser_page.wait_for_function("window.sof")
        asked = json.dumps({"func": "SOF_GetUserList"}).encode()
        reply = driver.request("POST", "/synctl", asked, {"Content-Type": "application/json", "Origin": origin})
        for listed in (reply.json["retVal"], browser_page.evaluate("async () => await sof.SOF_GetUserList()")):
            entry, end = listed.split("&&&")
            assert (entry.split("||")[0], len(entry.split("||")), end) == ("甲｜｜｜｜假＆乙｜", 2, "")


def test_sof_module_in_the_browser(tmp_path: Path, lock: Made, site: Site, browser_page: Page) -> None:
    origin = site.at("old")
    with start(tmp_path, origin) as driver:
        site.pages["/"] = NEW_PAGE % (driver.port, driver.port)
        browser_page.goto(origin + "/")
        browser_page.wait_for_function("window.sof")

        def sof(call: str) -> object:
            return browser_page.evaluate(f"async () => await sof.{call}")

        listed = sof("SOF_GetUserList()")
        assert isinstance(listed, str)
        name, _, handle = listed.removesuffix("&&&").partition("||")
        assert name == "测试_政采云测试"
        assert sof(f"SOF_ExportUserCert('{handle}')") == ""
        assert sof("SOF_GetLastError()") == 0x0B000438
        assert sof(f"SOF_Login('{handle}', '999999')") is False
        assert sof("SOF_GetLastError()") == 0x0B000426
        assert sof(f"SOF_GetPinRetryCount('{handle}')") == 5
        assert sof(f"SOF_Login('{handle}', '{PIN}')") is True
        certificate = sof(f"SOF_ExportUserCert('{handle}')")
        assert base64.b64decode(str(certificate)) == lock.certificate
        assert sof(f"SOF_GetCertInfo('{certificate}', 0x31)") == "测试_政采云测试"
        assert sof(f"SOF_GetCertInfo('{certificate}', 0x32)") == "太原练习有限公司"
        assert sof(f"SOF_GetCertInfoByOid('{certificate}', '1.2.156.10260.4.1.4')") == "91140100MA0EXAMPL3"
        assert sof(f"SOF_ValidateCert('{certificate}')") == 0
        assert sof("SOF_ValidateCert('AAAA')") == -6
        browser_page.evaluate(
            "async p => window.sof = await (await import(p.url)).connect({ports: [p.port], numbering: 'xtx'})",
            {"url": f"{driver.address}/compat/sof.js", "port": driver.port},
        )
        parsed = Certificate.parse(lock.certificate)
        assert sof(f"SOF_GetCertInfo('{certificate}', 17)") == "测试_政采云测试"
        assert sof(f"SOF_GetCertInfo('{certificate}', 8)") == parsed.issuer_cn
        assert sof(f"SOF_GetCertInfo('{certificate}', 12)") == parsed.not_after.strftime("%Y%m%d%H%M%S")
        assert int(str(sof(f"SOF_GetCertInfo('{certificate}', 2)")), 16) == parsed.serial
        assert sof(f"SOF_SignData('{handle}', 'x')") == ""
        assert sof("SOF_GetLastError()") == 0x0B000009
        check_answer(str(sof(f"SOF_Authenticate('{handle}', '{PIN}', '{CHALLENGE}')")), lock, origin)
        assert sof(f"SOF_ChangePassWd('{handle}', '{PIN}', '000111')") is True
        assert sof(f"SOF_Login('{handle}', '000111')") is True
