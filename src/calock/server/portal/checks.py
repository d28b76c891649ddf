"""The ordered checks of 环境检测 and their words; ``js/check.js`` runs them in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class CheckStep:
    name: str
    title: _StrPromise


STEPS = (
    CheckStep("browser", gettext_lazy("浏览器")),
    CheckStep("secure", gettext_lazy("安全连接")),
    CheckStep("permission", gettext_lazy("访问本机驱动的许可")),
    CheckStep("driver", gettext_lazy("CA 驱动")),
    CheckStep("version", gettext_lazy("驱动版本")),
    CheckStep("module", gettext_lazy("驱动组件")),
    CheckStep("lock", gettext_lazy("CA 锁")),
    CheckStep("pin", gettext_lazy("PIN 码状态")),
    CheckStep("certificate", gettext_lazy("证书有效期")),
    CheckStep("provider", gettext_lazy("互认范围")),
    CheckStep("clock", gettext_lazy("电脑时间")),
)


def check_words() -> dict[str, str]:
    """Sentences of the checks, with their {facts}."""
    return {
        "browser_good": _("支持 CA 登录"),
        "secure_good": _("安全连接"),
        "permission_good": _("已允许"),
        "permission_none": _("此浏览器不需要许可"),
        "permission_click": _("点“开始检测”，浏览器询问时选“允许”"),
        "driver_good": _("驱动已启动"),
        "version_good": _("版本 {version}"),
        "module_good": _("全部正常"),
        "lock_good": _("已检测到 {count} 把 CA 锁"),
        "pin_good": _("PIN 码可用"),
        "pin_tries": _("PIN 码还可尝试 {count} 次"),
        "certificate_good": _("在有效期内"),
        "certificate_soon": _("还有 {days} 天到期，请尽快续期"),
        "certificate_expired": _("证书已于 {day} 过期"),
        "certificate_future": _("证书尚未生效（{day} 起有效）"),
        "provider_good": _("{name}"),
        "provider_bad": _("该证书不在本平台互认范围"),
        "clock_good": _("与服务器相差 {seconds} 秒"),
        "clock_bad": _("电脑时间与服务器相差 {minutes} 分钟，请校准日期和时间"),
        "waiting": _("上一项通过后检查"),
        "running": _("正在检查…"),
        "all_good": _("检测完成，这台电脑可以使用 CA 登录"),
        "some_warn": _("检测完成，可以使用 CA 登录，请留意下面的提醒"),
        "checked_at_login": _("证书是否被吊销、CA 锁是否已绑定账户，登录时才会核对。"),
        "to_login": _("去 CA 登录"),
        "some_bad": _("检测完成，请按提示处理"),
        "renew": _("如何续期"),
        "see_list": _("查看互认 CA 列表"),
        "report_title": _("环境检测报告"),
    }
