"""Start at login, and the entry in the desktop's menu. One small file each, below the user's home; uninstalling removes them."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
from pathlib import Path

from places import Places, system
from processes import start_now

UNIT = "calock-driver.service"
LABEL = "cn.calock.driver"
NAME = "CA 驱动"


def _quiet(*command: str) -> bool:
    """Run a command of the system; False when it is missing or fails."""
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _home(variable: str, *default: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value and Path(value).is_absolute() else Path.home().joinpath(*default)


def _command(places: Places, version: str) -> list[str]:
    return [str(places.python(version)), "-I", "-m", "calock.agent"]


def _quoted(words: list[str]) -> str:
    """For a unit file and a desktop entry: both read double quotes, and both want % doubled."""
    return " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"' for word in words)


# --- Linux: a systemd user unit where there is a user manager, else XDG autostart


def _unit_file() -> Path:
    return _home("XDG_CONFIG_HOME", ".config") / "systemd" / "user" / UNIT


def _autostart_file() -> Path:
    return _home("XDG_CONFIG_HOME", ".config") / "autostart" / "calock-driver.desktop"


def _menu_file() -> Path:
    return _home("XDG_DATA_HOME", ".local", "share") / "applications" / "calock-driver.desktop"


UNIT_TEXT = """\
[Unit]
Description=CA driver (calock)

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=2
NoNewPrivileges=true
UMask=0077

[Install]
WantedBy=default.target
"""
DESKTOP_TEXT = """\
[Desktop Entry]
Type=Application
Name=CA driver
Name[zh_CN]={name}
Comment=Show the CA locks that are plugged in
Comment[zh_CN]=查看已插入的 CA 锁和驱动状态
Exec={command}
Terminal=false
Categories=Utility;Security;
{more}"""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _linux(places: Places, version: str) -> str:
    command = _command(places, version)
    _write(_menu_file(), DESKTOP_TEXT.format(name=NAME, command=_quoted([*command, "--open"]), more=""))
    if _quiet("systemctl", "--user", "show-environment"):
        _write(_unit_file(), UNIT_TEXT.format(command=_quoted(command)))
        if _quiet("systemctl", "--user", "daemon-reload") and _quiet("systemctl", "--user", "enable", "--now", UNIT):
            return "systemd 用户服务 systemd user unit"
        _unit_file().unlink(missing_ok=True)
    text = DESKTOP_TEXT.format(name=NAME, command=_quoted(command), more="NoDisplay=true\nX-GNOME-Autostart-enabled=true\n")
    _write(_autostart_file(), text)
    start_now(places, version)
    return "登录时自动启动 XDG autostart"


# --- macOS: a launch agent


def _agent_file() -> Path:
    return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"


def _macos(places: Places, version: str) -> str:
    agent = {
        "Label": LABEL,
        "ProgramArguments": _command(places, version),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Background",
    }
    _agent_file().parent.mkdir(parents=True, exist_ok=True)
    _agent_file().write_bytes(plistlib.dumps(agent))
    if not _quiet("launchctl", "bootstrap", f"gui/{os.getuid()}", str(_agent_file())):
        start_now(places, version)
    return "launchd"


# --- Windows: the user's Run key and a Start-menu entry


RUN_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Run"


def _start_menu_file() -> Path:
    return _home("APPDATA", "AppData", "Roaming") / "Microsoft" / "Windows" / "Start Menu" / "Programs" / f"{NAME}.cmd"


def _windows(places: Places, version: str) -> str:
    windowless = str(places.python(version).with_name("pythonw.exe"))
    _quiet("reg", "add", RUN_KEY, "/v", "calock-driver", "/t", "REG_SZ", "/d", f'"{windowless}" -I -m calock.agent', "/f")
    # written in the system's own code page: cmd.exe reads it so
    _start_menu_file().parent.mkdir(parents=True, exist_ok=True)
    _start_menu_file().write_text(f'@start "" "{windowless}" -I -m calock.agent --open\r\n', encoding="mbcs", newline="")
    start_now(places, version)
    return "Windows Run"


def enable(places: Places, version: str) -> str:
    """Start the driver now and at every login; the result says by what."""
    return {"linux": _linux, "macos": _macos, "windows": _windows}[system()](places, version)


def disable() -> None:
    """Never start at login again; the menu entry goes, too. A service that runs is stopped."""
    if system() == "linux":
        if _unit_file().exists():
            _quiet("systemctl", "--user", "disable", "--now", UNIT)
        for path in (_unit_file(), _autostart_file(), _menu_file()):
            path.unlink(missing_ok=True)
        _quiet("systemctl", "--user", "daemon-reload")
    elif system() == "macos":
        _quiet("launchctl", "bootout", f"gui/{os.getuid()}/{LABEL}")
        _agent_file().unlink(missing_ok=True)
    else:
        _quiet("reg", "delete", RUN_KEY, "/v", "calock-driver", "/f")
        _start_menu_file().unlink(missing_ok=True)
