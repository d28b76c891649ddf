"""The drill's programs: two servers' folders and environment, nginx before them, and a way to run commands that must succeed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psycopg
import serving
from serving import free_port

OPS = Path(__file__).resolve().parents[2] / "ops"
HOST = "login.example.gov.cn"
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
            "CALOCK_VENDORS": str(place / "vendors"), "CALOCK_SECRET_KEY_FILE": str(place / "secret.key"),
        }  # fmt: skip
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def at(self, machine: str) -> dict[str, str]:
        own = {"CALOCK_PYTHON": str(self.programs / "python"), "CALOCK_COMMAND": str(self.programs / "calock")}
        return {**self.environment, **own, "CALOCK_DATA": str(self.place / machine)}

    def manage(self, *arguments: object, machine: str = "a") -> str:
        return run(self.programs / "calock", "manage", *arguments, env=self.at(machine))

    def start(self) -> None:
        """Both servers; ``a`` first, so that ``b`` finds its schema."""
        for machine in ("a", "b"):
            self._start(machine)

    def _start(self, machine: str) -> None:
        host, port = {"a": ("127.0.0.1", self.ports[0]), "b": ("::", self.ports[1])}[machine]
        environment = self.at(machine) | ({"CALOCK_METRICS": str(self.metrics)} if machine == "a" else {})
        command = [str(self.programs / "calock"), "serve", "--host", host, "--port", str(port), "--workers", "1"]
        with self.log(machine).open("ab") as file:
            self.running[machine] = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
        self._wait(machine, "/healthz")

    def log(self, machine: str) -> Path:
        return self.place / f"{machine}.log"

    def _wait(self, machine: str, path: str) -> None:
        wait_for(self.ports["ab".index(machine)], path, self.running[machine], self.log(machine))

    def ready(self) -> None:
        for machine in self.running:
            self._wait(machine, "/readyz")

    def restart(self, machine: str, programs: Path) -> None:
        """One machine with the programs of another version, as the other goes on; back when its ``/readyz`` says so."""
        self._stop(machine)
        self.programs = programs
        self._start(machine)
        self._wait(machine, "/readyz")

    def _stop(self, *machines: str) -> None:
        """Each is told once: a second signal ends a server at once."""
        for machine in machines:
            self.running[machine].send_signal(signal.SIGTERM)
        for machine in machines:
            if status := self.running.pop(machine).wait(90):
                sys.exit(f"drill: a server ended with {status}\n{self.log(machine).read_text()[-3000:]}")

    def stop(self) -> None:
        self._stop(*self.running)


def make_certificate(place: Path) -> None:
    run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:login.example.com.cn", "-keyout", place / "calock.key", "-out",
        place / "calock.crt", env=dict(os.environ),
    )  # fmt: skip


def start_nginx(platform: Platform) -> subprocess.Popen[bytes]:
    first, second = platform.ports
    return serving.start_nginx(
        platform.place, serving.nginx_servers(platform.place, (f"127.0.0.1:{first}", f"[::1]:{second}"), platform.tls)
    )


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
