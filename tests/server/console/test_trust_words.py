"""What an operator must know is said in words: on the dashboard, the list and the provider's page, for whoever sees no colours."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from worlds.register import AT_START, practice_intermediate, practice_root

from calock.demo import pki
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve
from calock.server.console import trust_notices
from calock.server.jobs.health import JobProblem
from calock.server.jobs.health import ProblemKind as JobTrouble
from calock.server.providers.models import CaRecord, Provider, RegisterState, RevocationSource
from calock.server.providers.services import propose_emergency, suspend_provider
from calock.server.revocation.health import HeldHere

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sound_machine")]
URL = "http://127.0.0.1:8/ca.crl"


def pages(world) -> tuple[str, str, str]:
    return "/console/trust/", "/console/providers/", f"/console/providers/{world.provider.pk}/"


def notices(browser, address: str) -> list[str]:
    """Texts of the notices on a page, without their tags."""
    html = browser.get(address).content.decode()
    found = re.findall(r'<div class="alert (?:bad|warn) said notice"[^>]*>(.*?)</div>', html, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", "", text).split()) for text in found]


def agree(world, approval: Approval) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=world.second, context=None)


def fetched(**ago: float) -> None:
    """A CRL whose times lie so many hours back (negative: ahead)."""
    now = timezone.now()
    RevocationSource.objects.update(**{name: now - timedelta(hours=hours) for name, hours in ago.items()})


def start_emergency(world, hours: int = 12) -> None:
    record = CaRecord.objects.select_related("provider").get(pk=world.intermediate.pk)
    agree(world, propose_emergency(record=record, hours=hours, reason="CA 停止发布", by=world.first, context=None))


def never_fetched(_world):
    return f"CRL 从未获取 {URL}，需要它的登录被拒绝"


def expired(_world):
    fetched(this_update=30, next_update=6, last_ok_at=30)
    return f"CRL 已过期 {URL}"


def failing(_world):
    fetched(this_update=1, next_update=-20, last_ok_at=1)
    RevocationSource.objects.update(last_error="timed out")
    return "最近错误：timed out"


def no_source(_world):
    RevocationSource.objects.get().delete()
    return "没有吊销信息来源"


def emergency(world):
    fetched(this_update=1, next_update=-20, last_ok_at=1)
    start_emergency(world)
    return "紧急放宽中 C=CN, O=calock practice, CN=练习中级 CA：吊销信息不受时效限制"


def tampered_provider(_world):
    Provider.objects.update(sites=["shanxi", "zcy"])
    return "登记异常：服务商记录被改动"


def tampered_record(world):
    CaRecord.objects.filter(pk=world.anchor.pk).update(group="x")
    return "登记异常：CA 证书记录被改动"


def tampered_source(_world):
    RevocationSource.objects.update(url="http://169.254.169.254/")
    return "登记异常：吊销来源地址被改动"


def unusable_rules(_world):
    provider = Provider.objects.get()
    provider.rules = {"unknown": 1}
    provider.save()
    return "登记异常：验证规则无法识别"


def ageing_anchor(world):
    record = CaRecord.objects.get(pk=world.anchor.pk)
    record.not_after = timezone.now() + timedelta(days=90)
    record.save()
    return "CA 证书即将到期"


CASES = [
    never_fetched, expired, failing, no_source, emergency, tampered_provider, tampered_record, tampered_source, unusable_rules,
    ageing_anchor,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_with_a_provider_is_said_in_words_on_every_page_of_it(world, first, case):
    words = case(world)
    dashboard, everyone, own = pages(world)
    assert any(words in text for text in notices(first, dashboard))
    assert any(words in text for text in notices(first, own))
    html = first.get(everyone).content.decode()
    assert any(f">{word}</span>" in html for word in ("异常", "需要处理"))


def test_it_is_not_said_where_nothing_is_wrong(world, first):
    fetched(this_update=1, next_update=-20, last_ok_at=1)
    for address in pages(world):
        assert notices(first, address) == []
        html = first.get(address).content.decode()
        assert ">异常</span>" not in html
        assert ">需要处理</span>" not in html


def test_a_register_that_was_put_back_is_said_on_top_of_every_page(world, first):
    RegisterState.objects.update(revision=1)
    for address in pages(world):
        assert "所有 CA 登录已停止" in notices(first, address)[0]


def test_an_emergency_is_shown_with_its_end_and_counted_until_it_is_over(world, first):
    start_emergency(world, 6)
    end = timezone.localtime(timezone.now() + timedelta(hours=6))
    html = first.get("/console/trust/").content.decode()
    assert "紧急放宽中" in html
    assert f"{end:%Y-%m-%d %H:}" in notices(first, "/console/trust/")[0]
    rules = Provider.objects.get().rules
    rules["revocation"]["emergencies"] = [f"{world.intermediate.spki_sha256}:{(timezone.now() - timedelta(hours=1)).isoformat()}"]
    provider = Provider.objects.get()
    provider.rules = rules
    provider.save()
    assert "紧急放宽中" not in first.get("/console/trust/").content.decode()


def test_an_ocsp_source_that_nobody_needed_yet_is_no_alarm(world, first):
    fetched(this_update=1, next_update=-20, last_ok_at=1)
    RevocationSource(ca_record=world.intermediate, kind="ocsp", url="http://ocsp.ca.example/").save()
    assert notices(first, "/console/trust/") == []
    assert "尚未用过" in first.get("/console/trust/").content.decode()


def test_a_stopped_provider_raises_no_alarm_about_its_crls_but_about_its_row(world, first):
    suspend_provider(provider=world.provider, reason="停", by=world.first, context=None)
    assert notices(first, "/console/trust/") == []
    tampered_provider(world)
    assert any("服务商记录被改动" in text for text in notices(first, "/console/trust/"))


def test_the_worst_comes_first(world, first):
    other = Provider.objects.create(code="other", name="另一家", short_name="另一家", state="suspended", order=1)
    html = first.get("/console/trust/").content.decode()
    assert html.index(str(world.provider.pk)) < html.index(str(other.pk))


def test_the_dashboard_shows_how_old_a_crl_is(world, first):
    fetched(this_update=3, next_update=-21, last_ok_at=3)
    html = " ".join(first.get("/console/trust/").content.decode().split())
    assert re.search(r"3\s*小时前", html)
    assert "13%" in html


def test_the_page_of_a_provider_shows_when_each_step_was_taken(world, first):
    record = CaRecord.objects.get(pk=world.anchor.pk)
    at = timezone.localtime(record.recognised_at)
    html = first.get(pages(world)[2]).content.decode()
    assert f"互认 {at:%Y-%m-%d %H:%M:%S}" in html


def test_a_crl_signer_is_called_what_it_is(world, first):
    key = pki.make_key("SM2")
    certificate = practice_root().issue(
        practice_intermediate().subject, key.spki_der, not_before=AT_START, not_after=pki.years(AT_START, 15),
        extensions=[pki.key_usage("crl_sign")],
    )  # fmt: skip
    record = CaRecord(
        provider=world.provider, group="g", crl_signer=True, spki_sha256=key.spki_sha256, certificate=certificate, subject="签 CRL",
        state="recognised", not_before=AT_START, not_after=pki.years(AT_START, 15),
    )  # fmt: skip
    record.save()
    html = first.get(pages(world)[2]).content.decode()
    assert "仅签发 CRL：不是信任锚，不能签发锁证书" in html
    assert "CRL 签发证书" in first.get("/console/trust/").content.decode()
    assert html.count("添加吊销来源") == 2  # at the two CAs, not at it


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (HeldHere.NONE, "CRL 本机没有可用的 CRL"),
        (HeldHere.OLDER, "CRL 本机的 CRL 较旧"),
        (HeldHere.NEWER, "CRL 记录比本机的 CRL 旧，可能被还原"),
    ],
)
def test_what_this_machine_holds_is_said_when_the_shared_row_looks_good(world, first, monkeypatch, here, words):
    fetched(this_update=1, next_update=-20, last_ok_at=1)
    monkeypatch.setattr(trust_notices, "held_here", lambda _: here)
    for address in (pages(world)[0], pages(world)[2]):
        assert any(words in text for text in notices(first, address))


@pytest.mark.parametrize(
    ("kind", "job", "words"),
    [
        (JobTrouble.UNKNOWN, "", "后台任务 没有运行记录"),
        (JobTrouble.LATE, "crl", "后台任务 crl 未按时运行"),
        (JobTrouble.FAILED, "audit-seal", "后台任务 audit-seal 上次运行失败"),
    ],
)
def test_background_work_that_does_not_happen_is_said_on_top(world, first, monkeypatch, kind, job, words):
    fetched(this_update=1, next_update=-20, last_ok_at=1)
    monkeypatch.setattr(trust_notices.jobs_health, "problems", lambda **_: [JobProblem(kind, job, "since noon")])
    for address in pages(world):
        (text,) = notices(first, address)
        assert words in text
        assert "since noon" in text


def test_sites_are_called_by_their_names(world, first):
    assert world.provider.sites == ["shanxi"]
    for address in pages(world):
        assert re.search(r"山西政府采购平台\s*</(span|td|dd)>", first.get(address).content.decode()), address


@pytest.mark.parametrize("error", ["", "connection refused"])
def test_data_without_end_are_shown_on_every_page(world, first, error):
    """NextUpdate 99991231235959Z has no later hour in a time zone to the east."""
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    now = timezone.now()
    RevocationSource.objects.update(this_update=now, next_update=end, last_ok_at=now, last_fetched_at=now, last_error=error)
    for page in pages(world):
        assert first.get(page).status_code == 200
    assert "9999-12-31" in first.get(pages(world)[0]).content.decode()
