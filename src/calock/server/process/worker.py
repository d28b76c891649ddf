"""One server process: an event loop with granian's HTTP server in it, and the threads of the bulkheads beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import uvloop
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from calock.server.jobs.readiness import readiness
from calock.server.process import figure_files, logs
from calock.server.process.gateway import Gateway
from calock.server.process.wsgi import application
from calock.server.tools import clock
from calock.server.tools.statement_limits import bound_statements

CONNECTIONS = 16_384
"""Open connections of one process, as far as the system's limit of files allows; idle ones cost a few KB each."""
FILES_KEPT = 128
"""Files that are not connections: database, CRLs, log."""
HEADERS_MS = 20_000
"""Within which a request's headers must arrive; also how long an idle connection is kept."""
FINISH = 30.0
"""Seconds that requests under way have to end in, once the process was told to end."""
BACKLOG = 1024


def _connections() -> int:
    """Raise this process' limit of open files as far as the system lets it; how many connections fit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + FILES_KEPT
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(64, files - FILES_KEPT)


def _end_with(parent: int) -> None:
    """A process whose supervisor was killed would go on listening, watched and replaced by nothing."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(FINISH)
    os._exit(1)


def _server(gateway: Any, host: str, port: int) -> Any:
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415 - after the fork
    from granian.http import HTTP1Settings  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415

    return Server(
        gateway,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,  # HTTP/2 is the proxy's business; one parser less that strangers reach
        websockets=False,
        backlog=BACKLOG,
        backpressure=_connections(),
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_MS, max_buffer_size=64 * 1024),
        log_level=LogLevels.error,
        log_dictconfig=logs.GRANIAN,
    )


class _Ending:
    """What signals do: SIGTERM drains (``/readyz`` says so first, for ``drain`` seconds), SIGINT stops at once."""

    def __init__(self, gateway: Any, server: Any, drain: float) -> None:
        self._gateway, self._server, self._drain = gateway, server, drain
        self._stopped = False

    def drain(self) -> None:
        if not self._gateway.draining:
            self._gateway.draining = True
            asyncio.get_running_loop().call_later(self._drain, self.stop)

    def stop(self) -> None:
        """Accept no more, and let what is under way end; after FINISH seconds the process ends in any case."""
        if not self._stopped:
            self._stopped = self._gateway.draining = True
            self._server.stop()
            timer = threading.Timer(FINISH, os._exit, (1,))
            timer.daemon = True
            timer.start()


def _look_at_clock() -> None:
    """What time the database has; when it does not say, the last look goes on counting."""
    close_old_connections()
    with suppress(DatabaseError):
        clock.measure()


async def _keep_looking_at_clock() -> None:
    loop = asyncio.get_running_loop()
    while True:
        await loop.run_in_executor(None, _look_at_clock)
        await asyncio.sleep(clock.MEASURE_EVERY)


async def _serve(gateway: Any, host: str, port: int, drain: float) -> None:
    server = _server(gateway, host, port)
    ending = _Ending(gateway, server, drain)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.drain)
    loop.add_signal_handler(signal.SIGINT, ending.stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    # one thread, with one database connection, for what no request asks for: the clock and /readyz
    loop.set_default_executor(ThreadPoolExecutor(1, "beside"))
    looking = loop.create_task(_keep_looking_at_clock())
    await server.serve()
    looking.cancel()


def run(host: str, port: int, *, drain: float, parent: int) -> None:
    """Serve until told to end. Called in a forked process that has SIGTERM and SIGINT blocked."""
    figure_files.make_room()
    bound_statements(settings.CALOCK.database_seconds)
    gc.freeze()  # what was loaded before the fork stays shared
    threading.Thread(target=_end_with, args=(parent,), name="with-parent", daemon=True).start()
    uvloop.run(_serve(Gateway(application, readiness()), host, port, drain))
