"""What needs an operator's attention, as sentences: the dashboard, the provider list and a provider's page show the same ones.

Each notice is complete without its colour and icon. Two functions ask other rooms for their state:
:func:`source_state` (one source of revocation data) and :func:`server_notices` (everything that is no single provider's).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.timesince import timesince

from calock.core.policy import Policy, PolicyError
from calock.server.audit.outside.delivery import Standing, standings
from calock.server.jobs import health as jobs_health
from calock.server.jobs import sealed_rows
from calock.server.locks.row_seals import damaged_operators
from calock.server.outbox.models import Message
from calock.server.providers.emergencies import Emergency, running
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, RevocationSource, SourceKind
from calock.server.providers.trust import Problem, ProblemKind
from calock.server.revocation.health import Health, HeldHere, SourceHealth, health_of, held_here
from calock.server.sites.practice import public_with_samples
from calock.server.sites.registry import sites
from calock.server.tools.times import minute_text

SOON = timedelta(days=180)
"""An anchor's successor must be recognised before this; a CA needs months to hand one over."""
UNSENT = timedelta(days=7)
"""For so long the overview tells of messages that were given up."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing an operator must know. ``tone``: ``bad`` = logins are refused or trust is in question, ``warn`` = soon."""

    tone: str
    title: str
    text: str
    code: str = ""
    """The code to search for in the log and the documentation; ``detail`` is the technical text."""
    detail: str = ""


_PROBLEMS: dict[ProblemKind, tuple[str, str]] = {
    ProblemKind.REGISTER_DAMAGED: ("登记被改动或被整体还原", "所有 CA 登录已停止，密码登录不受影响"),
    ProblemKind.PROVIDER_TAMPERED: ("服务商记录被改动", "该服务商不予采用，其 CA 登录被拒绝"),
    ProblemKind.RULES_UNUSABLE: ("验证规则无法识别", "该服务商不予采用，其 CA 登录被拒绝"),
    ProblemKind.CA_TAMPERED: ("CA 证书记录被改动", "该 CA 不予采用，其锁不能登录"),
    ProblemKind.CA_UNUSABLE: ("CA 证书不可用", "该 CA 不予采用，其锁不能登录"),
    ProblemKind.SOURCE_TAMPERED: ("吊销来源地址被改动", "该地址不再获取；核对后移除并重新添加"),
    ProblemKind.NO_ANCHOR: ("已启用但没有可用的信任锚", "该服务商不予采用，其 CA 登录被拒绝"),
}


def server_notices(problems: Sequence[Problem], at: datetime) -> list[Notice]:
    """What concerns the whole server rather than one provider: its register, and its background work."""
    found = [notice_of(problem) for problem in problems if not problem.provider]
    operators = damaged_operators()
    found += [_operator(line) for line in operators]
    found += [_row(line) for line in sealed_rows.found() if line not in operators]
    found += [_away(address, place) for address, place in standings().items() if place.away_since]
    unsent = Message.objects.failed().filter(failed_at__gt=at - UNSENT).count()
    found += [_unsent(unsent)] if unsent else []
    found += [_samples(code) for code in public_with_samples(sites())]
    return found + [_job(problem) for problem in jobs_health.problems(at=at)]


def _unsent(count: int) -> Notice:
    return Notice("warn", f"{count} 条消息未送达", "在“待发消息”中查看原因，排除后重新发送", "messages_unsent")


def _samples(code: str) -> Notice:
    effect = "用户会拨打不存在的电话；请在 profile.toml 写入真实的电话、服务时间和备案信息，并删去 practice_facts"
    return Notice("warn", f"站点 {sites()[code].names.platform} 仍是练习值", effect, "practice_facts", code)


def _operator(line: str) -> Notice:
    effect = "该运营人员不能登录，也不能进入控制台；请查明谁写入了数据库"
    return Notice("bad", "运营人员记录被改动", effect, "operator_damaged", line)


def _row(line: str) -> Notice:
    effect = "该记录不予采用，使用它的登录会被拒绝；请查明谁写入了数据库，再按运维手册纠正"
    return Notice("bad", "账户或 CA 锁记录被改动", effect, "record_damaged", line)


def _away(address: str, place: Standing) -> Notice:
    effect = "审计记录照常封存，封存头保存在本机；请检查该存放处，恢复后自动补送"
    since = minute_text(datetime.fromisoformat(place.away_since))
    return Notice("warn", f"审计封存头自 {since} 起未能送达外部存放处", effect, "audit_place_away", f"{address}: {place.error}")


_JOBS = {
    jobs_health.ProblemKind.UNKNOWN: "没有运行记录",
    jobs_health.ProblemKind.LATE: "未按时运行",
    jobs_health.ProblemKind.FAILED: "上次运行失败",
}


def _job(problem: jobs_health.JobProblem) -> Notice:
    name = f"后台任务 {problem.job}".strip()
    effect = "本机的吊销信息、会话检查与审计封存可能停止更新"
    return Notice("bad", f"{name} {_JOBS[problem.kind]}", effect, f"job_{problem.kind}", problem.detail)


def notice_of(problem: Problem) -> Notice:
    title, effect = _PROBLEMS[problem.kind]
    return Notice("bad", f"登记异常：{title}", effect, problem.kind, problem.detail)


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source as a page shows it."""

    judged: SourceHealth
    tone: str
    words: str
    percent: int | None
    age: str
    """Since thisUpdate."""

    @property
    def source(self) -> RevocationSource:
        return self.judged.source


def source_state(source: RevocationSource, at: datetime) -> SourceState:
    """How one source stands: what its row says, which all machines share, and what this machine holds of it."""
    judged, here = health_of(source, at=at), held_here(source)
    tone, words = _source_words(judged, here)
    percent = None if judged.used is None else min(100, round(100 * judged.used))
    age = timesince(source.this_update, at, depth=1) if source.this_update and source.this_update < at else ""
    return SourceState(judged, tone, words, percent, age)


_HEALTH = {
    Health.GOOD: ("good", "正常"),
    Health.FAILING: ("warn", "获取失败"),
    Health.AGEING: ("warn", "临近过期"),
    Health.EXPIRED: ("bad", "已过期"),
}


_HERE = {
    HeldHere.NONE: ("bad", "本机没有可用的 CRL"),
    HeldHere.NEWER: ("bad", "记录比本机的 CRL 旧，可能被还原"),
    HeldHere.OLDER: ("warn", "本机的 CRL 较旧"),
}


def _source_words(judged: SourceHealth, here: HeldHere | None) -> tuple[str, str]:
    if not judged.source.is_intact():
        return "bad", "地址被改动"
    crl = judged.source.kind == SourceKind.CRL
    if judged.health is Health.NEVER or (crl and judged.source.this_update is None):
        # OCSP is asked during a login; a CRL is fetched ahead of it, and every login that needs it is refused until then
        return ("bad", "从未获取") if crl else ("", "尚未用过")
    if judged.health is not Health.EXPIRED and here in _HERE:
        return _HERE[here]
    return _HEALTH[judged.health]


@dataclass(frozen=True, slots=True)
class CaView:
    """One CA certificate as a page shows it."""

    record: CaRecord
    tone: str
    words: str


def ca_view(record: CaRecord, at: datetime) -> CaView:
    if record.state != CaState.RECOGNISED:
        return CaView(record, "", record.get_state_display())
    if record.not_after <= at:
        return CaView(record, "bad", "已过期")
    return CaView(record, "warn", "即将到期") if record.not_after - at < SOON else CaView(record, "good", "已互认")


def emergencies_of(provider: Provider, at: datetime) -> list[Emergency]:
    return running(provider, at=at)


def notices_of(
    provider: Provider,
    *,
    cas: Sequence[CaView],
    sources: Sequence[SourceState],
    problems: Sequence[Problem],
    at: datetime,
) -> list[Notice]:
    """Everything about one provider that an operator must know, worst first. Of one that is stopped: what was tampered with."""
    found = [notice_of(problem) for problem in problems if problem.provider == provider.code]
    if provider.state != ProviderState.ENABLED:
        return found
    found += [_emergency(item) for item in emergencies_of(provider, at)]
    found += [Notice(ca.tone, f"CA 证书{ca.words}", f"{ca.record.subject}，{minute_text(ca.record.not_after)} 到期")
              for ca in cas if ca.tone in ("bad", "warn")]  # fmt: skip
    found += [_source(state) for state in sources if state.tone in ("bad", "warn")]
    if not sources and _requires_revocation(provider):
        found.append(Notice("bad", "没有吊销信息来源", "规则要求核验吊销，所有登录都会被拒绝"))
    return sorted(found, key=lambda notice: notice.tone != "bad")


def _emergency(item: Emergency) -> Notice:
    text = f"{item.record.subject}：吊销信息不受时效限制，{minute_text(item.end)} 结束。期间被吊销的锁可能仍能登录"
    return Notice("bad", "紧急放宽中", text)


def _source(state: SourceState) -> Notice:
    source, ends = state.source, ""
    if state.source.next_update is not None:
        ends = f"，有效至 {minute_text(state.source.next_update)}"
    effect = "，需要它的登录被拒绝" if state.tone == "bad" else ""
    error = f"。最近错误：{source.last_error}" if source.last_error else ""
    return Notice(state.tone, f"{source.get_kind_display()} {state.words}", f"{source.url}{ends}{effect}{error}")


def _requires_revocation(provider: Provider) -> bool:
    try:
        return Policy.from_json(provider.rules).revocation.mode == "require"
    except (PolicyError, OverflowError):
        return True
