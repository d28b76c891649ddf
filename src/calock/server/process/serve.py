"""``calock serve``: bring the database up, prove that cryptography and trust work, then serve until told to stop."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from calock.server.process.ports import is_address, require_free

EPILOG = """\
What it reads from the environment: CALOCK_DATA (directory for database, keys, CRLs), DATABASE_URL (PostgreSQL; default SQLite in
CALOCK_DATA), CALOCK_HOSTS_<SITE> (comma list of a site's host names), CALOCK_PUBLIC_PORT, CALOCK_TRUSTED_PROXIES,
CALOCK_SECRET_KEY[_FILE], CALOCK_EGRESS_PROXY, CALOCK_SITES and CALOCK_VENDORS (directories of sites and CA vendors of your own).
Browsers must reach it over HTTPS: a proxy in front ends TLS. CALOCK_INSECURE_HTTP=1 leaves that out, for a demonstration on this
computer only. docs/operations.md says more.
"""
MIGRATION_LOCK = 0x63616C6F636B
"""Key of the PostgreSQL advisory lock under which one replica at a time migrates."""


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


def _wait_for_database(seconds: int) -> None:
    """Return when the database answers. Machines that start together come up in any order, so it may be a while.

    Raises:
        OperationalError: it answers and does not let us in, did not answer for ``seconds``, or its address cannot be right.
    """
    from django.db import OperationalError, connection  # noqa: PLC0415 - Django is set up by now

    until = time.monotonic() + seconds
    pause = 0.5
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", None)  # none: it was not reached; 57P03: it is starting up
            wrong = ": invalid " in str(error)  # libpq's words for a value that an option cannot have
            if wrong or state not in (None, "57P03") or connection.vendor != "postgresql" or time.monotonic() >= until:
                raise
            sys.stderr.write(f"calock serve: waiting for the database: {' '.join(str(error).split())[:200]}\n")
            sys.stderr.flush()
            time.sleep(pause)
            pause = min(10.0, pause * 2)
        else:
            return


def prepare() -> None:
    """Everything that must hold before the first request: sites, vendors, known answers, schema, static files, the register.

    Raises:
        ConfigError: the environment asks for what cannot work, or the machine lacks what it takes.
        DefinitionError: a site's profile, its host names or a vendor's folder cannot be used.
        SelfTestError: cryptography does not work as it must on this machine.
        RegisterError: an enabled provider has no usable anchor, or its rows are not the ones that were sealed.
    """
    from calock.server.process import machine  # noqa: PLC0415

    machine.require()
    import django  # noqa: PLC0415 - only now is the environment final
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from calock.core import selftest  # noqa: PLC0415
    from calock.server.process import figure_files  # noqa: PLC0415
    from calock.server.sites.names import check_names  # noqa: PLC0415
    from calock.server.sites.practice import public_with_samples  # noqa: PLC0415
    from calock.server.sites.registry import sites  # noqa: PLC0415
    from calock.wire.vendors import read_vendors  # noqa: PLC0415

    if settings.CALOCK.metrics:
        figure_files.begin(settings.CALOCK.data)
    django.setup()
    check_names(sites(), read_vendors(settings.CALOCK.vendors))
    for code in public_with_samples(sites()):
        samples = "site %s has a public name and shows sample facts still: see practice_facts in its profile.toml"
        logging.getLogger("calock.server").warning(samples, code)
    selftest.require()
    _wait_for_database(settings.CALOCK.database_wait)
    with _one_at_a_time():
        call_command("migrate", interactive=False, verbosity=0)
    from calock.server.providers.trust import check_at_start  # noqa: PLC0415
    from calock.server.web import static_files  # noqa: PLC0415

    static_files.collect()
    check_at_start()


def _workers(wanted: int | None) -> int:
    from django.db import connection  # noqa: PLC0415

    ceiling = 2 if connection.vendor == "sqlite" else 4
    return wanted or min(os.cpu_count() or 1, ceiling)


def _jobs(parent: int) -> None:
    """The background process, forked with everything loaded: started anew by itself it would load all of it again."""
    from calock.server.jobs import background  # noqa: PLC0415 - loaded before the fork
    from calock.server.process import figure_files  # noqa: PLC0415

    figure_files.make_room()
    gc.freeze()  # what was loaded before the fork stays shared
    background.run(parent=parent)


def _serve(host: str, port: int, workers: int, *, jobs: bool) -> None:
    """Start all processes of this machine and keep them running until told to end."""
    from django.conf import settings  # noqa: PLC0415 - set up by prepare()

    from calock.server.jobs import background  # noqa: F401, PLC0415 - an upgrade may lie there when it is started again
    from calock.server.process import metrics, worker  # noqa: PLC0415 - with the whole application, which the forked processes share
    from calock.server.process.supervisor import Child, Signals, Supervisor, forked  # noqa: PLC0415

    parent, drain = os.getpid(), settings.CALOCK.drain_seconds
    serve = partial(worker.run, host, port, drain=drain, parent=parent)
    children = [Child(f"server process {number + 1}", partial(forked, "server", serve)) for number in range(workers)]
    if jobs:
        children.insert(0, Child("background jobs", partial(forked, "jobs", partial(_jobs, parent)), hurry=signal.SIGTERM))
    if settings.CALOCK.metrics:
        tell = partial(metrics.run, *settings.CALOCK.metrics, parent=parent)
        children.append(Child("metrics", partial(forked, "metrics", tell), hurry=signal.SIGTERM))
    shown = f"[{host}]" if ":" in host else host
    with Signals() as signals:
        sys.stdout.write(f"calock serve: http://{shown}:{port}/, {workers} processes, data in {Path(settings.CALOCK.data)}\n")
        sys.stdout.flush()
        Supervisor(children, grace=drain + worker.FINISH + 2).run(signals)


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
    from django.db import connections  # noqa: PLC0415

    workers = _workers(chosen.workers)
    connections.close_all()  # no worker may inherit a connection
    _serve(chosen.host, chosen.port, workers, jobs=not chosen.no_jobs)
    return 0
