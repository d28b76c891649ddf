"""The sentences of notices: gettext message ids, in the words of the pages."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from calock.server.notices.models import Notice, NoticeKind
from calock.server.tools.times import minute_text


class Words(NamedTuple):
    """A notice as a page shows it. ``page`` is the portal page that ``action`` leads to; ``link`` goes before it: the CA's page."""

    text: str
    action: str
    page: str
    link: str = ""


_WHO = {
    "operator": _("平台运营人员"),
    "self": _("您本人的账户"),
    "member": _("本人"),
    "organisation_admin": _("本单位管理员%(name)s"),
    "contact": _("收到您联系方式验证码的人"),
    "code": _("持有一次性代码的人"),
    "": _("平台管理方"),
}
_UNASKED = _("如非您要求，请立即联系平台，并报编号。")
_UNASKED_LOCK = _("如非您要求，请立即在 CA 绑定列表挂失或解除绑定这把锁，修改密码，并联系平台报编号。")

_BINDINGS = _("查看 CA 绑定")
_CLAIMED = _("名单于 %(when)s 由%(who)s导入：您的账户有待激活的 CA 锁 %(lock)s，持有该锁的人可以登录您的账户。")
_ACTIVATED = _("CA 锁 %(lock)s 已按%(who)s导入的名单于 %(when)s 激活，持有该锁的人可以登录您的账户。")
_BOUND = _("您的账户于 %(when)s 由%(who)s绑定了 CA 锁 %(lock)s，持有该锁的人可以登录您的账户。")
_AWAITS = _("CA 锁 %(lock)s 于 %(when)s 由%(who)s绑定到您的账户，等待您确认；确认前不能登录。")
_RENEWED = _("您的 CA 锁 %(lock)s 于 %(when)s 由%(who)s换上了新证书，持有新证书的人可以登录您的账户。")
_NEW_COMPUTER = _("您的账户于 %(when)s 首次通过另一台电脑的 CA 驱动使用 CA 锁。换了电脑、换了系统用户属正常；")
_DRIVER_CHANGED = _("这台电脑登录过您的账户，但 %(when)s 应答的 CA 驱动与以前不同。重装过驱动、换了系统用户属正常；")
_EXPIRES = _("您的 CA 锁 %(lock)s（%(provider)s）将于 %(until)s 到期，到期后不能登录。请尽快向 CA 机构续期。")
_EXPIRED = _("您的 CA 锁 %(lock)s（%(provider)s）已于 %(until)s 到期，不能再登录。请向 CA 机构续期。")
_LEFT = _("您的账户于 %(when)s 由%(who)s办理离职：账户已停用，%(locks)s 把 CA 锁已解除绑定。重新启用后，CA 锁须重新绑定。")
_CALENDAR_LINK = _("您的账户于 %(when)s 生成了到期日历的订阅链接，拿到链接的人能看到 CA 锁的到期日。")
_NEW_PLACE = _("您的账户于 %(when)s 用新的浏览器、从新的网络（%(address)s）登录。")
_CONTACT_ADDED = _("您的账户于 %(when)s 添加了联系方式 %(contact)s。")
_CONTACT_REMOVED = _("您的账户于 %(when)s 移除了联系方式 %(contact)s。")
_CONTACT_TAKEN = _("您账户的联系方式 %(contact)s 于 %(when)s 由%(who)s移除。")
_TEXTS = {
    NoticeKind.PASSWORD_CHANGED: (_("您的密码于 %(when)s 由%(who)s修改。"), _("登录会话"), "sessions"),
    NoticeKind.PASSWORD_RESET: (_("您的密码于 %(when)s 由%(who)s重置。"), _("登录会话"), "sessions"),
    NoticeKind.LOCK_BOUND: (_BOUND, _BINDINGS, "bindings"),
    NoticeKind.LOCK_CLAIMED: (_CLAIMED, _BINDINGS, "bindings"),
    NoticeKind.LOCK_ACTIVATED: (_ACTIVATED, _BINDINGS, "bindings"),
    NoticeKind.LOCK_AWAITS: (_AWAITS, _("去确认"), "bindings"),
    NoticeKind.LOCK_RENEWED: (_RENEWED, _BINDINGS, "bindings"),
    NoticeKind.LOCK_UNBOUND: (_("您的 CA 锁 %(lock)s 于 %(when)s 由%(who)s解除绑定。"), _BINDINGS, "bindings"),
    NoticeKind.LOCK_SUSPENDED: (_("您的 CA 锁 %(lock)s 于 %(when)s 由%(who)s挂失，不能再登录。"), _BINDINGS, "bindings"),
    NoticeKind.LOCK_RESUMED: (_("您的 CA 锁 %(lock)s 于 %(when)s 由%(who)s恢复使用。"), _BINDINGS, "bindings"),
    NoticeKind.MEMBER_LOCK_SUSPENDED: (_("本单位 %(member)s 的 CA 锁 %(lock)s 于 %(when)s 由%(who)s挂失。"), _BINDINGS, "bindings"),
    NoticeKind.LOCK_ONLY_CHANGED: (_("您账户的登录方式于 %(when)s 由%(who)s变更。"), _("用户中心"), "user_center"),
    NoticeKind.ROLE_CHANGED: (_("您的角色于 %(when)s 由%(who)s改为%(role)s。"), _("用户中心"), "user_center"),
    NoticeKind.MOVED: (_("您的账户于 %(when)s 由%(who)s转入“%(value)s”。"), _("用户中心"), "user_center"),
    NoticeKind.NEW_COMPUTER: (_NEW_COMPUTER, _("登录会话"), "sessions"),
    NoticeKind.DRIVER_CHANGED: (_DRIVER_CHANGED, _("登录会话"), "sessions"),
    NoticeKind.LOCK_EXPIRES: (_EXPIRES, _("CA 锁到期一览"), "expiry"),
    NoticeKind.LOCK_EXPIRED: (_EXPIRED, _("CA 锁到期一览"), "expiry"),
    NoticeKind.LEFT: (_LEFT, _("用户中心"), "user_center"),
    NoticeKind.CALENDAR_LINK: (_CALENDAR_LINK, _("CA 锁到期一览"), "expiry"),
    NoticeKind.NEW_PLACE: (_NEW_PLACE, _("登录会话"), "sessions"),
    NoticeKind.CONTACT_ADDED: (_CONTACT_ADDED, _("联系方式"), "contacts"),
    NoticeKind.CONTACT_REMOVED: (_CONTACT_REMOVED, _("联系方式"), "contacts"),
    NoticeKind.CONTACT_TAKEN: (_CONTACT_TAKEN, _("联系方式"), "contacts"),
}  # fmt: skip
_ENDINGS = {
    NoticeKind.LOCK_BOUND: _UNASKED_LOCK,
    NoticeKind.LOCK_CLAIMED: _UNASKED_LOCK,
    NoticeKind.LOCK_ACTIVATED: _UNASKED_LOCK,
    NoticeKind.LOCK_RENEWED: _UNASKED_LOCK,
    NoticeKind.CALENDAR_LINK: _("如不是您本人，请停用该链接，修改密码，并联系平台报编号。"),
    NoticeKind.NEW_PLACE: _("如不是您本人，请结束不认识的会话，修改密码，并联系平台报编号。"),
    NoticeKind.CONTACT_ADDED: _("如不是您本人，请移除该联系方式，修改密码，并联系平台报编号。"),
    NoticeKind.CONTACT_REMOVED: _("如不是您本人，请修改密码，并联系平台报编号。"),
    NoticeKind.NEW_COMPUTER: _("如不是您本人，请结束不认识的会话，修改 CA 锁 PIN 码，并联系平台报编号。"),
    NoticeKind.DRIVER_CHANGED: _("如您没有做过这些，请不要再输入 PIN 码，请本单位技术人员检查这台电脑，并联系平台报编号。"),
    NoticeKind.LOCK_EXPIRES: _("续期后如仍是同一把锁，无需重新绑定。"),
    NoticeKind.LOCK_EXPIRED: _("续期后如仍是同一把锁，无需重新绑定。"),
}
_MORE = {
    "by_lock": _("绑定前用 CA 锁 %(by_lock)s 验证了身份。"),
    "by_password": _("绑定前用登录密码验证了身份。"),
    "only": _("这是您唯一可以登录的 CA 锁。"),
    "hotline": _("续期电话：%(hotline)s。"),
    "password_ended": _("凭它设置的登录密码已失效，请重新设置。"),
    "ended": _("已移除凭它添加的联系方式 %(ended)s。"),
    "restored": _("已恢复凭它移除的联系方式 %(restored)s，请重新验证。"),
    "bound_by_it": _("近 30 天内凭它绑定的 CA 锁 %(bound_by_it)s 仍可登录：不是您绑定的，请立即解除。"),
    "reach": _("此后 %(reach)s 天内，CA 锁绑定和密码的变更仍会通知该联系方式。"),
}
"""Sentences that are said when their fact is known."""
_RENEW = _("去 CA 机构续期")
_ROLES = {"member": _("普通成员"), "organisation_admin": _("机构管理员")}


def words_of(notice: Notice) -> Words:
    """The sentence, who did it and when filled in, and the page to look at."""
    text, action, page = _TEXTS[NoticeKind(notice.kind)]
    facts = {name: str(value) for name, value in notice.facts.items()}
    if facts.get("password_ended") and not facts.get("bound_by_it"):
        action, page = _("修改密码"), "password"
    who = str(_WHO.get(facts.get("by_role", ""), _WHO[""])) % {"name": facts.get("by_name", "")}
    role = str(_ROLES.get(facts.get("value", ""), ""))
    known = {**facts, "role": role, "when": minute_text(notice.created_at), "who": who}
    filled = str(text) % defaultdict(str, known)  # rows of earlier versions know less
    more = (str(_MORE[name]) % facts for name in _MORE if facts.get(name))
    ending = str(_ENDINGS.get(NoticeKind(notice.kind), _UNASKED))
    link = facts.get("renew_url", "")
    between = " " if (get_language() or "").startswith("en") else ""
    return Words(between.join((filled, *more, ending)), str(_RENEW if link else action), page, link)
