"""What the platform keeps about a person, for the person: 个人信息保护法 clause 45, the right to see and to have a copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from calock.server.accounts.models import Account, AccountState, CalendarLink
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact
from calock.server.contacts.values import ContactKind
from calock.server.locks.models import Binding, KnownDriver, PendingBinding
from calock.server.notices.models import Notice
from calock.server.notices.words import words_of
from calock.server.portal.event_names import event_name
from calock.server.portal.receipt_words import purposes
from calock.server.portal.roles import role_of
from calock.server.portal.rows import rows_of, with_certificates
from calock.server.portal.templatetags.portal import site_names
from calock.server.receipts.models import Receipt
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sites.profile import Profile
from calock.server.tools import clock
from calock.server.tools.encryption import NotOpenedError
from calock.server.web.exports import plain

MOST = 5000
"""Rows of one section, the newest; more are a matter of asking the platform."""
Row = tuple[Any, ...]
_KINDS = {ContactKind.MAIL: gettext_lazy("邮箱"), ContactKind.PHONE: gettext_lazy("手机号")}
_STATES = {
    AccountState.ACTIVE: gettext_lazy("正常"),
    AccountState.DISABLED: gettext_lazy("停用"),
    AccountState.ERASED: gettext_lazy("已注销"),
}


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    headings: tuple[str, ...]
    rows: list[Row]


def sections_of(account: Account, *, site: Profile, most: int = MOST, masked: bool = False) -> list[Section]:
    """Everything about one account, the newest ``most`` rows of each section. ``masked``: contacts as pages show them."""
    return [Section(title, headings, list(islice(rows, most))) for title, headings, rows in _sections(account, site, masked=masked)]


def _sections(account: Account, site: Profile, *, masked: bool) -> Iterator[tuple[str, tuple[str, ...], Iterator[Row]]]:
    yield _("账户资料"), (_("项目"), _("内容")), _facts(account)
    reached = (_("种类"), _("内容"), _("添加时间"), _("验证时间"))
    yield _("联系方式"), reached, _contacts(account, masked=masked)
    bound = (_("CA锁ID"), _("备注"), _("CA 服务商"), _("证书名称"), _("绑定人"), _("绑定时间"), _("解除时间"))
    yield _("CA 锁绑定"), bound, _bindings(account, site)
    claimed = (_("CA锁ID"), _("CA 服务商"), _("来源"), _("导入时间"))
    yield _("待激活绑定"), claimed, _claims(account)
    sessions = (_("登录时间"), _("站点"), _("方式"), _("地址"), _("浏览器"), _("结束时间"))
    yield _("登录会话"), sessions, _logins(account)
    yield _("存证回执"), (_("时间"), _("编号"), _("事项"), _("回执文件")), _receipts(account)
    yield _("用过的 CA 驱动"), (_("首次使用时间"), _("站点"), _("指纹 SHA-256")), _drivers(account)
    yield _("安全提醒"), (_("时间"), _("内容")), _notices(account)
    acts = (_("时间"), _("编号"), _("事件"), _("原因"), _("地址"), _("浏览器"))
    yield _("审计记录"), acts, _acts(account)


def _facts(account: Account) -> Iterator[Row]:
    yield _("账户"), account.username
    yield _("姓名"), account.name
    yield _("单位"), account.organisation.name if account.organisation else "-"
    yield _("角色"), role_of(account)
    yield _("状态"), str(_STATES[AccountState(account.state)])
    yield _("外部编号"), account.external_id or "-"
    link = CalendarLink.objects.filter(account=account).first()
    yield _("日历订阅链接"), link.created_at if link else "-"
    yield _("创建时间"), account.created_at
    yield _("最近修改密码"), account.password_changed_at or "-"


def _contacts(account: Account, *, masked: bool) -> Iterator[Row]:
    for row in Contact.objects.filter(account=account).order_by("added_at"):
        try:
            value = row.masked if masked else row.value
        except NotOpenedError:
            value = "-"
        yield str(_KINDS[ContactKind(row.kind)]), value, row.added_at, row.verified_at or "-"


def _bindings(account: Account, site: Profile) -> Iterator[Row]:
    found = with_certificates(Binding.objects.filter(account=account).order_by("-bound_at", "id"))[:MOST]
    for row in rows_of(list(found), site=site, at=clock.now()):
        binding = row.binding
        lock = binding.lock
        yield (
            lock.lock_id,
            row.called or "-",
            lock.provider.name,
            row.subject,
            binding.bound_by.name,
            binding.bound_at,
            binding.unbound_at or "-",
        )


def _claims(account: Account) -> Iterator[Row]:
    for claim in PendingBinding.objects.filter(account=account).select_related("provider"):
        yield claim.lock_id, claim.provider.name, claim.source or "-", claim.imported_at


def _logins(account: Account) -> Iterator[Row]:
    now = timezone.now()
    for row in Session.objects.filter(account=account).order_by("-created_at")[:MOST]:
        how = _("CA 锁") if row.method == SessionMethod.CA else _("账号密码")
        ended = row.ended_at or (row.expires_at if row.expires_at <= now else None)
        yield row.created_at, site_names(row.site), how, row.ip or "-", row.user_agent, ended


def _receipts(account: Account) -> Iterator[Row]:
    """What their locks signed. The files are handed out one by one, as the page 存证回执 does."""
    for row in Receipt.objects.of(account.pk)[:MOST]:
        file = reverse("portal:receipt_file", args=[row.number]) if row.opens_for(account.pk) else "-"
        yield row.at, row.number, purposes().get(row.purpose, row.purpose), file


def _drivers(account: Account) -> Iterator[Row]:
    for row in KnownDriver.objects.filter(account=account).order_by("-first_seen_at", "-pk"):
        yield row.first_seen_at, site_names(row.site), row.key_sha256


def _notices(account: Account) -> Iterator[Row]:
    for row in Notice.objects.known().filter(account=account).order_by("-created_at")[:MOST]:
        yield row.created_at, words_of(row).text


def _acts(account: Account) -> Iterator[Row]:
    """What they did and what was done to their account, as the trail says; where others acted from is not theirs to know."""
    for row in AuditEvent.objects.filter(Q(actor=account.pk) | Q(subject=account.pk)).order_by("-id")[:MOST]:
        own = row.actor in (account.pk, None)
        yield row.at, row.number, event_name(row.event), row.reason, (row.ip or "-") if own else "-", row.user_agent if own else "-"


def as_table(sections: list[Section]) -> Iterator[Row]:
    """One section below the other."""
    for section in sections:
        yield (section.title,)
        yield section.headings
        yield from section.rows
        yield ()


def as_json(sections: list[Section]) -> str:
    told = {
        section.title: [dict(zip(section.headings, map(plain, row), strict=True)) for row in section.rows] for section in sections
    }
    return json.dumps(told, ensure_ascii=False, indent=2)
