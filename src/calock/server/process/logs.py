"""What the server writes to its standard error: one line per event, JSON from our own code; no line for a mere refusal.

Refusals are audit rows; a line for each would let anybody fill the disk.
"""

from __future__ import annotations

from typing import Any

import structlog

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "calock": {"level": "INFO"},
        "django.request": {"level": "CRITICAL"},  # failures of ours are logged with their number by calock.server.web.errors
        "django.security": {"level": "ERROR"},
    },
}


def configure() -> None:
    """Send structlog's events through the standard loggers."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
