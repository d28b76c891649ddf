"""Everything that operators can do in the console: how many operators it takes, which audit event it writes, what the page answers.

A page takes a step only when it stands here, and every address of the console must stand here: those without steps only show.
Two operators: one proposes, another approves, and the event is written by the act that follows (besides ``approval:…``).
"""

from __future__ import annotations

from typing import NamedTuple

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.providers.anchors import CA_RESUME, CA_SUSPEND, CA_WITHDRAW


class Act(NamedTuple):
    operators: int
    event: Event
    done: str = ""
    """What the page says afterwards; empty where it shows a result of its own."""


def _proposed(what: str) -> str:
    return f"已提出{what}，等待另一位运营人员复核"


EXPORT = Act(1, Event.LIST_EXPORTED)

ACTS: dict[str, dict[str, Act]] = {
    # overview
    "index": {},
    "dashboard": {},
    "failures": {},
    "expiry": {},
    "app_list": {},
    # the register
    "providers": {},
    "provider": {},
    "provider_new": {"": Act(1, Event.PROVIDER_CREATED)},
    "provider_propose": {"": Act(2, Event.PROVIDER_CHANGED)},
    "provider_edit": {"": Act(1, Event.PROVIDER_CHANGED)},
    "provider_links": {"": Act(2, Event.PROVIDER_CHANGED)},
    "provider_trust": {"": Act(2, Event.PROVIDER_CHANGED)},
    "provider_step": {
        "suspend": Act(1, Event.PROVIDER_SUSPENDED, "服务商已暂停，相关会话已结束"),
        "propose": Act(2, Event.ANCHOR_APPROVED, _proposed("互认 CA 证书")),
        CA_SUSPEND: Act(2, Event.ANCHOR_SUSPENDED, _proposed("暂停")),
        CA_WITHDRAW: Act(2, Event.ANCHOR_WITHDRAWN, _proposed("撤回")),
        CA_RESUME: Act(2, Event.ANCHOR_RESUMED, _proposed("恢复")),
        "add_source": Act(1, Event.REVOCATION_SOURCE_CHANGED, "已添加吊销信息来源"),
        "propose_source": Act(2, Event.REVOCATION_SOURCE_CHANGED, _proposed("添加内网吊销信息来源")),
        "remove_source": Act(1, Event.REVOCATION_SOURCE_CHANGED, "已移除吊销信息来源"),
        "emergency": Act(2, Event.PROVIDER_CHANGED, _proposed("紧急放宽")),
    },
    # applications
    "applications": {},
    "application": {},
    "application_new": {"": Act(2, Event.APPLICATION_REGISTERED)},
    "application_edit": {"": Act(2, Event.APPLICATION_CHANGED)},
    "application_step": {
        "suspend": Act(1, Event.APPLICATION_SUSPENDED, "应用已停用"),
        "resume": Act(2, Event.APPLICATION_CHANGED, _proposed("启用应用")),
        "new_secret": Act(2, Event.APPLICATION_CHANGED),
        "old_secret": Act(2, Event.APPLICATION_CHANGED, _proposed("停用旧密钥")),
    },
    "approvals": {},
    "approval": {
        "approve": Act(2, Event.APPROVAL_APPROVED, "已复核通过并执行"),
        "reject": Act(1, Event.APPROVAL_REJECTED, "已驳回"),
        "take_back": Act(1, Event.APPROVAL_TAKEN_BACK, "已撤销"),
    },
    # people and locks
    "accounts_account_changelist": {},
    "accounts_account_export": {"": EXPORT},
    "accounts_account_change": {
        "reset": Act(1, Event.ACCOUNT_PASSWORD_RESET),
        "disable": Act(1, Event.ACCOUNT_DISABLED, "账户已停用，其会话已结束"),
        "enable": Act(1, Event.ACCOUNT_ENABLED, "账户已启用"),
        "rename": Act(1, Event.ACCOUNT_CHANGED, "姓名已更正"),
        "demote": Act(1, Event.ACCOUNT_CHANGED, "已改为普通成员"),
        "promote": Act(2, Event.ACCOUNT_CHANGED, _proposed("设为机构管理员")),
        "move": Act(2, Event.ACCOUNT_MOVED, _proposed("转入其他单位")),
        "operator_disable": Act(2, Event.ACCOUNT_DISABLED, _proposed("停用运营人员")),
        "operator_enable": Act(2, Event.ACCOUNT_ENABLED, _proposed("启用运营人员")),
        "enrol": Act(2, Event.ACCOUNT_ENROLMENT_OPENED, _proposed("允许绑定 CA 锁")),
        "lock_only": Act(1, Event.ACCOUNT_LOCK_ONLY_CHANGED, "绑定 CA 锁后不再允许密码登录"),
        "lock_only_less": Act(2, Event.ACCOUNT_LOCK_ONLY_CHANGED, _proposed("变更登录方式")),
        "erase": Act(2, Event.ACCOUNT_ERASED, _proposed("注销账户")),
        "take_contact": Act(1, Event.CONTACT_REMOVED, "联系方式已移除，已通知本人"),
        "show_name": Act(1, Event.ACCOUNT_NAME_SHOWN),
    },
    "account_new": {"": Act(1, Event.ACCOUNT_CREATED)},
    "organisations_organisation_changelist": {},
    "organisations_organisation_export": {"": EXPORT},
    "organisations_organisation_change": {
        "disable": Act(1, Event.ORGANISATION_DISABLED, "单位已停用，其全部成员的会话已结束"),
        "enable": Act(1, Event.ORGANISATION_ENABLED, "单位已启用"),
        "lock_only": Act(1, Event.ORGANISATION_LOCK_ONLY_CHANGED, "绑定 CA 锁后不再允许密码登录"),
        "lock_only_less": Act(2, Event.ORGANISATION_LOCK_ONLY_CHANGED, _proposed("变更登录方式")),
        "rename": Act(1, Event.ORGANISATION_CHANGED, "单位已更名，曾用名仍可搜索"),
        "code": Act(2, Event.ORGANISATION_CHANGED, _proposed("变更统一社会信用代码")),
        "merge": Act(2, Event.ORGANISATION_MERGED, _proposed("合并单位")),
    },
    "organisation_new": {"": Act(1, Event.ORGANISATION_CREATED)},
    "locks_lock_changelist": {},
    "locks_lock_export": {"": EXPORT},
    "locks_lock_change": {},
    "locks_binding_changelist": {},
    "locks_binding_export": {"": EXPORT},
    "locks_pendingbinding_changelist": {},
    "locks_pendingbinding_export": {"": EXPORT},
    "locks_pendingbinding_change": {"withdraw": Act(1, Event.BINDING_CLAIM_ENDED, "待激活绑定已撤销")},
    # lists of another system
    "imports": {},
    "import_upload": {"": Act(1, Event.IMPORT_UPLOADED)},
    "import_run": {
        "propose": Act(2, Event.IMPORT_STARTED, _proposed("数据导入")),
        "discard": Act(1, Event.IMPORT_DISCARDED, "已删除上传的文件"),
    },
    "import_report": {"": EXPORT},
    "locks_binding_change": {
        "unbind": Act(2, Event.BINDING_ENDED, _proposed("紧急解绑")),
        "suspend": Act(1, Event.BINDING_SUSPENDED, "已挂失，该锁的会话已结束"),
    },
    # driver packages
    "downloads_driverpackage_changelist": {},
    "downloads_driverpackage_export": {"": EXPORT},
    "downloads_driverpackage_upload": {"": Act(1, Event.PACKAGE_UPLOADED, "驱动包已上传为草稿，请核对后发布")},
    "downloads_driverpackage_change": {
        "publish": Act(2, Event.PACKAGE_PUBLISHED, _proposed("发布驱动包")),
        "withdraw": Act(1, Event.PACKAGE_WITHDRAWN, "驱动包已撤回，不再提供下载"),
    },
    # messages
    "outbox": {"send_again": Act(1, Event.MESSAGE_SENT_AGAIN, "已重新排入待发，几秒内发送")},
    "egress": {
        "add": Act(2, Event.EGRESS_CHANGED, _proposed("添加出口地址")),
        "remove": Act(1, Event.EGRESS_CHANGED, "已移除出口地址"),
    },
    # audit
    "audit_auditevent_changelist": {},
    "audit_auditevent_export": {"": EXPORT},
    "audit_auditevent_change": {},
}


def act_of(page: str, step: str) -> Act:
    """The act behind a button.

    Raises:
        Refusal: REQUEST_MALFORMED for a step that the page does not have.
    """
    act = ACTS.get(page, {}).get(step)
    if act is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "step")
    return act
