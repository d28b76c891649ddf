"""``/metrics`` for Prometheus, on a port of its own: what all processes of this machine counted, and how it stands."""

from __future__ import annotations

import os
import signal
import threading
import time

from django.conf import settings
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from calock.server.jobs.figures import StateCollector
from calock.server.tools.statement_limits import bound_statements

END = (signal.SIGTERM, signal.SIGINT)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def run(host: str, port: int, *, parent: int) -> None:
    """Answer until told to end. Called in a forked process that has SIGTERM and SIGINT blocked."""
    bound_statements(settings.CALOCK.database_seconds)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    registry = CollectorRegistry()
    registry.register(StateCollector())
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has types for some of it
    start_http_server(port, host, registry)
    signal.sigwait(END)
