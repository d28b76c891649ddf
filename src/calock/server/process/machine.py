"""What a machine must have that no setting gives: looked at first, so that its lack is a sentence then and no 500 later."""

from __future__ import annotations

import tempfile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calock.server.process.config import ConfigError
from calock.wire.driver import TIME_ZONE


def require() -> None:
    """Return when there is a folder for temporary files, and the time zone that pages print is known.

    Raises:
        ConfigError: there is none; the text says what to do.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise ConfigError(
            "no folder for temporary files can be written, and uploads and exports need one: "
            "PrivateTmp=yes in the unit, a tmpfs at /tmp in a container, or TMPDIR"
        ) from error
    try:
        ZoneInfo(TIME_ZONE)
    except ZoneInfoNotFoundError as error:
        raise ConfigError(f"this machine does not know the time zone {TIME_ZONE}: install the package tzdata") from error
