"""``make dist``: what a release consists of, built from a clean checkout, installed, tried, described, summed and signed.

Run by the Python of the environment that ``requirements/release.txt`` makes. ``CALOCK_RELEASE_KEY_FILE`` names the releaser's key
(Ed25519, PEM); without it the release is unsigned, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START = 120.0
LANGUAGES = {"zh-hans": ('<html lang="zh-CN"', ">登录<"), "en": ('<html lang="en"', ">{login}<")}
"""What the login page in each language has; ``login``: :func:`login_word`."""
CATALOGUE = ROOT / "src/calock/server/locale/en/LC_MESSAGES/django.po"


def run(*command: str | Path, **environment: str) -> str:
    """Run a command to its end; what it printed. It is shown when it fails, which ends us."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        sys.exit(f"dist: {' '.join(words[:4])} … ended with {done.returncode}")
    return done.stdout


def build(out: Path) -> Path:
    """The sdist, and the wheel made from it: what is not in the sdist is not in the wheel. The wheel's path."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or run("git", "-C", ROOT, "log", "-1", "--format=%ct").strip()
    run(sys.executable, "-m", "build", "--outdir", out, ROOT, SOURCE_DATE_EPOCH=epoch)
    (wheel,) = out.glob("calock-*.whl")
    return wheel


def install(wheel: Path, place: Path, python: str) -> Path:
    """A clean environment with the locked libraries and the wheel in it; its folder of programs."""
    run(python, "-m", "venv", place)
    programs = place / "bin"
    pip = (programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run(*pip, "--no-deps", wheel)
    run(programs / "python", "-m", "pip", "check")
    return programs


@contextmanager
def serving(programs: Path, data: Path) -> Iterator[int]:
    """``calock serve`` on an empty directory; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALOCK_", "DATABASE_", "PYTHON"))}
    process = subprocess.Popen(
        [programs / "calock", "serve", "--port", str(port), "--workers", "1"],
        env={**kept, "CALOCK_DATA": str(data), "CALOCK_INSECURE_HTTP": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + START
        while True:
            try:
                page(port, "zh-hans", "/healthz")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit("dist: the installed server does not start")
                time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def page(port: int, language: str, path: str = "/login/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": f"shanxi.localhost:{port}", "Cookie": f"language={language}"})
    return connection.getresponse().read().decode()


def login_word() -> str:
    """登录 in English."""
    (word,) = re.findall(r'^msgid "登录"\nmsgstr "(.+)"$', CATALOGUE.read_text("utf-8"), re.MULTILINE)
    return str(word)


def try_it(programs: Path, scratch: Path) -> None:
    """The installed server speaks both languages; the commands that need no server work."""
    with serving(programs, scratch / "data") as port:
        for language, words in LANGUAGES.items():
            text = page(port, language)
            if not all(word.format(login=login_word()) in text for word in words):
                sys.exit(f"dist: the login page in {language} lacks one of {words}")
    run(programs / "calock", "packages", "build", "--help")


def try_base(wheel: Path, scratch: Path, python: str) -> None:
    """``pip install calock`` without extras explains certificates."""
    run(python, "-m", "venv", scratch / "base")
    programs = scratch / "base" / "bin"
    run(programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    run(programs / "python", "-c", "import calock.core.decision, calock.core.selftest as own; own.require()")
    run(programs / "calock", "certificate", "explain", "--help")


def describe(out: Path, programs: Path, version: str) -> None:
    """The bill of materials (CycloneDX 1.6) of what a server has installed, and the locked requirements."""
    shutil.copy(ROOT / "requirements" / "run.txt", out / f"calock-{version}-requirements.txt")
    bom = out / f"calock-{version}.cdx.json"
    tool = Path(sys.executable).with_name("cyclonedx-py")
    run(tool, "environment", "--output-reproducible", "--pyproject", ROOT / "pyproject.toml", "-o", bom, programs / "python")
    if str(programs.parent) in bom.read_text("utf-8"):
        sys.exit("dist: the bill of materials names a folder of this machine")


def sign(out: Path) -> str:
    """Sums of every file, and their signature when there is a key; what to tell the releaser."""
    sums = out / "SHA256SUMS"
    files = sorted(path for path in out.iterdir() if path.is_file())
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files), "utf-8")
    key = os.environ.get("CALOCK_RELEASE_KEY_FILE", "")
    if not key:
        return "unsigned: CALOCK_RELEASE_KEY_FILE names no key"
    signature, public = out / "SHA256SUMS.sig", out / "release-key.pem"
    run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", sums, "-out", signature)
    run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
    run("openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-in", sums, "-sigfile", signature)
    return f"signed with {key}; its public half is {public.name}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "release", help="a folder that is made anew (%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="the Python that it is installed on and tried with")
    parser.add_argument("--only-try", action="store_true", help="install and try the release that is there, on --python")
    chosen = parser.parse_args()
    if not chosen.only_try:
        shutil.rmtree(chosen.out, ignore_errors=True)
        chosen.out.mkdir(parents=True)
        build(chosen.out)
    (wheel,) = chosen.out.glob("calock-*.whl")
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        programs = install(wheel, scratch / "server", chosen.python)
        try_it(programs, scratch)
        try_base(wheel, scratch, chosen.python)
        print(f"{wheel.name} installs, serves both languages and explains certificates on {chosen.python}")
        if chosen.only_try:
            return
        describe(chosen.out, programs, wheel.name.split("-")[1])
    print(sign(chosen.out))
    print(*sorted(path.name for path in chosen.out.iterdir()), sep="\n")


if __name__ == "__main__":
    main()
