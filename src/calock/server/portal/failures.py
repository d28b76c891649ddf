"""可能失败原因: the catalogue F01-F34, in the order in which a computer is examined.

The sentence of the moment comes from ``refusal_texts``; this is the same list to read at leisure: what it is and what helps.
"""

# ruff: noqa: E501 - one cause of the catalogue is one line, its sentences whole, as they are translated

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Failure:
    """``page`` is the portal page of the one next action; empty where the action is done with the hands."""

    code: str
    cause: _StrPromise
    remedy: _StrPromise
    action: _StrPromise | None = None
    page: str = ""

    def says(self, words: str) -> bool:
        """Whether every word of ``words`` stands in it; a sentence of a page need not be typed whole."""
        text = f"{self.code} {self.cause} {self.remedy}".casefold()
        return all(word in text for word in words.casefold().split())


COMMON = ("F03", "F04", "F10", "F05", "F13", "F14", "F17", "F22", "F28")
"""What keeps most people from logging in: the short list beside the CA login."""
CHECK = _("环境检测")
CONTACT = _("联系我们")
LOGIN = _("用账号密码登录")

CATALOGUE: tuple[Failure, ...] = (
    Failure("F01", _("当前浏览器不支持 CA 登录，请使用 Chrome、Edge 或 360 极速模式"), _("复制本页地址，在上述浏览器的新版本里打开；360 浏览器请切到极速模式。"), CHECK, "check"),
    Failure("F02", _("当前页面不是安全连接，浏览器会拦截 CA 驱动"), _("把地址栏开头改为 https:// 后重新打开。"), CHECK, "check"),
    Failure("F03", _("浏览器尚未允许本站访问本机的 CA 驱动"), _("浏览器询问“访问此设备上的其他应用”时点“允许”；点过“禁止”的，点地址栏左侧的图标，把“此设备上的应用”改为允许，再刷新。单位统一管理的电脑，请管理员用策略 LoopbackNetworkAllowedForUrls 放行本站。"), CHECK, "check"),
    Failure("F04", _("CA 客户端驱动未安装, 请下载"), _("下载驱动安装包，解压后运行安装程序；装好后页面会自动检测到。已经装过的，请启动它：Windows 从“开始”菜单、Linux 从应用程序菜单打开“CA 驱动”，macOS 注销后重新登录。"), _("下载驱动"), "driver"),
    Failure("F05", _("检测到的是其他 CA 的驱动，请选择对应的驱动"), _("在“驱动”里改选与您的 CA 锁一致的一项，或下载本平台的驱动。"), _("下载驱动"), "driver"),
    Failure("F06", _("驱动版本过低"), _("下载新版本直接安装，会替换旧版本，不影响 CA 锁。"), _("下载驱动"), "driver"),
    Failure("F07", _("本机驱动证书未被信任，请重新安装驱动"), _("建议改用 Chrome 或 Edge。继续使用 Safari 的，请从程序菜单打开“CA 驱动”，按“查看证书和信任方法”操作；没有这一项的，是驱动的 https 连接没有打开，请联系单位的电脑管理员。"), _("下载驱动"), "driver"),
    Failure("F08", _("检测到多个 CA 驱动可能冲突"), _("退出其他平台或其他省份的 CA 助手，只保留本平台的驱动，只插一把 CA 锁再试。页面提示有多个程序自称是 CA 驱动、或驱动与上次不同时，请勿输入 PIN 码；没有重新安装过驱动的，请单位的电脑管理员检查。"), CHECK, "check"),
    Failure("F09", _("驱动可能被安全软件拦截"), _("在安全软件里把驱动加入信任，再重新启动驱动。"), CHECK, "check"),
    Failure("F10", _("未检测到 CA 锁，请将 CA 锁插入电脑"), _("换一个 USB 接口，不要经过扩展坞；插好后页面会自动更新。"), CHECK, "check"),
    Failure("F11", _("CA 锁中没有证书"), _("这把锁里还没有签名证书，或证书与密钥不配套、无法读取，请联系发锁的 CA 机构。"), CONTACT, "contact"),
    Failure("F12", _("检测到多把 CA 锁，请选择要使用的一把"), _("在列出的 CA 锁里选定一把；标有“(已过期)”的不能登录。")),
    Failure("F13", _("PIN 码错误"), _("页面会写明还可尝试几次。PIN 码区分大小写，开头的 0 也要输入，前后不要有空格，数字不要用全角；连续输错两次，或只剩最后两次机会时，改在驱动窗口中输入；忘记了请先停下，联系 CA 机构。")),
    Failure("F14", _("CA 锁已被锁定，请联系 CA 机构解锁"), _("连续输错 PIN 码后锁会自锁，只有发锁的 CA 机构能解锁，平台无法代办。各家电话见联系页。"), CONTACT, "contact"),
    Failure("F15", _("已取消输入 PIN 码"), _("重新点一次登录或确定，再输入 PIN 码。")),
    Failure("F16", _("操作过程中 CA 锁被拔出"), _("重新插入 CA 锁，等页面显示检测完成后再操作。")),
    Failure("F17", _("证书已过期"), _("联系 CA 机构续期。同一把锁续期后无需重新绑定。"), _("如何续期"), "help_certificate"),
    Failure("F18", _("电脑时间与服务器相差过大，或证书尚未生效"), _("校准电脑的日期和时间；证书尚未生效的，到生效日再使用。"), CHECK, "check"),
    Failure("F19", _("证书已被吊销或冻结，不能使用"), _("联系 CA 机构补办；新锁到手后解除原绑定，再绑定新锁。"), _("如何补办"), "help_certificate"),
    Failure("F20", _("该证书不在本平台互认范围"), _("只有互认列表里的 CA 可以使用，请对照列表换一把锁。"), _("查看互认 CA 列表"), "help_certificate"),
    Failure("F21", _("请选择签名证书"), _("一把锁里常有签名和加密两张证书，登录用签名证书；驱动会自动选择，手工选择时别选加密证书。")),
    Failure("F22", _("该 CA 锁尚未绑定账户，请先用账号密码登录后绑定"), _("用账号密码登录，在 CA 管理里绑定这把锁，之后就能直接用锁登录。"), LOGIN, "login"),
    Failure("F23", _("该 CA 锁已绑定其他用户，一把 CA 锁只能绑定一个用户"), _("请原绑定人或本单位管理员先解除绑定。"), CONTACT, "contact"),
    Failure("F24", _("证书单位与当前账户单位不一致"), _("核对锁上的单位名称，换用本单位的锁；单位更名的，先在 CA 机构变更证书。"), CONTACT, "contact"),
    Failure("F25", _("账户已停用或锁定"), _("请本单位管理员恢复账户；密码输错被锁定的，15 分钟后自动恢复。"), CONTACT, "contact"),
    Failure("F26", _("登录请求已超时，请重试"), _("一次登录请求 2 分钟内有效，重新点一次登录即可。"), LOGIN, "login"),
    Failure("F27", _("签名验证未通过"), _("拔下 CA 锁再插入重试；仍不行，把编号和环境检测报告告诉客服。"), CHECK, "check"),
    Failure("F28", _("暂时无法核验证书状态"), _("CA 机构的吊销信息暂时取不到，为安全起见不予登录。稍后再试，急用时先用账号密码登录。"), LOGIN, "login"),
    Failure("F29", _("网络异常"), _("检查网络连接后重试。"), CHECK, "check"),
    Failure("F30", _("驱动或系统需要重启"), _("退出驱动后重新启动；仍不行，重新安装驱动并重启电脑。"), _("下载驱动"), "driver"),
    Failure("F31", _("CA 驱动已启动，但没有响应"), _("退出“CA 驱动”后从程序菜单重新打开；退不掉的，重启电脑。安全软件正在扫描驱动时也会这样，稍候再试。"), CHECK, "check"),
    Failure("F32", _("驱动端口被其他程序占用"), _("多人同时登录同一台电脑时，每人的驱动各用一个端口，最多 16 人；请不用的人注销。电脑只有您一人使用的，请检查占用端口的程序。"), CHECK, "check"),
    Failure("F33", _("CA 锁厂商的组件缺失、不匹配、退出或没有响应"), _("重新插拔 CA 锁；仍不行，重新安装该厂商适合本电脑系统的驱动。其他厂商的 CA 锁不受影响。"), CHECK, "check"),
    Failure("F34", _("CA 锁的证书要输入 PIN 码后才显示，或证书太多没有列全"), _("在驱动窗口中输入 PIN 码，证书显示后再输入一次完成操作；仍没有的，是空锁。证书太多的，请 CA 机构清理旧证书。"), CONTACT, "contact"),
)  # fmt: skip

SHORT = tuple(failure for failure in CATALOGUE if failure.code in COMMON)
GROUPS = (
    ("F01", _("浏览器")),
    ("F04", _("CA 驱动")),
    ("F10", _("CA 锁")),
    ("F13", _("PIN 码")),
    ("F17", _("证书")),
    ("F22", _("绑定与账户")),
    ("F26", _("登录请求与网络")),
    ("F30", _("重启、端口与厂商组件")),
)
"""Where each kind of cause begins in the catalogue."""
