"""``calock manage register_application FILE``: register an application without the console, as the server's owner.

For a new server and for tries. On a server that people use, 应用接入 in the console does it: two operators decide there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.core.refusals import Refusal
from calock.server.applications.installation import install_application
from calock.server.applications.services import new_secret
from calock.server.tools.digests import digest


class Command(BaseCommand):
    help = "register an application, or change the one of the same client_id, as a JSON file says (- reads standard input)"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="JSON object; docs/integrate.md says what may stand in it")
        parser.add_argument("--new-secret", action="store_true", help="make a client secret, print it once, keep its SHA-256")

    def handle(self, *_: Any, **options: Any) -> None:
        text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text("utf-8")
        try:
            values = json.loads(text)
            secret = new_secret() if options["new_secret"] else ""
            if secret:
                values["secrets"] = [digest(secret)]
            row = install_application(values)
        except (ValueError, TypeError, OSError) as error:
            raise CommandError(f"not a JSON object: {error}") from error
        except Refusal as refusal:
            raise CommandError(f"{refusal.reason}: {refusal.detail}") from refusal
        self.stdout.write(f"client_id={row.client_id}" + (f" client_secret={secret}" if secret else ""))
