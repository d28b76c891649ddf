"""Whose the files of this machine are: what another user writes there, the server cannot read."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from django.conf import settings
from django.core.management import CommandError


def require_owner() -> None:
    """Return when this process runs as the user to whom ``CALOCK_DATA`` belongs.

    Raises:
        CommandError: it does not; the text says as whom to run the command.
    """
    data = Path(settings.CALOCK.data)
    owner = data.stat().st_uid if data.exists() else os.geteuid()
    if owner != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise CommandError(f"{data} belongs to {name}, and the server could not read what you write there: sudo -u {name} …")
