"""The programs of a deployment as real processes on free ports of this computer: PostgreSQL, servers, a balancer."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from serving import free_port, name_of, put_static_files

START = 120.0
SITE = "shanxi.localhost"
SECRET = "practice-secret-of-the-reliability-tests-0123456789"


def ask(port: int, path: str, *, timeout: float = 30.0) -> tuple[int, bytes]:
    """GET by address; status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": f"{SITE}:{port}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_until(holds: Any, what: str, seconds: float = START) -> float:
    """Poll until ``holds()``; how long it took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)
    return time.monotonic() - began


class Postgres:
    """A PostgreSQL of its own, with fsync as in production."""

    def __init__(self, place: Path, primary: Postgres | None = None) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        self._bin = found[-1] if found else Path(str(shutil.which("initdb"))).parent
        self._data, self.port = place / "postgres", free_port()
        place.chmod(0o755)
        self._data.mkdir(mode=0o700, parents=True)
        if os.geteuid() == 0:
            shutil.chown(self._data, "postgres")
        if primary is None:
            self._run("initdb", "-D", str(self._data), "-U", "calock", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        else:
            self._run(
                "pg_basebackup",
                "-c",
                "fast",
                "-D",
                str(self._data),
                "-R",
                "-d",
                f"{primary.url}?application_name=standby",
                "-X",
                "stream",
            )
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://calock@127.0.0.1:{self.port}/postgres"

    @property
    def programs(self) -> Path:
        """The folder of ``pg_dump`` and the others."""
        return self._bin

    def _run(self, program: str, *arguments: str) -> None:
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        subprocess.run([*user, str(self._bin / program), *arguments], check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data} -c max_connections=300"
        self._run("pg_ctl", "-D", str(self._data), "-s", "-w", "-l", str(self._data / "log"), "-o", options, "start")

    def standby(self, place: Path) -> Postgres:
        """A copy that a commit waits for from now on."""
        place.mkdir()
        made = Postgres(place, self)
        self.wait_for_standby("standby")
        return made

    def wait_for_standby(self, name: str) -> None:
        """Let commits wait for the standby of this name from now on; "" = for none."""
        with self.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
            connection.execute("SELECT pg_reload_conf()")
        if name:
            sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
            wait_until(lambda: self.ask(sync)[0][0] == 1, "a synchronous standby")

    def promote(self) -> None:
        """Make a standby the primary, on which no commit waits for another."""
        self._run("pg_ctl", "-D", str(self._data), "-s", "-w", "promote")
        self.wait_for_standby("")

    def kill(self) -> None:
        """SIGKILL the postmaster; what it leaves running ends by itself."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the postmaster")
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-s", "stop")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url, autocommit=True)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(statement).fetchall()


class Replica:
    """One machine: ``calock serve`` with a data directory of its own."""

    def __init__(self, data: Path, *arguments: str, secret_file: bool = False, **environment: str) -> None:
        """``secret_file``: the secret lies in its data directory, as on a platform, instead of the environment."""
        self.data, self.port = data, free_port()
        data.mkdir(exist_ok=True, mode=0o700)
        put_static_files(data)
        if secret_file:
            (data / "secret.key").write_text(SECRET)
            environment["CALOCK_SECRET_KEY"] = ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALOCK_", "DATABASE_", "DJANGO_"))}
        self.environment = {
            **kept, "CALOCK_DATA": str(data), "CALOCK_INSECURE_HTTP": "1", "CALOCK_SECRET_KEY": SECRET,
            "CALOCK_DRAIN_SECONDS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment,
        }  # fmt: skip
        self._arguments = arguments
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        with (self.data / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "import sys; from calock.cli import main; sys.exit(main())", "serve",
                 "--port", str(self.port), *self._arguments],
                env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def ask(self, path: str, *, timeout: float = 30.0) -> tuple[int, bytes]:
        return ask(self.port, path, timeout=timeout)

    def log(self) -> str:
        return (self.data / "serve.log").read_text()

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, path: str = "/readyz") -> None:
        """Until the probe answers 200 eight times in a row: each server process answers for itself."""

        def well() -> bool:
            if not self.is_alive():
                raise AssertionError(self.log())
            try:
                return all(ask(self.port, path, timeout=10)[0] == 200 for _ in range(8))
            except (OSError, http.client.HTTPException):  # where nobody listens yet a connection may find itself
                return False

        try:
            wait_until(well, f"{path} of a server")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-3000:]}\n{ask(self.port, path)}") from error

    def children(self, *, jobs: bool = False) -> list[int]:
        """Ids of its server processes, or of its background process."""
        pids = [
            int(child) for path in Path(f"/proc/{self.process.pid}/task").glob("*/children") for child in path.read_text().split()
        ]
        return [pid for pid in pids if name_of(str(pid)) == ("calock-jobs" if jobs else "calock-server")]

    def stop(self, how: int = signal.SIGTERM) -> int:
        if self.is_alive():
            self.process.send_signal(how)
        return self.process.wait(timeout=120)


class DatabaseBalancer:
    """HAProxy before a primary and its standby: connections go to the one that takes writes."""

    def __init__(self, place: Path, ports: list[int]) -> None:
        self.port = free_port()
        servers = "\n".join(
            f"    server d{number} 127.0.0.1:{port} check inter 500 fall 2 rise 1 on-marked-down shutdown-sessions"
            + (" backup" if number else "")
            for number, port in enumerate(ports)
        )
        (place / "haproxy.cfg").write_text(f"""
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen database
    bind 127.0.0.1:{self.port}
    option pgsql-check user calock
{servers}
""")
        self._process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(place / "haproxy.cfg")])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


class Balancer:
    """HAProxy before several servers, as docs/operations.md describes it."""

    def __init__(self, place: Path, ports: list[int], *, probe: str = "/healthz") -> None:
        self.port = free_port()
        servers = "\n".join(
            f"    server m{number} 127.0.0.1:{port} check inter 500 fall 2 rise 2" for number, port in enumerate(ports)
        )
        (place / "haproxy.cfg").write_text(f"""
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 10s
    retries 3
    option redispatch
    retry-on conn-failure empty-response
frontend people
    bind 127.0.0.1:{self.port}
    default_backend machines
backend machines
    balance roundrobin
    option httpchk GET {probe}
    option forwardfor
{servers}
""")
        self._process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(place / "haproxy.cfg")])
        wait_until(self._answers, "haproxy")

    def _answers(self) -> bool:
        try:
            return ask(self.port, "/healthz")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
