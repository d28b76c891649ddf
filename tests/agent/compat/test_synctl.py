"""The endpoint for pages of other CA middleware: same locks, same rules, off unless switched on."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent import driving
from agent.driving import CHALLENGE, ORIGIN, PIN, DriverProcess, Made, make_lock

from calock.agent.compat.synctl import XTX_CLASS_ID
from calock.agent.compat.table import REFUSED
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate

GM_T_0020 = [
    "SOF_GetVersion",
    "SOF_SetSignMethod",
    "SOF_GetSignMethod",
    "SOF_SetEncryptMethod",
    "SOF_GetEncryptMethod",
    "SOF_GetUserList",
    "SOF_ExportUserCert",
    "SOF_ExportExchangeUserCert",
    "SOF_Login",
    "SOF_GetPinRetryCount",
    "SOF_ChangePassWd",
    "SOF_GetCertInfo",
    "SOF_GetCertInfoByOid",
    "SOF_GetDeviceInfo",
    "SOF_ValidateCert",
    "SOF_SignData",
    "SOF_VerifySignedData",
    "SOF_SignFile",
    "SOF_VerifySignedFile",
    "SOF_EncryptData",
    "SOF_DecryptData",
    "SOF_EncryptFile",
    "SOF_DecryptFile",
    "SOF_SignMessage",
    "SOF_VerifySignedMessage",
    "SOF_GetInfoFromSignedMessage",
    "SOF_SignDataXML",
    "SOF_VerifySignedDataXML",
    "SOF_GetXMLSignatureInfo",
    "SOF_GenRandom",
    "SOF_GetLastError",
]


class Page:
    """A page of ``origin`` that knows only the old interface."""

    def __init__(self, driver: DriverProcess, clsid: str = "", origin: str = ORIGIN) -> None:
        self.driver, self.clsid, self.origin, self.token = driver, clsid, origin, ""

    def post(self, body: bytes, **headers: str) -> driving.Reply:
        sent = {"Content-Type": "application/json", "Origin": self.origin, **headers}
        return self.driver.request("POST", "/synctl", body, sent)

    def call(self, func: str, *param: Any) -> Any:
        message = {"url": "https://elsewhere.example/", "clsid": self.clsid, "func": func, "param": param, "token": self.token}
        reply = self.post(json.dumps(message).encode())
        assert reply.status == 200, reply.body
        self.token = reply.json.get("token", self.token)
        return reply.json["retVal"]

    def error(self) -> int:
        return self.call("SOF_GetLastError")

    def only_id(self) -> str:
        found = re.fullmatch(r"[^|&]+\|\|([\w-]+)&&&", self.call("SOF_GetUserList"))
        assert found
        return found[1]


def start(tmp_path: Path, text: str = "requests_per_second = 500\n[compat]\nsynctl = true\n", **options: Any) -> DriverProcess:
    (tmp_path / "agent.toml").write_text(text)
    return DriverProcess(tmp_path, options=["--config", str(tmp_path / "agent.toml")], **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compat")


@pytest.fixture(scope="module")
def lock(home: Path) -> Made:
    return make_lock(home / "locks", "SM2", issue={"name": "测试_政采云测试", "uscc": "91140100MA0EXAMPL3"})


@pytest.fixture(scope="module")
def driver(home: Path, lock: Made) -> Iterator[DriverProcess]:
    with start(home) as running:
        yield running


@pytest.fixture
def page(driver: DriverProcess) -> Page:
    return Page(driver)


def test_off_unless_switched_on(tmp_path: Path) -> None:
    with DriverProcess(tmp_path) as plain:
        reply = Page(plain).post(b'{"func":"SOF_GetVersion"}')
        assert (reply.status, reply.body) == (403, b"")


def test_user_list_has_the_shape_pages_split(page: Page) -> None:
    assert re.fullmatch(r"测试_政采云测试\|\|[\w-]{24}&&&", page.call("SOF_GetUserList"))


def test_login_true_false_tries_and_token(page: Page) -> None:
    certificate = page.only_id()
    assert page.call("SOF_Login", certificate, "999999") is False
    assert page.error() == 0x0B000426
    assert page.token == ""
    assert page.call("SOF_GetPinRetryCount", certificate) == 5
    assert page.call("SOF_IsLogin", certificate) is False
    assert page.call("SOF_Login", certificate, PIN) is True
    assert page.call("SOF_IsLogin", certificate) is True
    assert page.call("SOF_GetPinRetryCount", certificate) == 6
    assert page.call("SOF_Logout") is True
    assert page.call("SOF_IsLogin", certificate) is False


def test_pin_as_a_number_is_refused_before_any_try(page: Page) -> None:
    certificate = page.only_id()
    assert page.call("SOF_Login", certificate, 12345) is False
    assert page.error() == 0x0B000201
    assert page.call("SOF_GetPinRetryCount", certificate) == 6


def test_authenticate_gives_the_same_answer_as_the_drivers_own_interface(page: Page, lock: Made) -> None:
    answer = json.loads(page.call("SOF_Authenticate", page.only_id(), PIN, CHALLENGE))
    token = answer["token"]
    assert base64.b64decode(token["unverifiedCertificate"]) == lock.certificate
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)  # the browser's origin, not the url in the call
    signatures.verify(lock.key.spki_der, "SM2", message, base64.b64decode(token["signature"]))


def test_login_key_signs_no_data(page: Page) -> None:
    certificate = page.only_id()
    assert page.call("SOF_Login", certificate, PIN) is True
    for function in ("SOF_SignData", "SOF_SignMessage", "SOF_SignFile", "SOF_SignDataXML"):
        assert page.call(function, certificate, "any data") == ""
        assert page.error() == 0x0B000009
    assert "只能用于登录" in page.call("SOF_GetLastErrMsg")


def test_challenge_must_be_one(page: Page) -> None:
    assert page.call("SOF_Authenticate", page.only_id(), PIN, "sign this contract") == ""
    assert page.error() == 0x0B000201


@pytest.mark.parametrize("function", GM_T_0020)
def test_every_function_of_the_standard_is_answered(page: Page, function: str) -> None:
    assert page.call(function, "", "", "") is not None
    if function in REFUSED:
        assert page.error() in (0x0B000002, 0x0B000009)


def test_certificate_items_in_both_numberings(driver: DriverProcess, lock: Made) -> None:
    certificate = Certificate.parse(lock.certificate)
    gm, xtx = Page(driver), Page(driver, clsid=XTX_CLASS_ID)
    encoded = gm.call("SOF_ExportUserCert", gm.only_id())
    assert base64.b64decode(encoded) == lock.certificate
    assert gm.call("SOF_GetCertInfo", encoded, 0x31) == xtx.call("SOF_GetCertInfo", encoded, 17) == "测试_政采云测试"
    assert gm.call("SOF_GetCertInfo", encoded, 0x32) == xtx.call("SOF_GetCertInfo", encoded, 14) == "太原练习有限公司"
    assert gm.call("SOF_GetCertInfo", encoded, 0x21) == xtx.call("SOF_GetCertInfo", encoded, 8) == certificate.issuer_cn
    assert gm.call("SOF_GetCertInfo", encoded, 2) == xtx.call("SOF_GetCertInfo", encoded, "2")
    assert int(gm.call("SOF_GetCertInfo", encoded, 2), 16) == certificate.serial
    assert xtx.call("SOF_GetCertInfo", encoded, 12) == certificate.not_after.strftime("%Y%m%d%H%M%S")
    assert gm.call("SOF_GetCertInfo", encoded, 0x36) == certificate.not_after.strftime("%Y%m%d%H%M%SZ")
    assert gm.call("SOF_GetCertInfo", encoded, 17) == certificate.authority_key_id  # 17 = 0x11: another item there
    assert gm.call("SOF_GetCertInfo", encoded, 0x7777) == ""
    assert gm.error() == 0x0B000002
    assert gm.call("SOF_GetCertInfoByOid", encoded, "1.2.156.10260.4.1.4") == "91140100MA0EXAMPL3"
    assert gm.call("SOF_GetCertInfoByOid", encoded, "1.2.3.4") == ""


@pytest.mark.parametrize(("days", "code"), [((-30, 365), 0), ((-30, -1), -2), ((2, 365), -5)])
def test_validate_judges_dates(page: Page, days: tuple[int, int], code: int) -> None:
    from calock.demo import pki  # noqa: PLC0415 - one test's

    certificate = driving.make_certificate(pki.make_key("SM2"), days=days)
    assert page.call("SOF_ValidateCert", base64.b64encode(certificate).decode()) == code
    assert page.call("SOF_ValidateCert", "AAAA") == -6


@pytest.mark.parametrize("algorithm", ["SM2", "RSA"])
def test_signature_of_a_server_can_be_checked(page: Page, algorithm: str) -> None:
    from calock.demo import pki  # noqa: PLC0415 - one test's

    key = pki.make_key(algorithm)  # type: ignore[arg-type]
    certificate = base64.b64encode(driving.make_certificate(key)).decode()
    signature = base64.b64encode(key.sign("服务器随机数".encode())).decode()
    assert page.call("SOF_VerifySignedData", certificate, "服务器随机数", signature) is True
    assert page.call("SOF_VerifySignedData", certificate, "别的随机数", signature) is False


def test_serial_is_masked_until_the_pin_was_right(page: Page, lock: Made) -> None:
    certificate = page.only_id()
    assert page.call("SOF_GetDeviceInfo", certificate, 0x208) == "****2205"
    assert page.call("GetAllDeviceSN") == "****2205;"
    assert page.call("GetDeviceCount") == 1
    assert page.call("SOF_Login", certificate, PIN) is True
    assert page.call("SOF_GetDeviceInfo", certificate, 0x208) == lock.serial
    assert page.call("SOF_GetDeviceInfo", certificate, 7) == "SOFT"


def test_random_and_sign_method(page: Page) -> None:
    assert len(base64.b64decode(page.call("SOF_GenRandom", 24))) == 24
    assert page.call("SOF_GenRandom", 100000) == ""
    assert page.call("SOF_SetSignMethod", 0x00020201) == 0
    assert page.call("SOF_SetSignMethod", 0x00010002) == 0x0B000007  # SHA-1
    assert page.call("SOF_GetSignMethod") == 0x00020201


def test_change_pin(tmp_path: Path) -> None:
    make_lock(tmp_path / "locks", "SM2")
    with start(tmp_path) as driver:
        page = Page(driver)
        certificate = page.only_id()
        assert page.call("SOF_ChangePassWd", certificate, PIN, "000111") is True
        assert page.call("SOF_Login", certificate, PIN) is False
        assert page.call("SOF_Login", certificate, "000111") is True
        assert all(secret not in driver.log for secret in (PIN, "000111"))


def test_last_try_is_never_used_through_this_interface(tmp_path: Path) -> None:
    make_lock(tmp_path / "locks", "SM2", tries_left=1)
    with start(tmp_path) as driver:
        page = Page(driver)
        certificate = page.only_id()
        assert page.call("SOF_Login", certificate, PIN) is False
        assert page.error() == 0x0B000442
        assert page.call("SOF_GetPinRetryCount", certificate) == 1


def test_no_lock(tmp_path: Path) -> None:
    with start(tmp_path) as driver:
        page = Page(driver)
        assert page.call("SOF_GetUserList") == ""
        assert page.error() == 0x0B000310


def test_one_pages_token_and_locks_are_nothing_to_another(home: Path, lock: Made, tmp_path: Path) -> None:
    with start(tmp_path, soft_dir=home / "locks", origins=(ORIGIN, "https://other.gov.example")) as driver:
        mine, other = Page(driver), Page(driver, origin="https://other.gov.example")
        certificate = mine.only_id()
        assert mine.call("SOF_Login", certificate, PIN) is True
        other.token = mine.token
        assert other.call("SOF_IsLogin", certificate) is False
        assert other.call("SOF_ExportUserCert", certificate) == ""
        assert other.error() == 0x0B000310
        assert other.only_id() != certificate


HOSTILE = {
    "no origin": {"Origin": ""},
    "foreign origin": {"Origin": "https://evil.example"},
    "null origin": {"Origin": "null"},
    "prefix": {"Origin": ORIGIN + ".evil.example"},
    "port": {"Origin": ORIGIN + ":444"},
    "rebinding": {"Host": "www.gov.example"},
}


@pytest.mark.parametrize("headers", HOSTILE.values(), ids=HOSTILE)
def test_strangers_get_nothing(page: Page, headers: dict[str, str]) -> None:
    reply = page.post(b'{"func":"SOF_GetUserList"}', **headers)
    assert (reply.status in (403, 421), reply.body) == (True, b"")
    assert "access-control-allow-origin" not in reply.headers


def test_simple_requests_are_refused(page: Page, driver: DriverProcess) -> None:
    body = b'{"func":"SOF_GetUserList"}'
    assert page.post(body, **{"Content-Type": "text/plain"}).reason == "REQUEST_MALFORMED"
    assert page.post(body, **{"Content-Type": "application/x-www-form-urlencoded"}).reason == "REQUEST_MALFORMED"
    assert driver.request("GET", "/synctl?func=SOF_GetUserList", headers={"Origin": ORIGIN}).reason == "REQUEST_MALFORMED"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"func":1}', 400),
        (b'{"func":"SOF_GetUserList","param":{"a":1}}', 400),
        (b'{"func":"SOF_GetUserList","param":[[]]}', 400),
        (b'{"func":"__class__"}', 404),
        (b'{"func":"SOF_LoadLibrary","param":["/tmp/evil.so"]}', 404),
        (b'{"func":"' + b"A" * 20000 + b'"}', 413),
        (b"\xff\xfe", 400),
    ],
)
def test_bad_requests(page: Page, body: bytes, status: int) -> None:
    assert page.post(body).status == status


def test_preflight_for_the_allowed_page_only(driver: DriverProcess) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    good = driver.request("OPTIONS", "/synctl", headers=asked)
    assert (good.status, good.headers["access-control-allow-origin"]) == (204, ORIGIN)
    bad = driver.request("OPTIONS", "/synctl", headers={**asked, "Origin": "https://evil.example"})
    assert (bad.status, "access-control-allow-origin" in bad.headers) == (403, False)


def test_module_is_served_to_the_allowed_page_only(driver: DriverProcess) -> None:
    good = driver.request("GET", "/compat/sof.js", headers={"Origin": ORIGIN})
    assert good.status == 200
    assert b"export async function connect" in good.body
    assert driver.request("GET", "/compat/sof.js", headers={"Origin": "https://evil.example"}).status == 403
    assert driver.request("GET", "/compat/sof.js").status == 403


def test_port_of_its_own_serves_nothing_else(tmp_path: Path, free_port: int) -> None:
    make_lock(tmp_path / "locks", "SM2")
    with start(tmp_path, f"[compat]\nsynctl = true\nport = {free_port}\n") as driver:
        main_port, driver.port = driver.port, free_port
        assert Page(driver).call("SOF_GetVersion").startswith("calock ")
        assert driver.call("/v1/hello").status == 403
        assert driver.request("GET", "/").status == 403
        assert Page(driver).post(b'{"func":"SOF_GetVersion"}', Host=f"127.0.0.1:{main_port}").status == 421
        driver.port = main_port
        assert driver.call("/v1/hello").json["driver"] == "calock"
