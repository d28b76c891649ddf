"""Install or uninstall the CA driver for the current user. Standard library only; no network, no administrator.

``python installer`` installs the package it lies in; ``python installer --uninstall [CODE]`` removes one package, or all of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import atlogin  # noqa: E402 - no byte code beside the package's files
from check import InstallError, read_manifest, require_this_computer  # noqa: E402
from places import places, system  # noqa: E402
from processes import stop, wait_until_listening  # noqa: E402
from program import add_package, install_program, installed_version, packages, remove_all, remove_package  # noqa: E402


def _say(chinese: str, english: str) -> None:
    print(f"{chinese}  {english}", flush=True)


def _install(folder: Path) -> None:
    manifest = read_manifest(folder)
    require_this_computer(manifest)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        _say("提示：驱动只为当前用户安装，不需要管理员权限。", "Note: you are root; the driver is installed for root only.")
    where = places()
    _say(f"正在安装 {manifest['title']} {manifest['version']} …", f"Installing to {where.data}")
    atlogin.disable()
    stop(where)
    try:
        version = install_program(where, folder, manifest["version"])
        add_package(where, folder, manifest)
    finally:
        usable = installed_version(where)
        how = atlogin.enable(where, usable) if usable else ""  # a failed update leaves the old version running
    if version != manifest["version"]:
        _say(f"已安装更新的版本 {version}，保留该版本。", f"Version {version} is newer and stays.")
    port = wait_until_listening(where, manifest["origins"][0])
    _say(f"安装完成，驱动已启动（{how}）。", f"Installed and running on 127.0.0.1:{port}.")
    _say("请回到网页，插入 CA 锁，页面会自动检测。", "Go back to the page and plug your CA lock in.")


def _uninstall(code: str) -> None:
    where = places()
    if code and code not in packages(where):
        raise InstallError("没有安装这个驱动。", f"not installed: {code}")
    if code:
        remove_package(where, code)
    if code and packages(where):
        stop(where)
        atlogin.enable(where, installed_version(where))
        _say("已卸载，其他平台的驱动保留。", "Removed; the other platforms' drivers stay.")
        return
    atlogin.disable()
    stop(where)
    for left in packages(where):
        remove_package(where, left)
    remove_all(where)
    _say("CA 驱动已卸载。", "The CA driver is uninstalled.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="installer", description="Install or uninstall the CA driver for the current user.")
    parser.add_argument("--discard", action="store_true", help="afterwards remove the folder that an update was unpacked into")
    parser.add_argument("--uninstall", nargs="?", const="", metavar="CODE", help="remove this package, or everything")
    arguments = parser.parse_args()
    try:
        if arguments.uninstall is None:
            _install(Path(__file__).resolve().parent.parent)
        else:
            _uninstall(arguments.uninstall)
    except InstallError as error:
        print(f"未完成：{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"未完成：无法写入文件。Not done: {error}", file=sys.stderr)
        return 1
    finally:
        _discard(Path(__file__).resolve().parent.parent.parent, wanted=arguments.discard)
    return 0


def _discard(folder: Path, *, wanted: bool) -> None:
    """Remove what ``calock.agent.update`` unpacked: it was stopped with the driver and cannot do it itself."""
    if wanted and folder.name.startswith("calock-update-"):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    code = main()
    if system() == "windows" and sys.stdin.isatty():
        input("按回车键关闭。Press Enter to close.")
    sys.exit(code)
