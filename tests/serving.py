"""``calock`` commands and ``calock serve`` as real processes on a directory of their own, and plain HTTP to the server."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import django
from worlds.kept_files import kept
from worlds.warm_python import Warm

from calock import server
from calock.demo import ports

START = 90.0
SETTINGS = "calock.server.process.settings"
MAIN = "import sys; from calock.cli import main; sys.exit(main())"


def environment(data: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALOCK_", "DATABASE_", "DJANGO_"))}
    return {**kept, "CALOCK_DATA": str(data), "CALOCK_INSECURE_HTTP": "1", "PYTHONPATH": os.pathsep.join(sys.path), **more}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", MAIN, *arguments]


@cache
def warm_python() -> Warm:
    """What runs this process's commands: it has imported libraries, and nothing that reads the environment."""
    return Warm(
        "django.core.management", "django.db.backends.sqlite3.base", "django.db.models", "django.forms", "django.template.loader",
        "django.test.client", "django.views.generic", "xlsxwriter", "structlog", "limits.storage", "limits.strategies", "argon2",
        "django.db.migrations.operations", "django.middleware.csrf", "django.middleware.security",
        "django.contrib.staticfiles.finders", "authlib.oauth2.rfc6749", "authlib.oauth2.rfc7636", "authlib.oauth2.rfc7662",
        "authlib.oidc.core", "joserfc.jwt", "joserfc.jwk", "icalendar", "dateutil.rrule", "passlib.handlers.sha2_crypt",
        "passlib.handlers.md5_crypt", "rfc3161_client", "segno", "uvloop", "whitenoise.middleware", "OpenSSL.crypto", "asyncio",
        "calock.core.selftest", "calock.core.decision", "calock.wire.message_types", "calock.wire.vendors",
    )  # fmt: skip


def calock(data: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``more`` stands in its environment."""
    return warm_python().run(["-c", MAIN, *arguments], environment=environment(data, **more))


def put_static_files(data: Path) -> None:
    """Put the collected static files of this code into a server's data: it finds that they are the right ones."""
    if not (data / "static" / "staticfiles.json").exists():
        files = (path for folder in Path(server.__file__).parent.rglob("static") for path in folder.rglob("*") if path.is_file())
        shutil.copytree(kept("static", f"{django.VERSION}", files, _collect), data / "static", dirs_exist_ok=True)


def _collect(folder: Path) -> Path:
    code = "import django; django.setup(); from calock.server.web import static_files; static_files.collect()"
    done = warm_python().run(["-c", code], environment=environment(folder, DJANGO_SETTINGS_MODULE=SETTINGS))
    assert done.returncode == 0, done.stderr
    return folder / "static"


def prepare(data: Path) -> None:
    """What a server does on an empty directory before it serves."""
    put_static_files(data)
    code = "from calock.server.process.serve import prepare; prepare()"
    done = warm_python().run(["-c", code], environment=environment(data, DJANGO_SETTINGS_MODULE=SETTINGS))
    assert done.returncode == 0, done.stderr


def free_port() -> int:
    return ports.free_port()


def ask(port: int, path: str, *, method: str = "GET", body: str | None = None, **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Host": f"shanxi.localhost:{port}", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def children_of(pid: int) -> list[str]:
    """Ids of the processes that any thread of a process started."""
    return [child for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def name_of(pid: str) -> str:
    """What ``ps`` calls a process; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def left_of(children: list[str]) -> list[str]:
    """Those that do not end: multiprocessing's own helper ends by itself, a moment after the process that it helped."""
    deadline = time.monotonic() + START
    while (left := [child for child in children if Path(f"/proc/{child}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)  # until it is gone; the deadline above ends it
    return left


def nginx_servers(place: Path, servers: Sequence[str], tls: int) -> str:
    """``ops/nginx/calock.conf`` with these servers behind it, TLS on this port; certificate, key and logs lie in ``place``."""
    text = (Path(__file__).parents[1] / "ops" / "nginx" / "calock.conf").read_text("utf-8")
    first, second = servers[0], servers[-1]
    text = text.replace("server 127.0.0.1:8000", f"server {first}")
    text = text.replace("server 127.0.0.1:8001", f"server {second}")
    text = text.replace("/etc/nginx/", f"{place}/").replace("/var/log/nginx/", f"{place}/")
    text = re.sub(r"^\s+listen \[::\].*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    return text.replace("listen 443", f"listen 127.0.0.1:{tls}")


def start_nginx(place: Path, servers: str) -> subprocess.Popen[bytes]:
    """Start nginx with one worker and these ``server`` blocks (and what else stands in ``http``); its own files lie in ``place``.

    Raises:
        CalledProcessError: nginx does not accept them.
    """
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {place}/nginx-{kind};\n" for kind in kinds)
    user = "user root; " if os.geteuid() == 0 else ""
    head = f"{user}daemon off; pid {place}/nginx.pid; error_log {place}/nginx.log; events {{}}"
    (place / "nginx.conf").write_text(f"{head}\nhttp {{\n{folders}{servers}\n}}\n", "utf-8")
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(place), "-c", str(place / "nginx.conf")]
    subprocess.run([*command, "-q", "-t"], check=True)
    return subprocess.Popen(command)


class Server:
    def __init__(self, data: Path, *arguments: str, **more: str) -> None:
        self.port, self.data = free_port(), data
        self.log = data / "serve.log"
        put_static_files(data)
        self.process = warm_python().start(
            ["-c", MAIN, "serve", "--port", str(self.port), *arguments], output=self.log, environment=environment(data, **more)
        )
        self.wait()

    def wait(self, path: str = "/healthz") -> None:
        """Until the probe says that all is well; the process must not end meanwhile."""
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(self.text())
            try:
                if ask(self.port, path)[0] == 200:
                    return
            except (OSError, http.client.HTTPException):  # where nobody listens yet a connection may find itself
                pass
            time.sleep(0.1)  # the process is starting; the deadline above ends it
        raise AssertionError(self.text())

    def children(self) -> list[int]:
        """Ids of its server processes."""
        return [int(child) for child in children_of(self.process.pid) if name_of(child) == "calock-server"]

    def text(self) -> str:
        return self.log.read_text()

    def stop(self) -> int:
        os.kill(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)
