"""What a page that talks to the driver needs: sentences for every refusal, pictures, providers, settings."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse
from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from calock.server.locks.models import Binding
from calock.server.portal.rows import label_of
from calock.server.portal.site_api import offered_providers
from calock.server.sites.registry import sites
from calock.server.tools.prepared import prepared
from calock.server.web import refusals
from calock.server.web.http import SiteRequest
from calock.wire import driver

_PREFIXES = (
    "DRIVER_",
    "LOCK_",
    "LOCKS_",
    "OPERATION_",
    "PIN_",
    "MODULE_",
    "ORIGIN_",
    "HOST_NOT",
    "PEER_",
    "SEVERAL_",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNTRUSTED",
    "SERVER_BUSY",
)

_UNREADABLE = (
    "CERTIFICATE_UNPARSABLE",
    "CERTIFICATE_TOO_LARGE",
    "CERTIFICATE_VERSION",
    "CERTIFICATE_SERIAL",
    "CERTIFICATE_EXTENSION",
    "CERTIFICATE_SIGNATURE_ALGORITHM",
    "CERTIFICATE_VALIDITY_ORDER",
    "KEY_NOT_ALLOWED",
)
"""Why the driver cannot offer a certificate that a plugged-in lock holds."""

_DOWNLOAD = ("DRIVER_ABSENT", "DRIVER_OTHER_VENDOR", "ORIGIN_NOT_ALLOWED", "PEER_NOT_ALLOWED")
"""Refusals whose one action is this site's own download word."""


def _words() -> dict[str, str]:
    return {
        "searching": _("正在检测 CA 驱动…"),
        "asking": _("浏览器正在询问，请点“允许”"),
        "gesture": _("点“开始检测”，浏览器询问时选“允许”"),
        "start": _("开始检测"),
        "retry": _("重新检测"),
        "ready_one": _("检测完成：已检测到 CA 锁 {name}"),
        "ready_many": _("检测完成：已检测到 {count} 把 CA 锁，请选择要使用的一把"),
        "ready_none": _("检测完成：CA 驱动正常，请将 CA 锁插入电脑"),
        "ready_expired": _("检测完成：CA 锁 {name} 的证书已过期"),
        "ready_several": _("检测完成：已检测到 {count} 把 CA 锁"),
        "expired_lock": _("这把锁的证书已于 {day} 过期，不能登录或绑定；在原锁上续期后无需重新绑定。"),
        "lock_ca": _("发锁的 CA：{provider}，电话 {hotline}"),
        "expired": _("(已过期)"),
        "until": _("有效期至 {day}"),
        "serial": _("尾号 {serial}"),
        "tries": _("PIN 码还可尝试 {count} 次"),
        "default_pin": _("这把锁仍在使用初始 PIN 码，登录后请尽快在驱动窗口中修改。"),
        "reserved": _("PIN 码只剩 {count} 次机会，为防止 CA 锁被锁定，请点下方按钮，在驱动窗口中输入"),
        "reserved_unknown": _("这把锁输错过 PIN 码，又不告知剩余次数，为防止被锁定，请点下方按钮，在驱动窗口中输入"),
        "window_only": _("PIN 码已连续输错，为防止 CA 锁被锁定，请点下方按钮，在驱动窗口中输入"),
        "hidden_lock": _("请点下方按钮，在驱动窗口中输入 PIN 码查看证书"),
        "on_reader": _("这把锁的 PIN 码在读卡器上输入：请点下方按钮，再按读卡器的提示操作"),
        "locked": _("CA 锁已被锁定，请联系 {provider} 解锁（{hotline}）"),
        "locked_plain": _("CA 锁已被锁定，请联系发锁的 CA 机构解锁"),
        "busy": _("正在处理…"),
        "signing": _("正在用 CA 锁签名…"),
        "signing_reader": _("请在读卡器上输入 PIN 码…"),
        "verifying": _("正在核验证书…"),
        "network": _("网络异常，请检查网络后重试"),
        "try_again": _("重试"),
        "trying_again": _("正在自动重试，请不要关闭页面…"),
        "window_wait": _("请在驱动窗口中输入 PIN 码"),
        "window_blocked": _("浏览器拦截了驱动窗口，请允许本站弹出窗口后重试"),
        "window_silent": _("驱动窗口没有应答，请确认驱动已安装并启动"),
        "number": _("编号 {number}"),
        "problem_about": _("{text}（{label}）"),
        "start_windows": _("已经装过的，请从“开始”菜单打开“CA 驱动”。"),
        "start_macos": _("已经装过的，请注销后重新登录电脑，驱动会自动启动。"),
        "start_linux": _("已经装过的，请从应用程序菜单打开“CA 驱动”。"),
        "driver_accept": _("我重新安装过驱动，继续使用"),
        "password_missing": _("请输入登录密码"),
        "choice_renew": _("续期：同一把锁换了新证书"),
        "choice_renew_effect": _("绑定保留，以后用新证书登录"),
        "choice_replace": _("续期/换锁，替换原锁"),
        "choice_replace_lost": _("用新锁替换已挂失的锁"),
        "choice_replace_effect": _("原锁的绑定同时解除，不能再用原锁登录"),
        "choice_another": _("作为另一把锁绑定"),
        "choice_another_effect": _("已绑定的锁照常使用"),
        "choice_missing": _("请选择这把锁是哪一种"),
        "other_locks": _("换一把（共 {count} 把）"),
        "bound_on": _("绑定于 {day}"),
        "bound_lock": _("已绑定；换了新证书的，选这把锁续期"),
        "reason_missing": _("请填写解除绑定的原因"),
        "picture": _("示意图：浏览器询问时点“允许”"),
        "cancelled": _("已取消"),
        "extension_failed": _("Web eID 扩展没有完成操作"),
        "fill_in": _("去填写"),
        "ended": _("已解除绑定"),
        "insecure": _("当前页面不是安全连接，浏览器会拦截 CA 驱动"),
        "old_browser": _("当前浏览器不支持 CA 登录，请使用 Chrome、Edge 或 360 极速模式"),
    }


def picture(name: str) -> str:
    """Address of a drawing of the browser's permission, in the page's language: ``prompt`` or ``denied``."""
    return static(f"portal/img/permission-{name}{'-en' if refusals.is_english() else ''}.svg")


def driver_context(request: SiteRequest, own: Iterable[Binding] | None = None) -> dict[str, Any]:
    """Context of a page with a device strip: ``providers``, and ``driver_data``, the JSON element that its script reads.

    ``own``: the live bindings of the account that is logged in, where they are at hand.
    """
    site = request.site
    language = get_language() or settings.LANGUAGE_CODE
    return {
        "providers": offered_providers(site),
        "driver_data": _data_element(site.code, language, tuple(settings.CALOCK.driver_ports), get_script_prefix()),
        "lock_labels": _labels_element(_named_locks_of(request) if own is None else own),
    }


def _labels_element(own: Iterable[Binding]) -> SafeString:
    """What the person who is logged in calls their locks, for the cards of those that are plugged in; empty for none."""
    found: dict[str, str] = {}
    for binding in own:
        if called := label_of(binding):
            found |= {name: called for name in (binding.lock.lock_id, binding.lock.device) if name}
    return json_script(found, "lock-labels", encoder=_Unescaped) if found else SafeString()


def _named_locks_of(request: SiteRequest) -> list[Binding]:
    return _named_locks(request.login_session.account_id) if request.login_session else []


@prepared
def _named_locks(account: Any) -> QuerySet[Binding]:
    rows: QuerySet[Binding] = Binding.objects.live().filter(account=account)
    return rows.exclude(label="", rank="").select_related("lock")


class _Unescaped(DjangoJSONEncoder):
    """Chinese as it is written: escaped it is twice as long."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


@cache
def _data_element(site_code: str, _language: str, ports: tuple[int, ...], _prefix: str) -> SafeString:
    """Made once for each site and language: to gather some hundred sentences costs more than a login."""
    site = sites()[site_code]
    download = reverse(f"portal:{site.driver.page}")
    refused = {reason: entry for reason, entry in refusals.catalogue().items() if reason.startswith(_PREFIXES)}
    for reason in _DOWNLOAD:
        refused[reason] = {**refused[reason], "action": {"label": str(site.dialog.driver_link), "href": download, "does": ""}}
    refused["DRIVER_TOO_OLD"]["action"]["href"] = download
    refused["DRIVER_CERTIFICATE"] = {  # the page's own finding, never sent: F07, in a browser that needs https on this computer
        "message": _("此浏览器连接不到 CA 驱动：驱动没有安装，或本机驱动证书未被信任"),
        "plain": "",
        "ca": False,
        "cause": "F07",
        "action": {**refused["DRIVER_FAILED"]["action"], "href": reverse("portal:help_failures") + "#F07"},
    }
    refused["DRIVER_STOPPED"] = {  # the same: a driver that answered the page, and does so no more
        "message": _("CA 驱动刚才停止了，请重新打开驱动，再试一次"),
        "plain": "",
        "ca": False,
        "cause": "F30",
        "action": refused["DRIVER_BUSY"]["action"],
    }
    for reason in _UNREADABLE:
        refused[reason] = {
            "message": _("已插入 CA 锁，但其中的证书无法读取，请联系发锁的 CA 机构"),
            "plain": "",
            "action": refused["LOCK_WITHOUT_CERTIFICATE"]["action"],
            "ca": True,
            "cause": "F11",
        }
    data = {
        "protocol": driver.PROTOCOL,
        "ports": ports,
        "tlsPorts": driver.TLS_PORTS,
        "minVersion": site.driver.min_version,
        "pinEntry": site.pin_entry,
        "webEid": site.web_eid,
        "timeZone": settings.TIME_ZONE,
        "download": download,
        "limits": {
            "list": driver.LIST_LIMIT * 1000,
            "operation": driver.OPERATION_LIMIT * 1000,
            "reader": driver.READER_LIMIT * 1000,
        },
        "words": _words(),
        "refusals": refused,
        "pictures": {"DRIVER_PERMISSION_PROMPT": picture("prompt"), "DRIVER_PERMISSION_DENIED": picture("denied")},
    }
    return json_script(data, "driver-data", encoder=_Unescaped)
