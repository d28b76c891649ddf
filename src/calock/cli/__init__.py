"""The ``calock`` command. Each subcommand lives in a module of its own, imported only when it is called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

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


def _serve(arguments: list[str]) -> int:
    from calock.server.process.serve import main as run  # noqa: PLC0415 - the server's libraries only for the server

    return run(arguments) or 0


def _agent(arguments: list[str]) -> int:
    from calock.agent.main import main as run  # noqa: PLC0415 - the driver's libraries only for the driver

    return run(arguments) or 0


def _demo(arguments: list[str]) -> int:
    from calock.demo.command import main as run  # noqa: PLC0415 - the practice world only when asked for

    return run(arguments) or 0


def _manage(arguments: list[str]) -> int:
    import os  # noqa: PLC0415 - with Django below

    from django.core.management import execute_from_command_line  # noqa: PLC0415 - Django only when asked for

    from calock.server.process.startup_errors import MENDABLE, line_for  # noqa: PLC0415 - same

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


def _packages(arguments: list[str]) -> int:
    from calock.packages.command import main as run  # noqa: PLC0415 - the build only when asked for

    return run(arguments)


def _token(arguments: list[str]) -> int:
    from calock.cli.explain import explain_token as run  # noqa: PLC0415 - verification only when asked for

    return run(arguments)


def _certificate(arguments: list[str]) -> int:
    from calock.cli.explain import explain_certificate as run  # noqa: PLC0415 - verification only when asked for

    return run(arguments)


def _audit(arguments: list[str]) -> int:
    from calock.cli.audit import main as run  # noqa: PLC0415 - verification only when asked for

    return run(arguments)


def _evidence(arguments: list[str]) -> int:
    from calock.cli.evidence import evidence as run  # noqa: PLC0415 - verification only when asked for

    return run(arguments)


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "serve": _serve, "agent": _agent, "demo": _demo, "manage": _manage, "token": _token, "certificate": _certificate,
    "audit": _audit, "packages": _packages, "evidence": _evidence,
}  # fmt: skip


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
    run = _COMMANDS.get(command)
    if run is None:
        complain(f"calock: no command {command!r}; calock --help lists them")
        return UNUSABLE
    try:
        return run(arguments)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("calock"):
            raise
        complain(f"calock: {command} needs {error.name}, which is not installed: pip install 'calock[server,agent]'")
        return UNUSABLE
