"""The running driver: found by where its program lies, asked to end, seen to be gone; and seen to answer after a start."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from check import InstallError
from places import Places, system

START_SECONDS = 30.0
STOP_SECONDS = 10.0


def _commands() -> list[tuple[int, str]]:
    """(process id, command line) of this user's processes."""
    if system() == "linux":
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if entry.stat().st_uid == os.getuid():
                        found.append(
                            (int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
                        )
        return found
    if system() == "windows":
        query = 'Get-CimInstance Win32_Process | ForEach-Object { "$($_.ProcessId) $($_.CommandLine)" }'
        listing = ["powershell", "-NoProfile", "-Command", query]
    else:
        listing = ["ps", "-x", "-o", "pid=,command="]
    lines = subprocess.run(listing, capture_output=True, text=True, check=False).stdout.splitlines()
    pairs = (line.strip().partition(" ") for line in lines)
    return [(int(number), command) for number, _, command in pairs if number.isdigit()]


def running(places: Places) -> list[int]:
    """Process ids of the driver and its workers: those started from the installed program."""
    mark = str(places.versions) + os.sep
    return [number for number, command in _commands() if mark in command and number != os.getpid()]


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def stop(places: Places) -> None:
    """End the driver.

    Raises:
        InstallError: it does not end.
    """
    for strength in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        for number in running(places):
            with contextlib.suppress(OSError):
                os.kill(number, strength)
        if _wait(lambda: not running(places), STOP_SECONDS):
            return
    raise InstallError("正在运行的驱动无法停止，请注销后重试。", "the running driver does not end")


def start_now(places: Places, version: str) -> None:
    """Start the driver for this session, away from this terminal."""
    command = [str(places.python(version)), "-I", "-m", "calock.agent"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if system() == "windows":
        flags = 0x00000008 | 0x08000000  # DETACHED_PROCESS, CREATE_NO_WINDOW
        subprocess.Popen(command, creationflags=flags, **quiet)  # type: ignore[call-overload]
    else:
        subprocess.Popen(command, start_new_session=True, cwd="/", **quiet)  # type: ignore[call-overload]


def _answers(port: int, origin: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    headers = {"Origin": origin, "Content-Type": "application/json", "X-Calock": "1"}
    try:
        connection.request("POST", "/v1/hello", "{}", headers)
        reply = connection.getresponse()
        return reply.status == http.client.OK and json.loads(reply.read()).get("driver") == "calock"
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _noted_port(places: Places) -> int:
    """Where the running driver says that it listens (``calock.agent.instance``); 0 when it says nothing yet."""
    try:
        return int(json.loads((places.state / "agent.json").read_bytes())["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def wait_until_listening(places: Places, origin: str) -> int:
    """Port on which the driver answers this platform's pages.

    Raises:
        InstallError: it does not answer in time.
    """

    def listening() -> bool:
        port = _noted_port(places)
        return port > 0 and _answers(port, origin)

    if not _wait(listening, START_SECONDS):
        raise InstallError("驱动已安装，但没有启动成功，请重新登录电脑后再试。", "installed, but the driver does not answer")
    return _noted_port(places)
