"""``make drill``: from an empty folder to a platform that was backed up, wiped and restored, as docs/operations.md tells it.

Everything runs from the release in ``dist/release`` and the files in ``ops``, on free ports of this computer: PostgreSQL
(``tools/with-postgres``), two servers, nginx with TLS. Each step prints its seconds; the first that fails ends the drill.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

from authority import CODE, lock_of, make_authority, serve_crls
from lists import make_lists, uscc
from machines import HOST, OPS, Platform, make_certificate, run, start_nginx, step, two_folders, wipe
from people import Browser
from upgrade import Passing, upgrade
from worlds.practice import PracticeLock

PASSWORD = "Drill-password-2026"


def code_in(told: str) -> str:
    """The one-time code that a command printed."""
    code = re.search(r"one use\): (\S+)", told)
    assert code, told
    return code[1]


def operators(platform: Platform, browser: Any) -> list[tuple[Browser, PracticeLock]]:
    found = []
    for number, (name, real) in enumerate((("yunying1", "运营甲"), ("yunying2", "运营乙"))):
        code = code_in(platform.manage("operators", "create", name, real))
        person, lock = browser(), lock_of(number, f"OP-{number}", name=real)
        person.first_login(name, code, PASSWORD)
        person.bind(lock)
        found.append((person, lock))
    return found


def publish(platform: Platform, two: list[tuple[Browser, PracticeLock]]) -> None:
    """Build, sign and upload a driver package; two operators publish it."""
    place = platform.place
    key = place / "package-key.pem"
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key, env=dict(os.environ))
    (place / "our-sites.toml").write_text(f'[sites.shanxi]\norigins = ["https://{HOST}:{platform.tls}"]\n')
    environment = {**platform.environment, "CALOCK_PACKAGE_KEY_FILE": str(key), "HOME": str(place)}
    system = f"linux-{ {'aarch64': 'arm64'}.get(os.uname().machine, os.uname().machine) }"
    only = ("--only", CODE, "--only", system, "--wheels", ROOT / "build" / "wheels")
    out = place / "built"
    run(
        platform.programs / "calock",
        "packages",
        "build",
        "--out",
        out,
        "--settings",
        place / "our-sites.toml",
        *only,
        env=environment,
    )
    (place / "shared" / "package-keys.txt").write_text((out / "package-key.txt").read_text())
    (package,) = out.glob("*.zip")
    (first, its_lock), (second, others_lock) = two
    first.log_in(its_lock)
    second.log_in(others_lock)
    status, text = first.upload("/console/downloads/driverpackage/upload/", "package", package)
    assert status in (200, 302), (status, text[-2000:])
    _, text = first.send("GET", "/console/downloads/driverpackage/")
    change = re.search(r"/console/downloads/driverpackage/[0-9a-f-]+/change/", text)
    assert change, re.sub(r"<[^>]+>|\s+", " ", text)[:3000]
    _, text = first.send("GET", change[0])
    sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
    assert sha256 in text, text[-2000:]
    first.form(change[0], step="publish", checked=sha256, reason="演练")
    _, text = second.send("GET", "/console/approvals/")
    approval = re.search(r"/console/approvals/[0-9a-f-]{8,}/", text)
    assert approval, text[-2000:]
    _, text = second.send("GET", approval[0])
    fields = dict(re.findall(r'name="(version|sha256)" value="([^"]+)"', text))
    status, text = second.form(approval[0], step="approve", **fields)
    assert status in (200, 302), text[-2000:]
    stranger = Browser(HOST, platform.tls, place / "calock.crt")
    assert "演练驱动" in stranger.send("GET", "/downloads/")[1]


def drill(place: Path, before: Path, programs: Path, database: str, stack: ExitStack) -> None:
    platform = Platform(place, before, database)
    crls = serve_crls(place / "crls")
    stack.callback(crls.shutdown)
    with step("folders, secret, certificate, the CA's folder, an empty database"):
        two_folders(platform)
        (place / "secret.key").write_text(os.urandom(36).hex())
        (place / "secret.key").chmod(0o600)
        make_certificate(place)
        make_authority(place, crls)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("CREATE DATABASE calock")
    with step("the CA into the register, before there are operators"):
        platform.manage("migrate", "--verbosity", "0")
        assert "enabled" in platform.manage("register", "install", CODE)
    with step("two servers, the second on IPv6, behind nginx"):
        platform.start()
        stack.callback(lambda: [process.kill() for process in platform.running.values()])
        platform.ready()
        assert f"calock serve: http://[::]:{platform.ports[1]}/" in (place / "b.log").read_text()
        nginx = start_nginx(platform)
        stack.callback(nginx.wait, 30)
        stack.callback(nginx.terminate)

    def browser() -> Browser:
        return Browser(HOST, platform.tls, place / "calock.crt")

    with step("two operators: code, password, lock"):
        two = operators(platform, browser)
    with step("50 organisations, 1,000 accounts and 300 bindings of another system"):
        make_lists(place)
        for kind in ("organisations", "accounts", "bindings"):
            platform.manage("import", kind, place / f"{kind}.csv")
    with step("a driver package: built, signed, uploaded, published by two"):
        publish(platform, two)
    user = lock_of(2, "U-0007", uscc=uscc(7), organisation="演练单位07")
    with step("a user who was brought in: code, password, lock; then a login with the lock"):
        person = browser()
        person.first_login("user0007", code_in(platform.manage("reset_password", "user0007")), PASSWORD)
        person.bind(user)
        browser().log_in(user)
    brought = lock_of(3, "B-0107", uscc=uscc(7), organisation="演练单位07")
    with step("a user whose binding was brought in: the first login with the lock makes it real"):
        person = browser()
        person.log_in(brought)
        assert "B-0107" in person.send("GET", "/system/ca/")[1]
    upgrade(platform, before, programs, Passing(browser, user, uscc(7), "演练单位07"))
    with step("figures"), urlopen(f"http://127.0.0.1:{platform.metrics}/metrics", timeout=30) as answer:
        assert 'calock_events_total{event="login:ca:succeeded"' in answer.read().decode()
    with step("backup while it runs"):
        (made,) = run(OPS / "backup", place / "backup", place / "backup-secrets", env=platform.at("a")).split()
        kept = place / "backup-secrets" / Path(made).name
    with step("an act after the backup, which will be missed"):
        platform.manage("operators", "disable", "yunying2")
    with step("everything is lost"):
        platform.stop()
        wipe(platform, database)
    with step("restore, verify"):
        (place / "a").mkdir(mode=0o700)
        told = run(OPS / "restore", made, kept, env=platform.at("a"))
        assert "restored: start calock now" in told, told
        (place / "b").mkdir(mode=0o700)
        for name in ("packages", "package-keys.txt"):
            (place / "b" / name).symlink_to(place / "a" / name)
    with step("both servers again: register whole, trail whole, the same people log in"):
        platform.start()
        platform.ready()
        for lock in (user, brought):
            browser().log_in(lock)
        assert "whole" in platform.manage("verify_audit")
        assert "演练驱动" in browser().send("GET", "/downloads/")[1]
        platform.stop()


def install(release: Path, place: Path) -> Path:
    with step(f"a clean environment from {release.name}"):
        environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
        run("sha256sum", "--check", "--quiet", "SHA256SUMS", env=environment, folder=release)
        run(sys.executable, "-m", "venv", place, env=environment)
        pip = (place / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
        (requirements,), (wheel,) = release.glob("*-requirements.txt"), release.glob("*.whl")
        run(*pip, "--require-hashes", "-r", requirements, env=environment)
        run(*pip, "--no-deps", wheel, env=environment)
    return place / "bin"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, default=ROOT / "dist" / "release")
    parser.add_argument("--before", type=Path, help="release of the version before, from which the drill's platform is upgraded")
    parser.add_argument("--programs", type=Path, help="bin folder of an environment that has the release already")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    chosen = parser.parse_args()
    database = os.environ.get("CALOCK_TEST_DATABASE_URL") or sys.exit("drill: run it below tools/with-postgres")
    place = Path(tempfile.mkdtemp(prefix="calock-drill-"))
    print(f"drill in {place}")
    with ExitStack() as stack:
        if not chosen.keep:
            stack.callback(shutil.rmtree, place, ignore_errors=True)
        programs = chosen.programs or install(chosen.release, place / "program")
        before = install(chosen.before, place / "before") if chosen.before else programs
        if not chosen.before:
            print("  no --before: the way of an upgrade is tried with one version on both sides")
        drill(place, before, programs, database, stack)
    print("drill: everything holds")


if __name__ == "__main__":
    main()
