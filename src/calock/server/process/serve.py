"""``calock serve``: bring the database up, prove that cryptography and trust work, then serve until told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from calock.server.process.ports import is_address, require_free
from calock.server.process.workers import hear_from_birth

EPILOG = """\
What it reads from the environment: CALOCK_DATA (directory for database, keys, CRLs), DATABASE_URL (PostgreSQL; default SQLite in
CALOCK_DATA), CALOCK_HOSTS_<SITE> (comma list of a site's host names), CALOCK_PUBLIC_PORT, CALOCK_TRUSTED_PROXIES,
CALOCK_SECRET_KEY[_FILE], CALOCK_EGRESS_PROXY, CALOCK_SITES and CALOCK_VENDORS (directories of sites and CA vendors of your own).
Browsers must reach it over HTTPS: a proxy in front ends TLS. CALOCK_INSECURE_HTTP=1 leaves that out, for a demonstration on this
computer only. docs/operations.md says more.
"""
JOBS_PAUSE = 5.0
"""Seconds before a background process that ended by itself is started again."""
WORKERS_GRACE = 8
"""Seconds that workers have to end in, the answers that they are giving included."""
MIGRATION_LOCK = 0x63616C6F636B
"""Key of the PostgreSQL advisory lock under which one replica at a time migrates."""
log = logging.getLogger("calock.server")


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="calock serve",
        description="Run the server of both sites, and its background jobs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this computer only)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument("--workers", type=int, help="server processes (default: one per core up to four; at most two with SQLite)")
    parser.add_argument(
        "--no-jobs", action="store_true", help="jobs run as `calock manage jobs`; every machine needs them, CRLs lie on each"
    )
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.port <= 65535:
        parser.error("--port is a number from 1 to 65535")
    if chosen.workers is not None and not 1 <= chosen.workers <= 256:
        parser.error("--workers is a number from 1 to 256")
    if not is_address(chosen.host):
        parser.error(f"--host is an IP address of this computer, such as 127.0.0.1, not {chosen.host!r}")
    return chosen


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Replicas that start together migrate one after the other. SQLite has one machine, and its own lock."""
    from django.db import connection  # noqa: PLC0415 - Django is set up by now

    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def prepare() -> None:
    """Everything that must hold before the first request: sites, vendors, known answers, schema, static files, the register.

    Raises:
        DefinitionError: a site's profile, its host names or a vendor's folder cannot be used.
        SelfTestError: cryptography does not work as it must on this machine.
        RegisterError: an enabled provider has no usable anchor, or its rows are not the ones that were sealed.
    """
    import django  # noqa: PLC0415 - only now is the environment final
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from calock.core import selftest  # noqa: PLC0415
    from calock.server.sites.registry import sites  # noqa: PLC0415
    from calock.wire.vendors import read_vendors  # noqa: PLC0415

    django.setup()
    sites()
    read_vendors(settings.CALOCK.vendors)
    selftest.require()
    with _one_at_a_time():
        call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)

    from calock.server.providers.trust import check_at_start  # noqa: PLC0415

    check_at_start()


def _workers(wanted: int | None) -> int:
    from django.db import connection  # noqa: PLC0415

    ceiling = 2 if connection.vendor == "sqlite" else 4
    return wanted or min(os.cpu_count() or 1, ceiling)


class Jobs:
    """The background process beside the server, started again when it ends by itself."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it before the server's own processes are forked: one forked meanwhile would hold the pipe on which this waits."""
        self._begin()
        threading.Thread(target=self._watch, name="jobs", daemon=True).start()

    def _begin(self) -> None:
        command = [
            sys.executable,
            "-m",
            "django",
            "jobs",
            "--with-parent",
            str(os.getpid()),
            "--settings",
            "calock.server.process.settings",
        ]
        with self._guard:
            if not self._stopping.is_set():
                # a session of its own: Ctrl-C at the terminal reaches the server, which then stops this in its turn
                self._process = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own interpreter and command

    def _watch(self) -> None:
        while self._process is not None:
            status = self._process.wait()
            if self._stopping.is_set():
                return
            log.error("background jobs ended with status %d; starting them again", status)
            self._stopping.wait(JOBS_PAUSE)
            self._begin()

    def stop(self) -> None:
        self._stopping.set()
        with self._guard:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()  # nobody else may collect it: PID 1 of a container often does not


def _serve(host: str, port: int, workers: int) -> None:
    from granian.constants import Interfaces  # noqa: PLC0415 - the command's help must not need it
    from granian.server import Server  # noqa: PLC0415

    from calock.server.downloads.slots import SLOTS  # noqa: PLC0415 - needs Django set up

    hear_from_birth()
    os.environ["CALOCK_SERVER_PID"] = str(os.getpid())
    Server(
        "calock.server.process.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1 + SLOTS,  # a slow reader of a download holds one; the last is never lent to a download
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=WORKERS_GRACE,
    ).serve()


def main(arguments: Sequence[str]) -> int:
    """Run until interrupted; 1 when something that must hold does not, 2 for unusable arguments."""
    chosen = _arguments(arguments)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.process.settings")
    from calock.server.process.startup_errors import MENDABLE, line_for  # noqa: PLC0415 - Django only after the arguments

    try:
        require_free(chosen.host, chosen.port)  # before the database is touched
        prepare()
        require_free(chosen.host, chosen.port)  # another may have started meanwhile
    except (*MENDABLE, RuntimeError, OSError) as error:
        line = line_for(error)
        if line is None:
            raise
        sys.stderr.write(f"calock serve: not started: {line}\n")
        return 1
    from django.conf import settings  # noqa: PLC0415 - set up by prepare()
    from django.db import connections  # noqa: PLC0415

    workers = _workers(chosen.workers)
    connections.close_all()  # no worker may inherit a connection
    sys.stdout.write(
        f"calock serve: http://{chosen.host}:{chosen.port}/, {workers} processes, data in {Path(settings.CALOCK.data)}\n"
    )
    sys.stdout.flush()
    jobs = Jobs()
    if not chosen.no_jobs:
        jobs.start()
    try:
        _serve(chosen.host, chosen.port, workers)
    finally:
        jobs.stop()
    return 0
