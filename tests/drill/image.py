"""Start the image of ``make image`` without an engine, as one would: not as root, on a root file system that nobody can write to.

umoci unpacks it. bubblewrap starts what the image says is to be started (entrypoint, command, environment, user, folder) in
namespaces of its own, with no capability, and with two places to write: the volume and ``/tmp``. Needs root, to become that user.

usage: python tests/drill/image.py dist/image/calock-….tar
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "packaging")]

from dist import LANGUAGES, login_word

DEADLINE = 180.0
PORT = 8000
"""In the image's own network, which nothing outside reaches."""
ASK = """
import sys, urllib.request as u
url, host, cookie = sys.argv[1:]
print(u.urlopen(u.Request(url, headers={"Host": host, "Cookie": cookie})).read().decode())
"""


def unpack(image: Path, place: Path) -> tuple[Path, dict[str, Any]]:
    """The image's files, and the process that an engine would start."""
    (place / "layout").mkdir()
    subprocess.run(["tar", "-xf", image, "-C", place / "layout"], check=True)
    version = image.stem.removeprefix("calock-")
    subprocess.run(["umoci", "unpack", "--image", f"{place}/layout:{version}", place / "bundle"], check=True, capture_output=True)
    for folder in (place, place / "bundle"):
        folder.chmod(0o755)
    return place / "bundle" / "rootfs", json.loads((place / "bundle" / "config.json").read_text())["process"]


@contextmanager
def started(files: Path, process: dict[str, Any], volume: Path, log: Path) -> Iterator[int]:
    """The id of the image's first process."""
    user = process["user"]
    assert 0 not in (user["uid"], user["gid"]), f"the image starts as root: {user}"
    volume.mkdir(mode=0o700)
    os.chown(volume, user["uid"], user["gid"])
    told, tell = os.pipe()
    environment = [word for pair in process["env"] for word in ("--setenv", *pair.split("=", 1))]
    command = [
        "setpriv", f"--reuid={user['uid']}", f"--regid={user['gid']}", "--clear-groups", "--no-new-privs",
        "bwrap", "--unshare-all", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL", "--info-fd", str(tell),
        "--ro-bind", str(files), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
        "--bind", str(volume), "/var/lib/calock", "--chdir", process["cwd"],
        "--clearenv", *environment, "--setenv", "CALOCK_INSECURE_HTTP", "1", "--", *process["args"],
    ]  # fmt: skip
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file, pass_fds=[tell])
    os.close(tell)
    with os.fdopen(told) as read:
        first = int(json.load(read)["child-pid"])
    try:
        yield first
    finally:
        os.kill(first, 15)
        ended = running.wait(60)
    assert ended == 0, f"it ended with {ended}\n{log.read_text()[-3000:]}"


def ask(first: int, path: str, language: str = "zh-hans") -> str:
    """What the server answers within its own network; empty as long as it does not answer well."""
    url, host = f"http://127.0.0.1:{PORT}{path}", f"shanxi.localhost:{PORT}"
    inside = ["nsenter", "--target", str(first), "--net", sys.executable, "-c", ASK]
    done = subprocess.run([*inside, url, host, f"language={language}"], capture_output=True, text=True, check=False)
    return done.stdout


def try_it(first: int, log: Path) -> None:
    until = time.monotonic() + DEADLINE
    while not ask(first, "/readyz"):
        assert time.monotonic() < until, f"/readyz: no 200\n{log.read_text()[-3000:]}"
        time.sleep(0.5)
    for language, words in LANGUAGES.items():
        text = ask(first, "/login/", language)
        assert all(word.format(login=login_word()) in text for word in words), (language, text[:500])
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{first}/status").read_text().splitlines() if ":\t" in line)
    assert set(status["Uid"].split()).isdisjoint({"0"}), status["Uid"]
    assert int(status["CapEff"], 16) == 0, status["CapEff"]


def main() -> None:
    (image,) = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="calock-image-") as made:
        place = Path(made)
        files, process = unpack(image, place)
        began = time.monotonic()
        with started(files, process, place / "volume", place / "log") as first:
            try_it(first, place / "log")
            took = time.monotonic() - began
    print(f"{image.name} starts as user {process['user']['uid']}, read-only, serves both languages; ready after {took:.0f} s")


if __name__ == "__main__":
    main()
