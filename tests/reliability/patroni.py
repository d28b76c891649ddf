"""Three database machines as real processes: etcd and Patroni, with PostgreSQL below it, by ``ops/patroni/patroni.yml``."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
from machines import wait_until
from serving import free_port

SHIPPED = Path(__file__).resolve().parents[2] / "ops" / "patroni" / "patroni.yml"
PASSWORDS = {"postgres": "CHANGE-1", "calock": "PASSWORD"}
"""As the shipped file writes them."""


class Machine:
    """One of the three. What listens at 10.0.0.11 to .13 in the shipped file listens at 127.0.0.1 here, each on a free port."""

    def __init__(self, number: int, place: Path) -> None:
        self.number, self.name, self.place = number, f"database-{number}", place / f"database-{number}"
        self.peer, self.client, self.rest, self.sql = (free_port() for _ in range(4))
        self.place.mkdir(mode=0o755)
        self._running: list[subprocess.Popen[bytes]] = []

    def configure(self, machines: list[Machine]) -> None:
        text = SHIPPED.read_text("utf-8").replace("name: database-1", f"name: {self.name}")
        text = text.replace("10.0.0.11:2379,10.0.0.12:2379,10.0.0.13:2379", ",".join(f"127.0.0.1:{m.client}" for m in machines))
        text = text.replace("10.0.0.11:8008", f"127.0.0.1:{self.rest}").replace("10.0.0.11:5432", f"127.0.0.1:{self.sql}")
        text = text.replace("10.0.0.0/24", "127.0.0.0/24").replace("/etc/patroni/", f"{self.place}/")
        text = text.replace("/var/lib/postgresql/15/calock", f"{self.place}/postgres")
        text = text.replace("/usr/lib/postgresql/15/bin", str(_programs()))
        (self.place / "patroni.yml").write_text(f"{text}    unix_socket_directories: {self.place}\n", "utf-8")
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj"]
        files = ["-keyout", str(self.place / "server.key"), "-out", str(self.place / "server.crt")]
        subprocess.run([*make, f"/CN={self.name}", *files], check=True, capture_output=True)
        if os.geteuid() == 0:
            for path in (self.place, *self.place.iterdir()):
                shutil.chown(path, "postgres")

    def start(self, machines: list[Machine]) -> None:
        members = ",".join(f"{machine.name}=http://127.0.0.1:{machine.peer}" for machine in machines)
        peer, client = f"http://127.0.0.1:{self.peer}", f"http://127.0.0.1:{self.client}"
        self._run(
            "etcd", "--name", self.name, "--data-dir", f"{self.place}/etcd", "--initial-cluster", members,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--heartbeat-interval", "300", "--election-timeout", "3000",  # the three share one computer's disk
        )  # fmt: skip
        self._run("patroni", f"{self.place}/patroni.yml")

    def _run(self, program: str, *arguments: str) -> None:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        environment = {"PATH": f"/usr/bin:/bin:{_programs()}", "LANG": "C.UTF-8", "HOME": str(self.place)}
        with (self.place / f"{program}.log").open("ab") as log:
            command = [*user, program, *arguments]
            self._running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))

    def is_(self, role: str) -> bool:
        """What Patroni says of itself: ``primary``, ``replica``, ``synchronous``."""
        try:
            with urlopen(f"http://127.0.0.1:{self.rest}/{role}", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """SIGKILL everything at once, as when the power fails."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self.place / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()

    def log(self) -> str:
        return (self.place / "patroni.log").read_text()[-3000:]


def _programs() -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


class Cluster:
    """Three machines, of which one takes writes and another confirms each commit."""

    def __init__(self, place: Path) -> None:
        place.chmod(0o755)
        self.machines = [Machine(number, place) for number in (1, 2, 3)]
        for machine in self.machines:
            machine.configure(self.machines)
        for machine in self.machines:
            machine.start(self.machines)
        self.wait_until_whole()
        with psycopg.connect(self._url("postgres", "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE calock LOGIN PASSWORD '{PASSWORDS['calock']}'")
            connection.execute("CREATE DATABASE calock OWNER calock")

    def _url(self, user: str, database: str) -> str:
        hosts = ",".join(f"127.0.0.1:{machine.sql}" for machine in self.machines)
        return f"postgresql://{user}:{PASSWORDS[user]}@{hosts}/{database}?target_session_attrs=read-write"

    @property
    def url(self) -> str:
        return self._url("calock", "calock")

    def primary(self) -> Machine | None:
        return next((machine for machine in self.machines if machine.is_("primary")), None)

    def wait_until_whole(self) -> float:
        """Until one machine is the primary, another its synchronous standby, and the third a replica; how long it took."""

        def whole() -> bool:
            roles = [(machine.is_("primary"), machine.is_("synchronous"), machine.is_("replica")) for machine in self.machines]
            return [sum(kind) for kind in zip(*roles, strict=True)] == [1, 1, 2]

        try:
            return wait_until(whole, "three machines in their roles", 240)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "\n".join(machine.log() for machine in self.machines)) from error

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def stop(self) -> None:
        for machine in self.machines:
            machine.kill()
