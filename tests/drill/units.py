"""Run the units of ``ops/systemd`` by systemd itself: a small Debian boots in systemd-nspawn, with the program of the image in it.

Needs root. The container has a network of its own, so that nothing outside reaches it and no port is taken.

usage: python tests/drill/units.py dist/image/calock-….tar
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from image import DEADLINE, LANGUAGES, ask, login_word, unpack

SYSTEMD = Path(__file__).resolve().parents[2] / "ops" / "systemd"
PROGRAM = '#!/bin/sh\nPYTHONPATH=/opt/calock/lib exec python3 -m calock "$@"\n'
ENVIRONMENT = "CALOCK_INSECURE_HTTP=1\n"
"""In place of the shipped one: SQLite, and the practice hosts."""
APART = "[Service]\nExecStart=\nExecStart=/opt/calock/bin/calock serve --no-jobs\n"


def make_root(root: Path, program: Path) -> None:
    """What docs/operations.md installs on a machine, on Debian 12."""
    packages = "systemd,dbus,python3,ca-certificates,tzdata"
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", "bookworm", root], check=True)
    shutil.copytree(program, root / "opt/calock/lib", symlinks=True)
    (root / "opt/calock/bin").mkdir()
    (root / "opt/calock/bin/calock").write_text(PROGRAM)
    (root / "opt/calock/bin/calock").chmod(0o755)
    for name, folder in (("calock.sysusers", "sysusers.d"), ("calock.tmpfiles", "tmpfiles.d")):
        (root / "etc" / folder).mkdir(exist_ok=True)
        shutil.copy(SYSTEMD / name, root / "etc" / folder / "calock.conf")
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
    (root / "etc/calock").mkdir()
    (root / "etc/calock/calock.env").write_text(ENVIRONMENT)
    for name in ("calock.service", "calock-jobs.service"):
        shutil.copy(SYSTEMD / name, root / "etc/systemd/system")


class Booted:
    """``first``: the container's systemd."""

    def __init__(self, first: int) -> None:
        self.first = first

    def run(self, *command: str) -> str:
        inside = ["nsenter", "--target", str(self.first), "--mount", "--pid", "--uts", "--ipc", "--net"]
        done = subprocess.run([*inside, *command], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def show(self, name: str, unit: str = "calock.service") -> str:
        return self.run("systemctl", "show", "--property", name, "--value", unit)

    def wait(self, holds: Callable[[], object], what: str) -> None:
        until = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < until, f"{what}\n{self.run('journalctl', '--no-pager', '-n', '40', '-u', 'calock*')}"
            time.sleep(0.5)

    def ready(self) -> None:
        self.wait(lambda: ask(self.first, "/readyz"), "/readyz: no 200")


@contextmanager
def booted(root: Path, log: Path) -> Iterator[Booted]:
    command = ["systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--private-network", "--console=pipe", "--boot"]
    with log.open("wb") as file:
        nspawn = subprocess.Popen([*command, f"--directory={root}"], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    try:
        until = time.monotonic() + DEADLINE
        while not children.read_text().split():
            assert nspawn.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        machine = Booted(int(children.read_text().split()[0]))
        up = ("running", "degraded")
        machine.wait(lambda: machine.run("systemctl", "is-system-running") in up, "systemd has not come up")
        yield machine
    finally:
        for first in children.read_text().split():  # all others end with it; it does not end with nspawn
            os.kill(int(first), signal.SIGKILL)
        nspawn.wait()


def status_of(machine: Booted) -> dict[str, str]:
    text = machine.run("cat", f"/proc/{machine.show('MainPID')}/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def try_them(machine: Booted) -> None:
    machine.run("systemctl", "start", "calock.service")
    machine.ready()
    for language, words in LANGUAGES.items():
        text = ask(machine.first, "/login/", language)
        assert all(word.format(login=login_word()) in text for word in words), (language, text[:500])
    status = status_of(machine)
    assert "0" not in status["Uid"].split(), status["Uid"]
    assert (status["CapBnd"].strip("0"), status["NoNewPrivs"], status["Seccomp"]) == ("", "1", "2"), status
    print("  calock.service: ready, both languages, not root, no capability, system calls filtered")

    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "calock.service")
    machine.wait(lambda: machine.show("NRestarts") == "1", "it was not started again")
    machine.ready()
    print("  killed: started again by systemd")

    folder = "/etc/systemd/system/calock.service.d"
    machine.run("mkdir", folder)
    machine.run("sh", "-c", f"printf '{APART}' >{folder}/jobs.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "calock.service")
    machine.run("systemctl", "start", "calock-jobs.service")
    machine.ready()
    print("  calock-jobs.service beside `calock serve --no-jobs`: ready")

    machine.run("systemctl", "stop", "calock.service", "calock-jobs.service")
    for unit in ("calock.service", "calock-jobs.service"):
        assert (machine.show("Result", unit), machine.show("ActiveState", unit)) == ("success", "inactive"), unit
    print("  stopped: both ended by themselves")


def main() -> None:
    (image,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="calock-units-") as made:
        place = Path(made)
        files, _ = unpack(image, place)
        make_root(place / "root", files / "opt/calock")
        with booted(place / "root", place / "log") as machine:
            try_them(machine)
    print("units: systemd runs them")


if __name__ == "__main__":
    main()
