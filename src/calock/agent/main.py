"""``calock agent``: the CA driver as a program, its command line and its start."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from starlette.types import ASGIApp

from calock import __version__
from calock.agent import config as configuration
from calock.agent.backends.libraries import find_libraries, known_names
from calock.agent.certificate_page import CertificatePage, TlsListener
from calock.agent.config import Config, ConfigError
from calock.agent.driver_key import DriverKey
from calock.agent.guard import Guard
from calock.agent.instance import AlreadyRunningError, Instance
from calock.agent.locks import LockTable
from calock.agent.memory import never_dumped
from calock.agent.modules import Module
from calock.agent.peer import listener_on
from calock.agent.private_file import why_not_own
from calock.agent.service import Service, application
from calock.agent.serving import NoPortError, listen, server_for
from calock.agent.status import StatusPage, open_status_page
from calock.agent.tls import TlsIdentity
from calock.agent.update_page import UpdatePage
from calock.agent.window import PinWindow
from calock.core.refusals import Reason
from calock.wire import driver as wire
from calock.wire.driver import PORTS, TLS_PORTS
from calock.wire.message_types import describe_message_types
from calock.wire.vendors import LibraryKind

log = logging.getLogger("calock.agent")

LOG_OCTETS = 256 * 1024
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="calock agent",
        description="The CA driver: lets the platforms you allow ask your CA locks to log in. Listens on 127.0.0.1 only.",
        epilog=f"Without options it reads {configuration.config_home() / 'agent.toml'} and agent.d/*.toml beside it.",
        argument_default=argparse.SUPPRESS,  # only what was asked for comes after what the files say
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this file instead of the user's own")
    parser.add_argument(
        "--origin", dest="origins", action="append", metavar="URL", help="allow this platform, e.g. https://www.example.gov.cn"
    )
    parser.add_argument("--soft-dir", metavar="DIR", help="directory of practice locks (created if missing)")
    parser.add_argument("--pkcs11", action="append", metavar="MODULE", help="PKCS#11 library of a vendor")
    parser.add_argument("--skf", action="append", metavar="LIB", help="SKF (GM/T 0016) library of a vendor")
    parser.add_argument("--find-skf", action="store_true", help="also use the known vendors' SKF libraries found on this computer")
    parser.add_argument("--find-pkcs11", action="store_true", help="the same with their PKCS#11 libraries")
    parser.add_argument(
        "--port", type=_port, metavar="N", help=f"listen here instead of the first free of {', '.join(map(str, PORTS))}"
    )
    parser.add_argument("--tls", action="store_true", help="listen with https too, for browsers that block http to this computer")
    parser.add_argument(
        "--tls-port",
        type=_port,
        metavar="N",
        help=f"with --tls: here instead of the first free of {', '.join(map(str, TLS_PORTS))}",
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="where the instance file lies")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--open", action="store_true", help="show the driver's status page, starting the driver if need be")
    parser.add_argument("--version", action="version", version=f"calock {__version__}")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)  # how a frozen program starts its workers
    parser.set_defaults(config=None, state_dir=None, open=False, worker=False)
    return parser


def _config(arguments: argparse.Namespace) -> Config:
    asked = {name: value for name, value in vars(arguments).items() if name in Config.__struct_fields__}
    for origin in asked.get("origins", ()):
        configuration.check_origin(origin)
    return configuration.load(arguments.config, asked)


def _found(kind: LibraryKind, names: tuple[str, ...], *, known: bool) -> list[str]:
    """Paths of the libraries on this computer that are called one of ``names`` or, if asked for, as a known vendor's."""
    return find_libraries(kind, (*names, *(known_names(kind) if known else ()))) if names or known else []


def modules_for(config: Config, table: LockTable) -> list[Module]:
    """Make one module per configured library; none of them runs yet."""
    found: dict[tuple[str, str], Module] = {}

    def add(module: Module) -> None:
        found.setdefault((module.kind, module.path), module)

    if config.soft_dir:
        add(Module("soft", str(Path(config.soft_dir).resolve()), changed=table.changed))
    for path in (*config.pkcs11, *_found("pkcs11", config.pkcs11_names, known=config.find_pkcs11)):
        add(Module("pkcs11", path, changed=table.changed))
    for path in (*config.skf, *_found("skf", config.skf_names, known=config.find_skf)):
        add(Module("skf", path, changed=table.changed))
    return list(found.values())


def _log_to_file(state: Path) -> None:
    """Keep a small log: a driver that is started at login has no window in which its reasons could be read.

    Raises:
        ConfigError: others may write the folder where the driver keeps its key.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if why := why_not_own(state):
        raise ConfigError(why)
    file = RotatingFileHandler(state / "agent.log", maxBytes=LOG_OCTETS, backupCount=1, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.getLogger().addHandler(file)


def _set_up_logging(level: str) -> None:
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(logging.Formatter(LOG_FORMAT))
    logging.getLogger().addHandler(screen)
    logging.getLogger().setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _complain(text: str) -> None:
    sys.stderr.write(f"calock agent: {text}\n")
    log.error(text)


def _secure(config: Config, state: Path) -> TlsListener | None:
    """Listen with TLS if that is configured. A failure is logged, and the plain port is served all the same."""
    if not config.tls:
        return None
    try:
        return TlsListener(TlsIdentity(state), listen(TLS_PORTS if config.tls_port is None else (config.tls_port,)))
    except (NoPortError, OSError) as error:
        log.error("no https: %s", error)  # noqa: TRY400 - a sentence for the user, without a traceback
        return None


def _taken_ports(config: Config, port: int) -> tuple[wire.DriverProblem, ...]:
    """Tell of the ports at which pages look before they look at ours: a program there may pretend to be the driver."""
    taken = PORTS[: PORTS.index(port)] if config.port is None else ()
    for before in taken:
        user = listener_on(before)
        whose = "another program" if user is None else "this user's own program" if user == os.getuid() else f"user {user}"
        log.warning("port %d, where pages look first, is taken by %s", before, whose)
    return tuple(wire.DriverProblem(module="", reason=Reason.DRIVER_PORT_TAKEN, label=str(before)) for before in taken)


async def run(
    config: Config, instance: Instance, listener: socket.socket, *, secure: TlsListener | None = None, show: bool = False
) -> None:
    """Serve until told to stop (SIGTERM, SIGINT)."""
    port: int = listener.getsockname()[1]
    tls_port = secure.port if secure else 0
    table = LockTable()
    table.own_problems = _taken_ports(config, port)
    service = Service(config, table, DriverKey(instance.directory))
    status = StatusPage(service, control=instance.control, port=port)
    window = PinWindow(service)
    certificate = CertificatePage(service, secure)

    async def opened() -> None:
        table.start(modules_for(config, table))
        table.changed()
        certificate.keep_fresh()
        instance.publish(port, tls_port)
        log.info("calock driver %s listens on 127.0.0.1:%d for %d platforms", __version__, port, len(config.origins))
        if show:
            status.show()

    routes = [*service.routes(), *window.routes(), *status.routes(), *certificate.routes(), *UpdatePage(service, status).routes()]
    app = application(routes, opened=opened, closed=table.close)
    guarded: ASGIApp = Guard(
        app, origins=config.origins, port=port, tls_port=tls_port, requests_per_second=config.requests_per_second
    )
    sockets = [listener]
    if config.compat.synctl:
        from calock.agent.compat.synctl import with_compat  # noqa: PLC0415 - only who switched it on loads it

        extra = None if config.compat.port is None else listen((config.compat.port,))
        sockets += [extra] if extra else []
        guarded = with_compat(guarded, service, port=port, extra_port=extra.getsockname()[1] if extra else None)
    await server_for(guarded, secure=(secure.listener, secure.identity.context) if secure else None).serve(sockets=sockets)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the driver. Exit status 0 after a clean stop, 1 when it cannot start, 2 for unusable arguments."""
    arguments = _parser().parse_args(argv)
    if arguments.worker:
        from calock.agent.worker import main as work  # noqa: PLC0415 - a worker is another program

        return work()
    never_dumped()
    os.umask(0o077)  # whatever the driver writes is its user's alone
    state = arguments.state_dir or configuration.state_home()
    try:
        _log_to_file(state)
        config = _config(arguments)
    except ConfigError as error:
        _complain(str(error))
        return 2
    _set_up_logging(config.log_level)
    try:
        instance = Instance(state)
    except AlreadyRunningError:
        if arguments.open and open_status_page(state):
            return 0
        _complain("the driver already runs for this user")
        return 1
    try:
        listener = listen(PORTS if config.port is None else (config.port,))
        describe_message_types()
        asyncio.run(run(config, instance, listener, secure=_secure(config, state), show=arguments.open))
    except NoPortError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        instance.close()
    return 0
