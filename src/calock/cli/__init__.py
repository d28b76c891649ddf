"""The ``calock`` command. Each subcommand lives in a module of its own, imported only when it is called."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Sequence

from calock import __version__
from calock.cli.output import UNWRITTEN, OutputError, complain, prepare, show

USAGE = """\
calock: bind hardware CA locks (CA 锁) to accounts of a procurement platform, and log in with lock and PIN

usage: calock COMMAND [OPTION…]        calock COMMAND --help says more

  token explain         judge one login answer from standard input, offline, check by check
  certificate explain   judge one certificate, offline, check by check
  audit verify          verify an archive of the audit trail, offline
  evidence verify       judge a receipt (存证回执), offline
  demo                  run both sites with practice CAs, locks and accounts on this computer
  agent                 run the CA driver on this computer (for people who hold a lock)
  serve                 run the server (for operators)
  manage                operate the server's data: migrate, createsuperuser, …
  packages build        build and sign the driver packages of the download centre

  --version             print the version
  --help                print this
"""

UNUSABLE = 2
"""Exit status for arguments that cannot be used."""


_COMMANDS = {
    "serve": "calock.server.process.serve:main",
    "agent": "calock.agent.main:main",
    "demo": "calock.demo.command:main",
    "manage": "calock.cli.manage:main",
    "packages": "calock.packages.command:main",
    "token": "calock.cli.explain:explain_token",
    "certificate": "calock.cli.explain:explain_certificate",
    "audit": "calock.cli.audit:main",
    "evidence": "calock.cli.evidence:evidence",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments.pop(0) if arguments else "--help"
    prepare()
    try:
        if command in ("-h", "--help", "help"):
            show(USAGE)
            return 0
        if command in ("-V", "--version", "version"):
            show(f"calock {__version__}\n")
            return 0
        return _call(command, arguments)
    except OutputError as error:
        complain(f"calock: what was to be printed could not be written: {error}")
        return UNWRITTEN
    except BrokenPipeError:  # the reader of our output went away, e.g. ``| head``
        sys.stderr.close()
        return 141


def _call(command: str, arguments: list[str]) -> int:
    if command not in _COMMANDS:
        complain(f"calock: no command {command!r}; calock --help lists them")
        return UNUSABLE
    try:
        return pkgutil.resolve_name(_COMMANDS[command])(arguments) or 0
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("calock"):
            raise
        complain(f"calock: {command} needs {error.name}, which is not installed: pip install 'calock[server,agent]'")
        return UNUSABLE
