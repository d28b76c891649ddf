"""The console's menu."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Item:
    label: str
    icon: str
    href: str
    current: bool
    count: int = 0


MENU: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    ("总览", (("信任总览", "shield", "dashboard"), ("失败统计", "warn", "failures"), ("到期一览", "clock", "expiry"))),
    ("互认管理", (("CA 服务商", "key", "providers"), ("双人复核", "check", "approvals"))),
    ("应用", (("应用接入", "grid", "applications"),)),
    (
        "用户与 CA 锁",
        (
            ("账户", "user", "accounts_account_changelist"),
            ("单位", "users", "organisations_organisation_changelist"),
            ("CA 锁", "usb", "locks_lock_changelist"),
            ("绑定", "lock", "locks_binding_changelist"),
            ("待激活绑定", "clock", "locks_pendingbinding_changelist"),
            ("数据导入", "download", "imports"),
        ),
    ),
    ("驱动", (("CA 驱动包", "download", "downloads_driverpackage_changelist"),)),
    ("消息", (("待发消息", "clock", "outbox"), ("出口地址", "globe", "egress"))),
    ("审计", (("审计记录", "list", "audit_auditevent_changelist"),)),
)


def navigation(current_path: str, *, waiting: int) -> list[tuple[str, list[Item]]]:
    """Groups with their pages; a page whose address does not exist on this server is left out."""
    groups = []
    for title, entries in MENU:
        items = []
        for label, icon, name in entries:
            try:
                href = reverse(f"admin:{name}")
            except NoReverseMatch:
                continue
            items.append(Item(label, icon, href, current_path.startswith(href), waiting if name == "approvals" else 0))
        if items:
            groups.append((title, items))
    return groups
