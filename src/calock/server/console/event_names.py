"""What people call the events of the audit trail."""

from __future__ import annotations

from calock.server.audit.events import FORMER_REGISTER_CHANGES, Event

EVENT_NAMES: dict[str, str] = {
    Event.LOGIN_CA_SUCCEEDED: "CA 登录成功",
    Event.LOGIN_CA_REFUSED: "CA 登录被拒",
    Event.LOGIN_PASSWORD_SUCCEEDED: "密码登录成功",
    Event.LOGIN_PASSWORD_REFUSED: "密码登录被拒",
    Event.STEP_UP_SUCCEEDED: "再次确认身份",
    Event.STEP_UP_REFUSED: "再次确认身份失败",
    Event.SESSION_ENDED: "退出登录",
    Event.SESSIONS_REVOKED: "会话被结束",
    Event.BINDING_ADDED: "绑定 CA 锁",
    Event.BINDING_ENDED: "解除绑定",
    Event.BINDING_REFUSED: "绑定被拒",
    Event.BINDING_END_REFUSED: "解除绑定被拒",
    Event.CERTIFICATE_RENEWED: "续期沿用绑定",
    Event.CERTIFICATE_REVOKED: "证书被吊销",
    Event.ACCOUNT_CREATED: "新建账户",
    Event.ACCOUNT_CHANGED: "修改账户",
    Event.ACCOUNT_MOVED: "账户转入其他单位",
    Event.ACCOUNT_NAME_SHOWN: "查看姓名",
    Event.ACCOUNT_DISABLED: "停用账户",
    Event.ACCOUNT_ENABLED: "启用账户",
    Event.ACCOUNT_PASSWORD_CHANGED: "修改密码",
    Event.ACCOUNT_PASSWORD_RESET: "重置密码",
    Event.ACCOUNT_PASSWORD_CHOSEN: "用一次性代码设置密码",
    Event.ACCOUNT_PASSWORD_LOCKED: "密码登录锁定",
    Event.ACCOUNT_PASSWORD_REFUSED: "修改密码被拒",
    Event.ORGANISATION_CREATED: "新建单位",
    Event.ORGANISATION_CHANGED: "变更单位",
    Event.ORGANISATION_MERGED: "合并单位",
    Event.ORGANISATION_DISABLED: "停用单位",
    Event.ORGANISATION_ENABLED: "启用单位",
    Event.PROVIDER_CREATED: "新增服务商",
    Event.PROVIDER_CHANGED: "修改服务商",
    Event.PROVIDER_SUSPENDED: "暂停服务商",
    Event.PROVIDER_RESUMED: "恢复服务商",
    Event.PROVIDER_EXPORTED: "导出服务商",
    Event.REGISTER_RESEALED: "重新封存登记",
    Event.ANCHOR_APPROVED: "互认 CA 证书",
    Event.ANCHOR_SUSPENDED: "暂停 CA 证书",
    Event.ANCHOR_RESUMED: "恢复 CA 证书",
    Event.ANCHOR_WITHDRAWN: "撤回 CA 证书",
    Event.REVOCATION_SOURCE_CHANGED: "变更吊销来源",
    Event.REVOCATION_FETCHED: "获取吊销信息",
    Event.REVOCATION_FAILED: "获取吊销信息失败",
    Event.APPROVAL_PROPOSED: "提出复核申请",
    Event.APPROVAL_APPROVED: "复核通过",
    Event.APPROVAL_REJECTED: "复核驳回",
    Event.APPROVAL_TAKEN_BACK: "撤销申请",
    Event.PACKAGE_UPLOADED: "上传驱动包",
    Event.PACKAGE_PUBLISHED: "发布驱动包",
    Event.PACKAGE_WITHDRAWN: "撤回驱动包",
    Event.PACKAGE_DOWNLOADED: "下载驱动包",
    Event.PACKAGE_REFUSED: "驱动包被拒",
    Event.ACCESS_REFUSED: "越权访问被拒",
    Event.REQUEST_REFUSED: "请求被拒",
    Event.REQUESTS_THROTTLED: "请求过于频繁",
    Event.SERVER_FAILED: "服务器错误",
    # of earlier versions
    **dict(zip(FORMER_REGISTER_CHANGES, ("导入互认包", "固定互认包公钥", "停用互认包公钥"), strict=True)),
}


def event_name(event: str) -> str:
    """The Chinese name of an event; its code when it has none."""
    return EVENT_NAMES.get(event, event)
