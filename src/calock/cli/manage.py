"""``calock manage``: Django's commands on the server's data; what an operator can mend is one line."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from calock.server.process.startup_errors import MENDABLE, line_for


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "calock.server.process.settings")
    try:
        execute_from_command_line(["calock manage", *arguments])
    except MENDABLE as error:
        line = line_for(error)
        if line is None or "--traceback" in arguments:
            raise
        sys.stderr.write(f"calock manage: {line}\n")
        return 1
    return 0
