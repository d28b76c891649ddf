"""The register in the browser: what operators press, what they read before, and what hostile forms do not achieve."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from worlds.register import AT_START, practice_root
from worlds.rows import ca_session

from calock.core.policy import IdentityRule, Policy
from calock.demo import pki
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.audit.models import AuditEvent
from calock.server.providers.models import Provider, ProviderState, RevocationSource
from calock.server.providers.trust import current_register

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def newcomer():
    return pki.make_root("新根 <b>CA</b>", "EC", not_before=AT_START, not_after=pki.years(AT_START, 20))


def page_of(world) -> str:
    return f"/console/providers/{world.provider.pk}/"


def press(browser, world, **form):
    return browser.post(f"{page_of(world)}step/", form, follow=True)


def read(browser, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def decide(browser, approval: Approval, step: str, **changes):
    address = f"/console/approvals/{approval.pk}/"
    html = read(browser, address)
    hidden = dict(re.findall(r'<input type="hidden" name="(version|sha256)" value="([^"]*)"', html))
    return browser.post(address, {**hidden, "step": step, **changes}, follow=True)


def propose(browser, world, certificate: bytes, **form):
    file = SimpleUploadedFile("ca.cer", certificate)
    return press(browser, world, step="propose", certificate=file, role="anchor", group="root", reason="换发根证书", **form)


def trusted() -> set[str]:
    return {ca.spki_sha256 for provider in current_register().providers if not provider.suspended for ca in provider.cas}


def test_two_operators_recognise_a_ca_in_their_browsers(world, first, second, newcomer):
    assert "等待另一位运营人员复核" in propose(first, world, newcomer.certificate).content.decode()
    approval = Approval.objects.get()
    html = read(second, f"/console/approvals/{approval.pk}/")
    assert newcomer.key.spki_sha256 in html
    assert "信任锚" in html
    assert "&lt;b" in html  # a name from a certificate is text
    assert "<b>CA" not in html
    assert "已复核通过并执行" in decide(second, approval, "approve").content.decode()
    assert newcomer.key.spki_sha256 in trusted()
    rows = AuditEvent.objects.filter(event__in=["approval:proposed", "approval:approved"]).order_by("id")
    assert [(row.actor, row.ip) for row in rows] == [(world.first.pk, "127.0.0.1"), (world.second.pk, "127.0.0.1")]


def test_the_proposer_sees_no_approve_button_and_pressing_it_anyway_is_refused(world, first, newcomer):
    propose(first, world, newcomer.certificate)
    approval = Approval.objects.get()
    html = read(first, f"/console/approvals/{approval.pk}/")
    assert 'value="approve"' not in html
    answer = first.post(
        f"/console/approvals/{approval.pk}/", {"step": "approve", "version": 1, "sha256": approval.sha256}, follow=True
    )
    assert "提出人不能复核自己的申请" in answer.content.decode()
    assert newcomer.key.spki_sha256 not in trusted()


@pytest.mark.parametrize(
    "form",
    [{"version": "9"}, {"version": "x"}, {"version": ""}, {"version": "1" * 40}, {"sha256": ""}, {"step": "x"}, {"step": ""}],
)
def test_a_strange_decision_changes_nothing(world, first, second, newcomer, form):
    propose(first, world, newcomer.certificate)
    approval = Approval.objects.get()
    assert decide(second, approval, form.pop("step", "approve"), **form).status_code == 200
    assert Approval.objects.get().state == ApprovalState.PENDING
    assert newcomer.key.spki_sha256 not in trusted()


def test_a_proposal_of_a_newer_version_is_listed_by_its_code_and_not_decided_here(world, first, second, newcomer):
    propose(first, world, newcomer.certificate)
    Approval.objects.update(kind="of.tomorrow")
    assert "of.tomorrow" in read(second, "/console/approvals/")
    assert second.get(f"/console/approvals/{Approval.objects.get().pk}/").status_code == 404


def test_a_rejection_needs_a_note(world, first, second, newcomer):
    propose(first, world, newcomer.certificate)
    html = decide(second, Approval.objects.get(), "reject", note="").content.decode()
    assert "请填写原因（200 字以内）</span>" in html, "in words alone"
    assert Approval.objects.get().state == ApprovalState.PENDING
    decide(second, Approval.objects.get(), "reject", note="公钥摘要与电话核对不符")
    assert Approval.objects.get().state == ApprovalState.REJECTED


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x30\x82", b"not a certificate", b"A" * 100_000, "证书".encode()])
def test_a_file_that_is_no_certificate_is_refused_on_the_page(world, first, data):
    assert "该文件不能作为 CA 证书登记（技术说明：" in propose(first, world, data).content.decode()
    assert not Approval.objects.exists()
    assert "该文件不能作为 CA 证书登记" in press(first, world, step="propose", role="anchor", reason="x").content.decode()


@pytest.mark.parametrize(
    "form",
    [
        {}, {"step": ""}, {"step": "x" * 5000}, {"step": "ca.withdraw"}, {"step": "ca.withdraw", "record": "x", "version": "1"},
        {"step": "ca.withdraw", "record": "00000000-0000-0000-0000-000000000001", "version": "1", "reason": "r"},
        {"step": "remove_source", "source": "9" * 30}, {"step": "remove_source", "source": "\x00"}, {"step": "remove_source"},
        {"step": "add_source", "record": "1", "kind": "ftp", "url": "x"}, {"step": "suspend"},
        {"step": "suspend", "reason": "\x00"}, {"step": "suspend", "reason": "x" * 5000},
    ],
)  # fmt: skip
def test_a_strange_step_changes_nothing(world, first, form):
    before = (Provider.objects.values().get(), RevocationSource.objects.count())
    assert press(first, world, **form).status_code == 200
    assert (Provider.objects.values().get(), RevocationSource.objects.count()) == before
    assert not Approval.objects.exists()


def test_parts_of_another_provider_cannot_be_reached_through_this_one(world, first):
    other = Provider.objects.create(code="other", name="另一家", short_name="另一家", state=ProviderState.SUSPENDED)
    source = RevocationSource.objects.get()
    address = f"/console/providers/{other.pk}/step/"
    first.post(address, {"step": "remove_source", "source": source.pk})
    first.post(address, {"step": "ca.withdraw", "record": world.anchor.pk, "version": world.anchor.version, "reason": "r"})
    assert RevocationSource.objects.count() == 1
    assert not Approval.objects.exists()


def test_the_emergency_stop_and_the_way_back(world, first, second):
    session = ca_session(world.intermediate)
    press(first, world, step="suspend", reason="CA 通报根密钥疑似泄露")
    session.refresh_from_db()
    assert session.ended_at is not None
    assert trusted() == set()
    form = trust_form(first, world, state="enabled")
    assert first.post(f"{page_of(world)}trust/", form).status_code == 302
    html = read(second, f"/console/approvals/{Approval.objects.get().pk}/")
    assert re.search("<del>暂停</del>.*<ins>启用</ins>", html)
    decide(second, Approval.objects.get(), "approve")
    assert len(trusted()) == 2


def trust_form(browser, world, **changes):
    provider = Provider.objects.get(pk=world.provider.pk)
    return {
        "state": provider.state,
        "sites": provider.sites,
        "rules": json.dumps(provider.rules),
        "version": provider.version,
        "reason": "按合同变更",
        **changes,
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rules": "{"}, "第 1 行不是有效的 JSON"),
        ({"rules": '{"unknown": 1}'}, "unknown key"),
        ({"rules": '{"revocation":{"mode":"require"},"revocation":{"mode":"off"}}'}, "occurs twice in one object"),
        ({"rules": "[" * 5000}, "policy"),
        ({"rules": '{"grace_days": 1e999}'}, "grace_days"),
        ({"rules": "1" * 5000}, "过长的数字"),
        ({"rules": r'{"identity":{"lock":[{"source":"dn","oid":"2.5.4.3","prefix":"\ud800"}]}}'}, "UTF-8"),
        ({"rules": r'{"identity":{"lock":[{"source":"dn","oid":"2.5.4.3","prefix":"a\u0000b"}]}}'}, "control characters"),
        ({"sites": ["nowhere"]}, "nowhere"),
        ({"state": "open"}, "open"),
        ({"reason": ""}, "必填"),
        ({"version": "1"}, "内容已被他人修改"),
    ],
)
def test_the_trust_form_says_what_is_wrong(world, first, change, says):
    Provider.objects.get(pk=world.provider.pk).save()
    answer = first.post(f"{page_of(world)}trust/", trust_form(first, world, **change))
    assert answer.status_code == 200
    html = answer.content.decode()
    assert says in html or says == "policy"
    assert 'role="alert"' in html.partition("<textarea")[0], "what is wrong far below is said where the page opens"
    assert not Approval.objects.exists()


def test_each_key_of_the_rules_is_explained_at_the_rules(world, first):
    html = read(first, f"{page_of(world)}trust/")
    table = html[html.index("<textarea") :].partition("</table>")[0]
    rules = Policy().to_json()
    keys = [
        *(name for name, value in rules.items() if not isinstance(value, dict)),
        *(f"{name}.{key}" for name in ("identity", "revocation") for key in rules[name]),
        *(item.name for item in fields(IdentityRule)),
    ]
    assert sorted(re.findall(r'<th scope="row"><code>([\w.]+)</code></th><td>[^<]+</td>', table)) == sorted(keys)


def test_the_page_of_a_provider_leads_to_its_parts(world, first):
    html = read(first, page_of(world))
    targets = re.findall(r'<a href="#([^"]+)">', html.partition('<nav class="jump"')[2].partition("</nav>")[0])
    assert [f"ca-{record.pk}" in targets for record in world.provider.ca_records.all()] == [True] * 2
    assert {"cas", "propose", "emergency-stop"} < set(targets)
    for target in targets:
        assert html.count(f' id="{target}"') == 1


def test_a_form_sets_only_what_it_shows(world, first):
    """A98: more fields than the form has change nothing."""
    extra = {"state": "suspended", "sites": "zcy", "rules": "{}", "mac": "0" * 64, "is_operator": "1"}
    answer = first.post("/console/providers/new/", {"code": "xin", "name": "新 CA", "short_name": "新", "order": "7", **extra})
    assert answer.status_code == 302
    provider = Provider.objects.get(code="xin")
    assert (provider.state, provider.sites, provider.order) == (ProviderState.SUSPENDED, [], 7)
    version = Provider.objects.get(pk=world.provider.pk).version
    form = {"name": "改名", "short_name": "改", "order": "1", "version": version, **extra}
    assert first.post(f"{page_of(world)}edit/", form).status_code == 302
    changed = Provider.objects.get(pk=world.provider.pk)
    assert (changed.name, changed.state, changed.sites) == ("改名", ProviderState.ENABLED, ["shanxi"])
    assert len(trusted()) == 2


@pytest.mark.parametrize(
    "form", [{}, {"code": "a b", "name": "n", "short_name": "s", "order": "1"}, {"code": "x" * 51}, {"name": "\x00"}]
)
def test_a_new_provider_needs_its_fields(world, first, form):
    answer = first.post("/console/providers/new/", form)
    assert answer.status_code == 200
    assert 'class="error"' in answer.content.decode()
    assert Provider.objects.count() == 1


def test_a_taken_code_is_said_on_the_form(world, first):
    answer = first.post("/console/providers/new/", {"code": "lianxi", "name": "n", "short_name": "s", "order": "1"})
    assert "alert bad" in answer.content.decode()


# --- addresses


def add_source(browser, world, url: str, **form) -> str:
    found = press(browser, world, step="add_source", record=world.anchor.pk, kind="crl", url=url, **form)
    return found.content.decode()


def test_a_public_address_is_there_at_once_in_the_form_in_which_it_is_fetched(world, first):
    assert "已添加吊销信息来源" in add_source(first, world, "http://山西.中国/吊销.crl")
    source = RevocationSource.objects.get(ca_record=world.anchor)
    assert source.url == "http://xn--rht816h.xn--fiqs8s/%E5%90%8A%E9%94%80.crl"
    assert "已移除吊销信息来源" in press(first, world, step="remove_source", source=source.pk).content.decode()


@pytest.mark.parametrize("url", ["ftp://ca.example/", "ca.example", "http://", "javascript:1", "http://u@ca.example/"])
def test_an_address_that_is_none_is_refused_in_a_clear_sentence(world, first, url):
    assert "未执行：地址：不是以 http:// 或 https:// 开头的有效网址" in add_source(first, world, url)
    assert RevocationSource.objects.count() == 1


def test_an_address_inside_waits_for_the_second_operator(world, first, second):
    assert "等待另一位运营人员复核" in add_source(first, world, "http://10.1.2.3/a.crl", private_network="on", reason="专线镜像")
    assert RevocationSource.objects.count() == 1
    assert "添加内网吊销信息来源" in read(first, page_of(world))
    approval = Approval.objects.get()
    html = read(second, f"/console/approvals/{approval.pk}/")
    assert 'class="alarm"' in html
    assert "http://10.1.2.3/a.crl" in html
    decide(second, approval, "approve")
    assert RevocationSource.objects.get(private_network=True).url == "http://10.1.2.3/a.crl"


def test_an_address_inside_needs_a_reason(world, first):
    assert "理由" in add_source(first, world, "http://10.1.2.3/a.crl", private_network="on")
    assert not Approval.objects.exists()


# --- uses and emergencies


@pytest.mark.parametrize("role", ["", "root", None])
def test_no_use_of_a_certificate_is_chosen_for_the_operator(world, first, newcomer, role):
    """A use nobody chose once demoted an anchor."""
    form = {} if role is None else {"role": role}
    file = SimpleUploadedFile("ca.cer", newcomer.certificate)
    shown = press(first, world, step="propose", certificate=file, reason="r", **form).content.decode()
    assert "未执行：请选择该证书的用途" in shown
    assert not Approval.objects.exists()


def test_a_demotion_stands_out_on_the_approval_page(world, first, second):
    newer = pki.make_root(
        "练习根 CA", "SM2", practice_root().key, not_before=AT_START, not_after=pki.years(AT_START, 25)
    ).certificate
    press(first, world, step="propose", certificate=SimpleUploadedFile("ca.cer", newer), role="intermediate", reason="换发")
    html = read(second, f"/console/approvals/{Approval.objects.get().pk}/")
    assert re.search(r'<dd class="alarm">.*?<del>信任锚</del>.*?<ins>中间 CA</ins>', html)
    assert re.search(r'<dd class="alarm">.*?服务商立即被暂停', html)


def test_an_emergency_is_asked_for_on_the_page_of_the_provider(world, first, second):
    shown = press(first, world, step="emergency", record=world.intermediate.pk, hours="12", reason="CA 停止发布 CRL")
    assert "已提出紧急放宽" in shown.content.decode()
    html = read(second, f"/console/approvals/{Approval.objects.get().pk}/")
    assert re.search(r'<dd class="alarm">.*?练习中级 CA 的吊销信息在 .*? 前不受时效限制', html)
    decide(second, Approval.objects.get(), "approve")
    assert "紧急放宽中" in read(first, page_of(world))


@pytest.mark.parametrize("hours", ["", "0", "-1", "73", "1000000000", "x", None])
def test_an_emergency_lasts_as_long_as_the_page_offers(world, first, hours):
    form = {} if hours is None else {"hours": hours}
    shown = press(first, world, step="emergency", record=world.intermediate.pk, reason="r", **form)
    assert "请选择放宽的时长" in shown.content.decode()
    assert not Approval.objects.exists()


# --- texts of another form


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("code", "Shanxi_CA", "小写字母、数字和连字符"),
        ("name", "a\nb", "不能含有换行等控制字符"),
        ("order", "100001", "100000"),
    ],
)
def test_a_text_of_another_form_is_refused_at_its_field(world, first, field, value, says):
    form = {"code": "xin", "name": "新", "short_name": "新", "order": "1", field: value}
    answer = first.post("/console/providers/new/", form)
    assert answer.status_code == 200
    assert re.search(rf'class="error">[^<]*{re.escape(says)}', answer.content.decode())
    assert Provider.objects.count() == 1


def test_a_website_with_chinese_letters_is_kept_in_ascii(world, first, second):
    address = f"/console/providers/{world.provider.pk}/links/"
    form = {"hotline": "0351-1", "website": "https://山西.中国/", "version": world.provider.version, "reason": "r"}
    wrong = first.post(address, {**form, "website": "ftp://x.cn/"})
    assert "不是以 http:// 或 https:// 开头的有效网址" in wrong.content.decode()
    assert first.post(address, form).status_code == 302
    approval = Approval.objects.get()
    page = second.get(f"/console/approvals/{approval.pk}/").content.decode()
    assert re.search(r'class="alarm">.*<del>无</del>.*<ins>https://xn--rht816h.xn--fiqs8s/</ins>', page)
    second.post(f"/console/approvals/{approval.pk}/", {"step": "approve", "version": 1, "sha256": approval.sha256})
    assert Provider.objects.get(pk=world.provider.pk).website == "https://xn--rht816h.xn--fiqs8s/"


# --- from a vendor folder


def test_a_vendor_folder_is_proposed_on_its_page(world, first, second):
    assert 'href="/console/providers/propose/"' in read(first, "/console/providers/")
    assert '<option value="bjca">北京数字证书认证中心（bjca）</option>' in read(first, "/console/providers/propose/")
    first.post("/console/providers/propose/", {"vendor": "bjca", "reason": "合同 12"})
    provider = Provider.objects.get(code="bjca")
    assert (provider.state, provider.rules["algorithms"]) == (ProviderState.SUSPENDED, ["SM2", "RSA", "EC"])
    approval = Approval.objects.get(target=str(provider.pk))
    assert "规则 algorithms" in read(second, f"/console/approvals/{approval.pk}/")
    decide(second, approval, "approve")
    provider.refresh_from_db()
    assert (provider.state, provider.rules["algorithms"]) == (ProviderState.SUSPENDED, ["SM2", "RSA"])
    assert 'value="bjca"' not in read(first, "/console/providers/propose/")


@pytest.mark.parametrize("form", [{}, {"vendor": "nosuch", "reason": "r"}, {"vendor": "bjca"}, {"vendor": "bjca", "reason": " "}])
def test_a_strange_form_proposes_no_vendor(world, first, form):
    answer = first.post("/console/providers/propose/", form)
    assert answer.status_code == 200
    assert 'class="error"' in answer.content.decode()
    assert Provider.objects.get() == world.provider


def test_a_vendor_folder_that_broke_since_the_start_is_said(world, first, tmp_path, settings):
    settings.CALOCK = replace(settings.CALOCK, vendors=tmp_path)
    (tmp_path / "jinan").mkdir()
    answer = first.get("/console/providers/propose/", follow=True)
    assert answer.status_code == 200
    assert f"{tmp_path}/jinan holds no vendor.toml" in answer.content.decode()
