"""What the demonstration prints: addresses, accounts, locks, and what to click. Chinese first, English beside it."""

from __future__ import annotations

from calock.demo.keyring import LOCKS, is_plugged
from calock.demo.people import ACCOUNTS, PASSWORD
from calock.demo.place import Place


def _pad(text: str, width: int) -> str:
    """Pad to ``width`` terminal columns; a Chinese character takes two."""
    return text + " " * max(1, width - sum(2 if ord(character) > 0x2E7F else 1 for character in text))


def _accounts() -> list[str]:
    return [f"    {_pad(sample.username, 14)}{_pad(sample.name, 20)}{sample.says}" for sample in ACCOUNTS]


def lock_lines(place: Place) -> list[str]:
    """One line per practice lock: plugged in or not, name, PIN, CA锁ID, what it is good for."""
    lines = []
    for spec in LOCKS:
        where = "●" if is_plugged(place.locks, spec) else "○"
        lines.append(f"  {where} {_pad(spec.name, 12)}PIN {_pad(spec.pin, 9)}{spec.serial}  {spec.says}")
    return lines


def story(place: Place, *, port: int, driver_port: int, command: str, applications: list[str], mailbox: str) -> str:
    """The whole text. ``command``: how this user calls calock, for the commands that the text names."""
    shanxi, zcy = f"http://shanxi.localhost:{port}/", f"http://zcy.localhost:{port}/"
    return "\n".join(
        [
            "",
            "calock 演示已启动，按 Ctrl-C 停止。  The demonstration is running; Ctrl-C stops all of it.",
            "",
            f"  山西政府采购平台   {shanxi}     （也可用 also http://127.0.0.1:{port}/）",
            f"  政采云平台         {zcy}",
            f"  示例应用 sample applications: {'  '.join(applications)}   （登录后从应用中心进入 opened from 应用中心）",
            f"  练习信箱 mailbox   {mailbox}   （演示发出的邮件和短信都在这里 mails and text messages arrive here）",
            f"  CA 驱动  driver    127.0.0.1:{driver_port}，练习用 CA 锁已插入 practice locks plugged in",
            "",
            f"账户 Accounts（密码都是 the password of all is  {PASSWORD} ）",
            *_accounts(),
            "",
            "练习锁 Practice locks（● 已插入 plugged in  ○ 在抽屉里 in the drawer）",
            *lock_lines(place),
            "",
            "可以这样试 What to click",
            f"  1. 打开 Open {shanxi}  → 办事指南 → 下载专区 → CA 证书申领 → 山西 CA 驱动下载 → 点击下载",
            "  2. 登录 Log in as cssbjgys02 → 应用中心 → 系统管理 → CA绑定与解绑 → 【绑定CA】",
            "     选择锁 choose the lock 7301401000450001，PIN 135790 → 确定",
            "  3. 退出，登录页切换到 “CA 登录” Log out, open the tab CA 登录 → 山西 CA → PIN 135790 → 检测 CA 并登录",
            "  4. 再试有问题的锁：过期、吊销、互认范围外、PIN 锁定、已绑定他人，看看各自的提示",
            "     Try the bad locks: expired, revoked, outside 互认, PIN locked, bound to somebody else; each says what to do next",
            f"  5. 打开 Open {zcy}  → 【用户登录】 yuhaiqin → 右上角 CA 图标 the CA icon → 【添加绑定】 测试_政采云测试",
            "  6. 拔锁、插锁，页面自己变化 Pull a lock out, plug it in; the open page follows:",
            f"     {command} {place.words} unplug sm2    {command} {place.words} plug sm2",
            "  7. 运营控制台 Operators' console: 登录页 “CA 登录” log in with the lock 运营甲（尾号 0021），PIN 135790；",
            "     双人复核 for what takes two: 运营乙（尾号 0022），PIN 135790",
            "  8. 用户菜单 → 联系方式：添加邮箱，验证码在练习信箱里；退出后试“忘记密码”",
            "     Add a contact, read its code in the mailbox; log out and try the forgotten password",
            "",
            f"数据保存在 Data is kept in {place.root}；重来 start over: {command} {place.words} --reset",
            "",
        ]
    )
