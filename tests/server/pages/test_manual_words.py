"""Every row S-01…S-41 and Z-01…Z-27 of the inventory, word for word, on the page of its site where it belongs."""

# ruff: noqa: E501 - a sentence of a manual stays whole

from __future__ import annotations

import json
import re

import pytest
from worlds.browser import page_client
from worlds.manual import World
from worlds.page import read

PURPOSE = (
    "平台支持用户下载已经集成的 CA 驱动进行登录，若认证通过则查询已经绑定的用户从而实现 CA 登录，"
    "可以保证信息传输的保密性、数据交换的完整性、发送信息的不可否认性和对交易者身份的确认。"
)
HOME, GUIDE, DOWNLOADS, CA, DRIVERS = "/", "/guide/", "/guide/downloads/", "/guide/downloads/ca/", "/downloads/"
LOGIN, APPS, CENTRE, SYSTEM, LIST = "/login/", "/apps/", "/user-center/", "/system/", "/system/ca/"
HELP_DRIVER, HELP_BINDING, HELP_LOGIN = "/help/driver/", "/help/binding/", "/help/login/"
VERSIONS, LEGAL, CERTIFICATE = "/help/versions/", "/legal/", "/help/certificate/"

SHANXI: list[tuple[str, str, tuple[str, ...]]] = [
    ("S-01", HOME, ("山西政府采购" + PURPOSE,)),
    ("S-02", HELP_DRIVER, ("用户在绑定 CA 账号之前，需先下载好 CA 驱动，下载完成后才可进行 CA 绑定。",)),
    ("S-03", HELP_DRIVER, ("下载 CA 驱动可通过两个路径进入下载页面", "下载路径一：山西省政府采购网", "下载路径二：山西政府采购平台")),
    ("S-04", HOME, ("山西省政府采购网",)),
    ("S-04", VERSIONS, ("http://site.sxzcfcg.zcygov.cn/home.html",)),
    ("S-05", HOME, ("办事指南",)),
    ("S-05", GUIDE, ("办事指南",)),
    ("S-06", GUIDE, ("下载专区",)),
    ("S-06", DOWNLOADS, ("下载专区",)),
    ("S-07", DOWNLOADS, ("CA 证书申领",)),
    ("S-07", CA, ("CA 证书申领",)),
    ("S-08", CA, ("山西 CA 驱动下载", "点击下载")),
    ("S-09", CA, ("CA 驱动的安装包会下载至指定文件夹，安装完成后可进行 CA 绑定。",)),
    ("S-10", CA, ("【提示】", "下载完成后找到“山西互认驱动”压缩文件，进行CA驱动安装。", "山西互认驱动 1.0.0")),
    ("S-11", LOGIN, ("账号登录", "账户", "密码")),
    ("S-11", VERSIONS, ("https://login.sxzcfcg.zcygov.cn/user-login/#/",)),
    ("S-11", HELP_BINDING, ("在登录页面输入账号密码后进入“应用中心”页面",)),
    ("S-12", APPS, ("应用中心", "系统管理")),
    ("S-13", HELP_BINDING, ("菜单路径：应用中心-设置-系统管理-CA管理-CA绑定与解绑",)),
    ("S-13", APPS, ("设置",)),
    ("S-13", SYSTEM, ("系统管理", "CA管理", "CA绑定与解绑")),
    ("S-14", LIST, ("CA绑定与解绑", "CA 管理", "CA 管理列表")),
    ("S-15", LIST, ("绑定CA",)),
    ("S-15", HELP_BINDING, ("右上角【绑定CA】按钮", "绑定 CA")),
    ("S-16", LIST, ("CA绑定",)),
    ("S-17", LIST, ("【下载驱动】",)),
    ("S-17", HELP_DRIVER, ("【下载驱动】", "“下载专区”", "“CA证书申领”", "“山西CA驱动下载”", "“点击下载”")),
    ("S-18", LIST, ("将 CA 锁插入电脑",)),
    ("S-19", LIST, ("姓名",)),
    ("S-20", LIST, ("CA 服务商", "山西 CA")),
    ("S-20", HELP_BINDING, ("CA 服务商 (山西 CA)",)),
    ("S-21", LIST, ("输入 PIN 码",)),
    ("S-22", LIST, ("确定",)),
    ("S-22", HELP_BINDING, ("CA 绑定完成",)),
    ("S-23", LIST, ("CA 管理支持一个用户绑定多个 CA, 但一把 CA 锁只能绑定一个用户",)),
    ("S-24", HELP_BINDING, ("用户通过账号登录后通过平台提供的 CA 管理进行 CA 绑定或者解绑",)),
    ("S-25", HELP_BINDING, ("CA 绑定成功后, 在 CA 管理列表中展示该绑定信息。",)),
    ("S-26", LIST, ("绑定账户", "姓名: 测试供应商管理员", "账户: cssbjgys02")),
    ("S-27", LIST, ("CA证书信息", "CA服务提供商: 山西CA互认平台", "CA服务商: 浙江天谷CA", "CA锁ID: 7...", "到期时间: 2020-07-16 23:59:59")),
    ("S-28", LIST, ("绑定人", "测试供应商管理员")),
    ("S-29", LIST, ("绑定时间", "2020-11-30 10:55:35")),
    ("S-30", LIST, ("操作", "解除绑定")),
    ("S-31", LIST, ("到期时间: 2021-04-23 10:22:34", "2020-11-16 19:38:45")),
    ("S-32", LIST, ("解除绑定：如需解除已绑定的 CA 账户，点击对应 CA 账户右侧的“解除绑定”进行解绑。",)),
    ("S-33", HELP_LOGIN, ("绑定 CA 账号后，用户也可直接使用 CA 锁登录山西政府采购平台。",)),
    ("S-34", LOGIN, ("CA 登录",)),
    ("S-34", HELP_LOGIN, ("切换到“CA 登录”窗口",)),
    ("S-35", LOGIN, ("驱动", "山西 CA")),
    ("S-35", HELP_LOGIN, ("选择驱动“山西 CA”",)),
    ("S-36", LOGIN, ("PIN 码",)),
    ("S-36", HELP_LOGIN, ("输入 PIN 码",)),
    ("S-37", LOGIN, ("检测 CA 并登录",)),
    ("S-38", HELP_LOGIN, ("驱动将自动检测证书，检测成功，页面自动跳转至“应用中心”页面。",)),
    ("S-39", LOGIN, ("可能失败原因",)),
    ("S-39", HELP_LOGIN, ("如检测失败，将鼠标停留在“可能失败原因”，根据下弹框里提示的事项进行处理。",)),
    ("S-40", VERSIONS, ("版本说明", "资料名称", "包含内容", "版本", "更新时间", "山西政府采购平台 -CA 管理操作指南")),
    ("S-40", VERSIONS, ("1) 驱动下载 2) CA 绑定 3) CA 登录", "V1.1", "20201130")),
    ("S-41", HOME, ("如果您有什么疑问或需要请随时联系山西政府采购平台。", "版权所有©山西政府采购平台", "责任声明")),
    ("S-41", LEGAL, ("责任声明", "不提供任何明示或暗示的保证", "不可抗力、网络攻击、计算机病毒侵入", "个人资料泄露、丢失、被盗用")),
]  # fmt: skip

ZCY: list[tuple[str, str, tuple[str, ...]]] = [
    ("Z-01", HOME, ("政采云" + PURPOSE,)),
    ("Z-02", CERTIFICATE, ("使用 CA 登录时必须使用 CA 证书。如没有 CA 证书请先进行证书申领。申领相关的操作参考《CA 申领操作指南》。",)),
    ("Z-03", HELP_BINDING, ("CA 管理主要在“系统管理-CA 用户管理”菜单下进行操作。",)),
    ("Z-04", VERSIONS, ("https://www.zcygov.cn",)),
    ("Z-04", HOME, ("用户登录",)),
    ("Z-04", HELP_LOGIN, ("点击右侧【用户登录】按钮，进入登录页面",)),
    ("Z-05", HELP_BINDING, ("输入账号密码后进入平台进行 CA 绑定。",)),
    ("Z-06", HELP_BINDING, ("CA 管理支持一个用户绑定多个 CA，但一把 CA 锁只能绑定一个用户，用户通过账号登录后通过平台提供的 CA 管理进行 CA 绑定或者解绑。",)),
    ("Z-07", HELP_BINDING, ("路径：系统管理-组织管理-CA 用户管理。",)),
    ("Z-07", LIST, ("系统管理", "组织管理", "CA 用户管理")),
    ("Z-08", HELP_BINDING, ("点击页面右上方 CA 管理图标 “”，进入 CA 管理页面",)),
    ("Z-08", CENTRE, ("CA 管理",)),
    ("Z-09", LIST, ("添加绑定",)),
    ("Z-09", HELP_BINDING, ("右侧【添加绑定】按钮",)),
    ("Z-10", HELP_BINDING, ("在弹框里选择证书的名称",)),
    ("Z-10", LIST, ("证书名称",)),
    ("Z-11", LIST, ("【CA 驱动下载】",)),
    ("Z-12", LIST, ("确定",)),
    ("Z-12", HELP_BINDING, ("【确定】",)),
    ("Z-13", DRIVERS, ("在页面中找到匹配的驱动，进行下载，下载完毕后将文件解压安装",)),
    ("Z-14", DRIVERS, ("安装完成后插入 CA 证书，系统自动完成检测",)),
    ("Z-15", HELP_BINDING, ("重新点击【添加绑定】按钮，在弹出的页面中将显示证书名称，点击【确定】",)),
    ("Z-16", HELP_BINDING, ("CA 证书绑定成功后，证书出现在 CA 管理列表中",)),
    ("Z-17", LIST, ("序号", "状态", "证书信息", "CA锁ID", "到期时间", "创建人", "创建时间", "操作")),
    ("Z-18", LIST, ("测试_政采云测试", "3301000045102205", "俞海琴", "2019-08-16 16:25:31", "解除绑定")),
    ("Z-19", LIST, ("(注: 如需要解除绑定的 CA, 可点击右侧操作栏【解除绑定】按钮, 进行解绑。)",)),
    ("Z-20", HELP_LOGIN, ("绑定账号后，用户可以直接使用 CA 证书登录。",)),
    ("Z-21", HELP_LOGIN, ("打开 CA 证书驱动，插入 CA 证书，驱动将自动检测证书，显示检测完成",)),
    ("Z-22", LOGIN, ("CA 登录",)),
    ("Z-22", HELP_LOGIN, ("选择【CA 登录】",)),
    ("Z-23", HELP_LOGIN, ("插入 CA 证书后，系统将检测并显示 CA 驱动。选中相应的驱动后，点击【登录】并输入密码，登录成功系统进入用户中心页面",)),
    ("Z-23", LOGIN, ("登录", "密码", "CA 驱动")),
    ("Z-23", CENTRE, ("用户中心",)),
    ("Z-24", HELP_LOGIN, ("CA 客户端驱动未安装, 请下载",)),
    ("Z-24", LOGIN, ("CA 客户端驱动未安装, 请下载",)),
    ("Z-25", HELP_LOGIN, ("需先点击【CA 驱动下载】, 在驱动下载页面选择相应的驱动, 进行下载, 下载完成后安装驱动。",)),
    ("Z-26", VERSIONS, ("版本说明", "政采云平台-CA 登录操作指南", "1) 使用说明 2) 绑定 CA 账号 3) CA 登录", "V1.0", "20180717")),
    ("Z-26", VERSIONS, ("政采云平台-CA 管理操作指南", "1) 绑定 CA 流程优化 2) CA 登录流程优化", "V1.1", "20190820")),
    ("Z-27", HOME, ("如果您有什么疑问或需要请随时联系政采云。", "版权所有©政采云", "免责声明")),
    ("Z-27", VERSIONS, ("本手册适用于政采云平台 CA 用户。",)),
    ("Z-27", LEGAL, ("免责声明", "不提供任何明示或暗示的保证", "个人资料泄露、丢失、被盗用")),
]  # fmt: skip

BEHIND_LOGIN = (APPS, CENTRE, SYSTEM, LIST)


def test_every_row_of_the_inventory_is_looked_for():
    assert {row for row, _, _ in SHANXI} == {f"S-{number:02d}" for number in range(1, 42)}
    assert {row for row, _, _ in ZCY} == {f"Z-{number:02d}" for number in range(1, 28)}


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_manual_words_stand_on_their_pages(world: World, site: str):
    clients = {False: page_client(site), True: page_client(site, world.admin if site == "shanxi" else world.zcy_admin)}
    texts: dict[str, str] = {}
    missing = []
    for row, path, words in SHANXI if site == "shanxi" else ZCY:
        if path not in texts:
            texts[path] = read(clients[path in BEHIND_LOGIN], path).text
        missing += [f"{row} {path}: {word}" for word in words if word not in texts[path]]
    assert not missing


def test_the_newest_binding_stands_first(world: World):
    text = read(page_client("shanxi", world.admin), LIST).text
    assert text.index("2020-11-30 10:55:35") < text.index("2020-11-16 19:38:45")


def test_columns_stand_in_the_manuals_order(world: World):
    page = read(page_client("zcy", world.zcy_admin), LIST)
    assert page.text.index("序号") < page.text.index("创建人") < page.text.index("创建时间")
    labels = [cell["data-label"] for cell in page.all("td")][:8]
    assert labels == ["序号", "状态", "证书信息", "CA锁ID", "到期时间", "创建人", "创建时间", "操作"]


def test_what_the_driver_script_says_is_the_manuals_word(world: World):
    said = re.search(r'id="driver-data" type="application/json">(.*?)</script>', read(page_client("zcy"), LOGIN).html)
    assert said
    assert "检测完成" in json.loads(said[1])["words"]["ready_one"]
    done = [dialog["data-done"] for dialog in read(page_client("shanxi", world.admin), LIST).all("dialog") if "data-done" in dialog]
    assert done == ["CA 绑定完成"]
