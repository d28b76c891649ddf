"""How a driver package is installed and started on each system, with a drawing for each step; the visitor's own system first.

The steps are those of the packages' own readme files (``packaging/scripts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from calock.server.portal.packages import SYSTEMS

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise


@dataclass(frozen=True, slots=True)
class Step:
    """``drawing`` is a template."""

    drawing: str
    text: _StrPromise


@dataclass(frozen=True, slots=True)
class InstallGuide:
    """``start``: how an installed driver is started; ``python``: what to do where the installer finds no Python."""

    os: str
    steps: tuple[Step, ...]
    start: _StrPromise
    python: _StrPromise

    @property
    def system(self) -> str:
        return SYSTEMS[self.os]


_DONE = Step("drawings/done.html", _("看到“安装完成，驱动已启动”后回到网页，插入 CA 锁，页面会自己变成“检测完成”。"))
_FROM_WEB = _(
    "安装程序说没有找到 Python 的，请先从 python.org 安装 Python 3.11 或更新版本（Windows 勾选 py launcher），再运行一次。"
)
GUIDES = (
    InstallGuide(
        "windows",
        (
            Step("drawings/unpack.html", _("右键单击下载的压缩文件，选择“全部解压缩”。")),
            Step("drawings/run-windows.html", _("打开解压出的文件夹，双击 install.cmd，不需要管理员权限。")),
            _DONE,
        ),
        _("已经装过的，请从“开始”菜单打开“CA 驱动”。"),
        _FROM_WEB,
    ),
    InstallGuide(
        "macos",
        (
            Step("drawings/unpack.html", _("双击下载的压缩文件，解压出文件夹。")),
            Step("drawings/run-macos.html", _("按住 Control 点按 install.command，选择“打开”，不需要管理员权限。")),
            _DONE,
        ),
        _("已经装过的，请注销后重新登录电脑，驱动会自动启动。"),
        _FROM_WEB,
    ),
    InstallGuide(
        "linux",
        (
            Step("drawings/unpack.html", _("把下载的压缩文件完整解压。")),
            Step("drawings/run-linux.html", _("在解压出的文件夹里打开终端，运行 sh install.sh，不需要管理员权限。")),
            _DONE,
        ),
        _("已经装过的，请从应用程序菜单打开“CA 驱动”。"),
        _("安装程序说没有找到 Python 的，请先安装 python3（3.11 以上），再运行一次。"),
    ),
)


def guides_for(os: str) -> list[InstallGuide]:
    """All of them, that of ``os`` first."""
    return sorted(GUIDES, key=lambda guide: guide.os != os)
