"""The WSGI entry point: granian's target."""

from __future__ import annotations

import os
import signal
import threading
import time
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from calock.wire.message_types import describe_message_types

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.process.settings")
application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # with all views, or the first requests would import them, several at once
describe_message_types()


GRACE = 10.0
"""Seconds that requests have to end in when the server is gone."""


def _end_with(server: int) -> None:
    """A worker whose server was killed would go on listening, watched and replaced by nobody."""
    while os.getppid() == server:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)  # somebody reads his answer slowly


if server := os.environ.get("CALOCK_SERVER_PID"):  # set by calock serve
    threading.Thread(target=_end_with, args=(int(server),), name="with-server", daemon=True).start()
