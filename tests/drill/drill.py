"""``make drill``: from an empty folder to a platform that was backed up, wiped and restored, as docs/operations.md tells it.

Everything runs from the release in ``dist/release`` and the files in ``ops``, on free ports of this computer: PostgreSQL
(``tools/with-postgres``), two servers, nginx with TLS. Each step prints its seconds; the first that fails ends the drill.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(Path(__file__).parent)]

from datetime import UTC, datetime, timedelta

import tomli_w
from people import Browser
from serving import free_port
from worlds.practice import PracticeLock, family, make_lock

from calock.demo.world import RULES

OPS = ROOT / "ops"
HOST = "login.example.gov.cn"
CODE = "drill-ca"
PASSWORD = "Drill-password-2026"
DEADLINE = 180.0


def run(*command: object, env: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], env=env, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"drill: {' '.join(map(str, command))[:200]}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


@contextmanager
def step(says: str) -> Iterator[None]:
    began = time.monotonic()
    print(f"  {says} …", end="", flush=True)
    yield
    print(f" {time.monotonic() - began:.1f} s", flush=True)


def wait_for(port: int, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    last = ""
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10):
                return
        except OSError as error:
            last = getattr(error, "read", lambda: b"")().decode() or str(error)
        time.sleep(0.3)
    sys.exit(f"drill: {path} of port {port}: {last}\n{log.read_text()[-3000:]}")


class Platform:
    """Two machines' folders, what their environment says, and the programs that run."""

    def __init__(self, place: Path, programs: Path, database: str) -> None:
        self.place, self.programs = place, programs
        self.tls, self.ports, self.metrics = free_port(), (free_port(), free_port()), free_port()
        where = database.rpartition("@")[2].partition("/")[0]
        self.environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            # two hosts, of which the first never answers: libpq goes on to the second
            "DATABASE_URL": f"postgresql://calock@127.0.0.1:{free_port()},{where}/calock?target_session_attrs=read-write",
            "CALOCK_HOSTS_SHANXI": HOST, "CALOCK_HOSTS_ZCY": "login.example.com.cn", "CALOCK_PUBLIC_PORT": str(self.tls),
            "CALOCK_TRUSTED_PROXIES": "127.0.0.0/24,::1", "CALOCK_DRAIN_SECONDS": "1", "CALOCK_DATABASE_WAIT": "20",
            "CALOCK_VENDORS": str(place / "vendors"), "CALOCK_PYTHON": str(programs / "python"),
            "CALOCK_COMMAND": str(programs / "calock"), "CALOCK_SECRET_KEY_FILE": str(place / "secret.key"),
        }  # fmt: skip
        self.running: list[tuple[subprocess.Popen[bytes], Path]] = []

    def at(self, machine: str) -> dict[str, str]:
        return {**self.environment, "CALOCK_DATA": str(self.place / machine)}

    def manage(self, *arguments: object, machine: str = "a") -> str:
        return run(self.programs / "calock", "manage", *arguments, env=self.at(machine))

    def start(self) -> None:
        """Both servers; ``a`` first, so that ``b`` finds its schema."""
        for machine, host, port in (("a", "127.0.0.1", self.ports[0]), ("b", "::", self.ports[1])):
            environment = self.at(machine) | ({"CALOCK_METRICS": str(self.metrics)} if machine == "a" else {})
            log = self.place / f"{machine}.log"
            command = [str(self.programs / "calock"), "serve", "--host", host, "--port", str(port), "--workers", "1"]
            with log.open("ab") as file:
                process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
            self.running.append((process, log))
            wait_for(port, "/healthz", process, log)

    def ready(self) -> None:
        for (process, log), port in zip(self.running, self.ports, strict=True):
            wait_for(port, "/readyz", process, log)

    def stop(self) -> None:
        for process, _ in self.running:
            process.send_signal(signal.SIGTERM)
        for process, log in self.running:
            if process.wait(90):
                sys.exit(f"drill: a server ended with {process.returncode}\n{log.read_text()[-3000:]}")
        self.running.clear()


def make_certificate(place: Path) -> None:
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:login.example.com.cn", "-keyout", place / "calock.key", "-out",
        place / "calock.crt", env=dict(os.environ),
    )  # fmt: skip


def serve_crls(folder: Path) -> ThreadingHTTPServer:
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: the drill's own lines are what is read."""


def make_authority(place: Path, crls: ThreadingHTTPServer) -> None:
    """A CA with its CRLs on the network, as a vendor folder."""
    folder = place / "vendors" / CODE
    folder.mkdir(parents=True)
    now, cas = datetime.now(UTC), []
    made = family("SM2", CODE)
    for name, authority in (("root", made.root), ("issuing", made.issuing)):
        crl = authority.crl([], this_update=now - timedelta(minutes=5), next_update=now + timedelta(hours=9))
        (place / "crls" / f"{name}.crl").write_bytes(crl)
        (folder / f"{name}.pem").write_text(ssl.DER_cert_to_PEM_cert(authority.certificate))
        url = f"http://127.0.0.1:{crls.server_port}/{name}.crl"
        cas.append({"file": f"{name}.pem", "anchor": name == "root", "group": CODE, "crl": [url], "inside": [url]})
    vendor = {
        "code": CODE,
        "name": "演练 CA",
        "short_name": "演练 CA",
        "sites": ["shanxi"],
        "rules": {"identity": {"lock": RULES.to_json()["identity"]["lock"]}},
        "ca": cas,
        "product": {"title": "演练驱动", "sites": ["shanxi"], "providers": [CODE]},
    }
    (folder / "vendor.toml").write_text(tomli_w.dumps(vendor), "utf-8")


def start_nginx(platform: Platform) -> subprocess.Popen[bytes]:
    place = platform.place
    text = (OPS / "nginx" / "calock.conf").read_text("utf-8")
    text = text.replace("server 127.0.0.1:8000", f"server 127.0.0.1:{platform.ports[0]}")
    text = text.replace("server 127.0.0.1:8001", f"server [::1]:{platform.ports[1]}")
    text = text.replace("/etc/nginx/", f"{place}/").replace("/var/log/nginx/", f"{place}/")
    text = re.sub(r"^\s+listen \[::\].*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    text = text.replace("listen 443", f"listen 127.0.0.1:{platform.tls}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {place}/nginx-{kind};\n" for kind in kinds)
    user = "user root; " if os.geteuid() == 0 else ""
    head = f"{user}daemon off; pid {place}/nginx.pid; error_log {place}/nginx.log; events {{}}"
    (place / "nginx.conf").write_text(f"{head}\nhttp {{\n{folders}{text}\n}}\n", "utf-8")
    command = ["nginx", "-p", str(place), "-c", str(place / "nginx.conf")]
    run(*command, "-t", env=dict(os.environ))
    return subprocess.Popen(command)


def make_lists(place: Path) -> None:
    """1,000 accounts of 50 organisations."""
    with (place / "organisations.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["uscc", "name"])
        rows.writerows([_uscc(number), f"演练单位{number:02}"] for number in range(50))
    with (place / "accounts.csv").open("w", encoding="gb18030", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["账户", "姓名", "外部编号", "统一社会信用代码"])
        rows.writerows([f"user{number:04}", f"用户{number:04}", f"X{number}", _uscc(number % 50)] for number in range(1000))


def _uscc(number: int) -> str:
    """统一社会信用代码 with its check character (GB 32100-2015)."""
    letters = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    body = f"91140100MA0D{number:05}"
    total = sum(letters.index(letter) * 3**place % 31 for place, letter in enumerate(body))
    return body + letters[-total % 31]


def lock_of(number: int, lock_id: str, **fields: Any) -> PracticeLock:
    return make_lock("SM2", number=number, lock_id=lock_id, provider=CODE, **fields)


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


def wipe(platform: Platform, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE calock")
        connection.execute("CREATE DATABASE calock")
    for machine in ("a", "b"):
        shutil.rmtree(platform.place / machine)
    (platform.place / "secret.key").unlink()


def two_folders(platform: Platform) -> None:
    """The machines' data folders; packages and their keys on storage that both have."""
    shared = platform.place / "shared"
    (shared / "packages").mkdir(parents=True, exist_ok=True)
    (shared / "package-keys.txt").touch()
    for machine in ("a", "b"):
        folder = platform.place / machine
        folder.mkdir(mode=0o700)
        (folder / "packages").symlink_to(shared / "packages")
        (folder / "package-keys.txt").symlink_to(shared / "package-keys.txt")


def drill(place: Path, programs: Path, database: str, stack: ExitStack) -> None:
    platform = Platform(place, programs, database)
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
        stack.callback(lambda: [process.kill() for process, _ in platform.running])
        platform.ready()
        assert f"calock serve: http://[::]:{platform.ports[1]}/" in (place / "b.log").read_text()
        nginx = start_nginx(platform)
        stack.callback(nginx.wait, 30)
        stack.callback(nginx.terminate)

    def browser() -> Browser:
        return Browser(HOST, platform.tls, place / "calock.crt")

    with step("two operators: code, password, lock"):
        two = operators(platform, browser)
    with step("50 organisations and 1,000 accounts of another system"):
        make_lists(place)
        for kind in ("organisations", "accounts"):
            platform.manage("import", kind, place / f"{kind}.csv")
    with step("a driver package: built, signed, uploaded, published by two"):
        publish(platform, two)
    user = lock_of(2, "U-0007", uscc=_uscc(7), organisation="演练单位07")
    with step("a user who was brought in: code, password, lock; then a login with the lock"):
        person = browser()
        person.first_login("user0007", code_in(platform.manage("reset_password", "user0007")), PASSWORD)
        person.bind(user)
        browser().log_in(user)
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
        browser().log_in(user)
        assert "whole" in platform.manage("verify_audit")
        assert "演练驱动" in browser().send("GET", "/downloads/")[1]
        platform.stop()


def install(release: Path, place: Path) -> Path:
    with step("a clean environment from the release"):
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
        drill(place, programs, database, stack)
    print("drill: everything holds")


if __name__ == "__main__":
    main()
