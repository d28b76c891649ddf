"""What the server writes to its standard error: one JSON line per event, from every part, with the time in UTC.

Each line has ``time``, ``level``, ``logger`` and ``event``; ``request`` is the id of the request that was being answered
(``calock.server.tools.request_id``), ``exception`` a traceback. No line for a mere refusal: refusals are audit rows, and a line for
each would let anybody fill the disk. One line for each request is written by ``access_log``, unless ``CALOCK_ACCESS_LOG=0``.
"""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from calock.server.tools import request_id


def _add_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    if current := request_id.current():
        event["request"] = current
    return event


_EVERY_LINE: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _add_request,
    structlog.processors.format_exc_info,
]


def _formatter() -> structlog.stdlib.ProcessorFormatter:
    """For lines of ours, which have passed ``_EVERY_LINE``, and of libraries and Django, which have not."""
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str, sort_keys=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_EVERY_LINE, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render]
    )


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": _formatter}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "calock": {"level": "INFO"},
        "django.request": {"level": "CRITICAL"},  # failures of ours are logged with their number by calock.server.web.errors
        "django.security": {"level": "CRITICAL"},  # what anybody may send; calock.server.web.errors refuses it, with a row
    },
}
GRANIAN: dict[str, Any] = {"loggers": {"_granian": {"handlers": [], "propagate": True}}}
"""The HTTP server's own lines go the way of all others."""


def configure() -> None:
    """Send structlog's events through the standard loggers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_EVERY_LINE,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
