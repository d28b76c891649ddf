"""Run the demonstration: CRL source, driver and server, until Ctrl-C."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType

from calock.agent.instance import read_running_instance
from calock.demo.children import Child, ChildError, Children
from calock.demo.packages import add_packages
from calock.demo.place import Place
from calock.demo.ports import free_port
from calock.demo.practice import Practice, require_ours
from calock.demo.story import story
from calock.demo.world import build, move_crl_source, move_destination
from calock.server.tools.files import locked
from calock.wire.driver import HEADER, HELLO_PATH

USUAL_PORTS = range(8000, 8010)
"""The practice driver packages allow the practice sites on these; another port works with the demonstration's own driver only."""
CRL_PORT = 8790
APPLICATION_PORTS = {"procurement": 8791, "mall": 8792}
TIMESTAMP_PORT = 8793
MAILBOX_PORT = 8794
MAIL_PORTS = (8795, 8796)
SERVE = "import sys; from calock.server.process.serve import main; sys.exit(main(sys.argv[1:]))"
HOSTS = ("shanxi.localhost", "zcy.localhost", "127.0.0.1", "localhost")


class AlreadyRunningError(RuntimeError):
    """Another demonstration runs on the same data."""


def origins(ports: range | list[int]) -> list[str]:
    """Origins of both practice sites on these ports."""
    return [f"http://{host}:{port}" for port in ports for host in HOSTS]


@contextlib.contextmanager
def only_one(place: Place) -> Iterator[None]:
    """Hold the world's lock.

    Raises:
        AlreadyRunningError: another process holds it.
        WorldError: the directory is somebody else's.
    """
    require_ours(place)
    place.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(place.lock, wait=lambda: False) as ours:
        if not ours:
            raise AlreadyRunningError(f"a demonstration already runs on {place.root}")
        yield


def calock_command() -> str:
    """The ``calock`` command beside the Python that runs us."""
    beside = Path(sys.executable).parent / "calock"
    return str(beside) if beside.exists() else "calock"


def _answers(port: int, path: str, *, body: str | None = None, headers: dict[str, str] | None = None) -> dict[str, object] | None:
    """JSON object that 127.0.0.1:``port`` answers with status 200 (empty when it is not JSON); None when it does not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST" if body is not None else "GET", path, body, headers or {})
        reply = connection.getresponse()
        text = reply.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if reply.status != http.client.OK:
        return None
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}


def driver_port(place: Place, origin: str) -> int | None:
    """Port on which the demonstration's own driver answers ``origin``; None while it does not."""
    note = read_running_instance(place.driver_home / "state" / "calock")
    if note is None:
        return None
    headers = {"Origin": origin, "Content-Type": "application/json", HEADER: "1"}
    hello = _answers(note.port, HELLO_PATH, body="{}", headers=headers)
    return note.port if hello and hello.get("driver") == "calock" else None


def is_up(port: int) -> bool:
    return _answers(port, "/") is not None


def _start_source(children: Children, name: str, arguments: list[str], *, told: Path, log: Path) -> tuple[Child, str]:
    """One of our own servers, and the text that it writes to the file ``told`` when it listens."""
    told.unlink(missing_ok=True)
    source = children.add(Child(name, [sys.executable, "-m", *arguments], log=log))
    source.wait_until(told.exists)
    return source, told.read_text("utf-8")


def _start_crl_source(children: Children, place: Place) -> str:
    port = _port_of(place.notes().get("crl_base", "")) or CRL_PORT
    arguments = ["calock.demo.crl_source", str(place.root), str(port)]
    source, base = _start_source(children, "CRL source", arguments, told=place.crl_address, log=place.logs / "crl-source.log")
    source.wait_until(lambda: _answers(_port_of(base), "/huren-sm2.crl") is not None)
    return base


def _start_timestamp_source(children: Children, place: Place) -> None:
    """The practice time-stamp authority; the server is told its CA by the environment, and its address as a destination."""
    arguments = ["calock.demo.timestamp_source", str(place.timestamps), str(TIMESTAMP_PORT)]
    told, log = place.timestamps / "address", place.logs / "timestamps.log"
    move_destination("timestamp", _start_source(children, "time-stamp authority", arguments, told=told, log=log)[1])


def start_mailbox(children: Children, place: Place) -> tuple[dict[str, str], str]:
    """The practice mailbox: what of it the server is told by the environment, and the address of its page."""
    arguments = ["calock.demo.mail_source", str(place.mailbox), str(free_port(*MAIL_PORTS)), str(MAILBOX_PORT)]
    told, log = place.mailbox / "address", place.logs / "mailbox.log"
    smtp_port, page = _start_source(children, "mailbox", arguments, told=told, log=log)[1].split()
    return {"CALOCK_MAIL": f"smtp://127.0.0.1:{smtp_port}", "CALOCK_MAIL_FROM": "no-reply@platform.example"}, page


def _port_of(base: str) -> int:
    return int(base.rstrip("/").rpartition(":")[2] or 0)


def _start_driver(children: Children, place: Place, port: int) -> int:
    folder = place.driver_home / "calock"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    allowed = json.dumps(origins([*USUAL_PORTS, *([] if port in USUAL_PORTS else [port])]))
    settings = folder / "agent.toml"
    settings.write_text(f"origins = {allowed}\nsoft_dir = {json.dumps(str(place.locks))}\n", "utf-8")
    settings.chmod(0o600)  # the driver reads no configuration that others may write, whatever the umask is
    home = {"XDG_CONFIG_HOME": str(place.driver_home), "XDG_STATE_HOME": str(place.driver_home / "state")}
    driver = children.add(Child("driver", [sys.executable, "-m", "calock.agent"], log=place.logs / "driver.log", environment=home))
    found: list[int] = []

    def listening() -> bool:
        found.extend(filter(None, [driver_port(place, f"http://shanxi.localhost:{port}")]))
        return bool(found)

    driver.wait_until(listening)
    return found[0]


def _start_server(children: Children, place: Place, port: int, mail: dict[str, str]) -> None:
    command = [sys.executable, "-c", SERVE, "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    environment = {"CALOCK_PUBLIC_PORT": str(port), "CALOCK_TIMESTAMP_CA": str(place.timestamps / "ca.pem"), **mail}
    server = children.add(Child("server", command, log=place.logs / "server.log", environment=environment))
    server.wait_until(lambda: _answers(port, "/api/site") is not None)


def _start_applications(children: Children, place: Place, port: int) -> list[str]:
    """The sample applications, on origins of their own; where they are."""
    from calock.demo.applications.registration import register_mall, register_procurement  # noqa: PLC0415 - Django is set up by now

    found = []
    samples = (("procurement", "caigou", register_procurement), ("mall", "maichang", register_mall))
    for name, host, register in samples:
        noted = f"{name}_port"
        own = free_port(place.notes().get(noted, APPLICATION_PORTS[name]), APPLICATION_PORTS[name])
        place.write_notes({**place.notes(), noted: own})
        command = [sys.executable, "-m", f"calock.demo.applications.{name}", *register(place, port=own, platform_port=port)]
        loopback = {"OAUTHLIB_INSECURE_TRANSPORT": "1"}  # plain http, as all of the demonstration
        child = children.add(Child(f"application {name}", command, log=place.logs / f"{name}.log", environment=loopback))
        child.wait_until(partial(is_up, own))
        found.append(f"http://{host}.localhost:{own}/")
    return found


def run(place: Place, *, port: int, packages: bool, say: Callable[[str], None]) -> None:
    """Prepare the world, start everything, tell the story, wait for SIGINT or SIGTERM, stop everything.

    Raises:
        AlreadyRunningError, WorldError, ChildError: see there.
    """
    with only_one(place):
        practice = prepare(place, packages=packages, say=say)
        chosen = free_port(port, *USUAL_PORTS)
        stop: list[int] = []

        def asked(number: int, _: FrameType | None) -> None:
            stop.append(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, asked)
        with Children() as children:
            base = _start_crl_source(children, place)
            move_crl_source(base)
            _start_timestamp_source(children, place)
            mail, mailbox = start_mailbox(children, place)
            move_destination("sms", f"{mailbox}sms")
            place.write_notes({**place.notes(), "crl_base": base, "port": chosen})
            driver = _start_driver(children, place, chosen)
            _start_server(children, place, chosen, mail)
            samples = _start_applications(children, place, chosen)
            if packages:
                log = place.logs / "packages.log"
                children.add(
                    Child("packages", [sys.executable, "-m", "calock.demo.packages", str(place.root)], log=log, passing=True)
                )
            named = {"command": calock_command(), "mailbox": mailbox}
            say(story(practice.place, port=chosen, driver_port=driver, applications=samples, **named))
            with contextlib.suppress(KeyboardInterrupt):
                children.watch(lambda: bool(stop))
            say("正在停止… Stopping…")


def prepare(place: Place, *, packages: bool, everything: bool = False, say: Callable[[str], None]) -> Practice:
    """Make the world if it is not there, and the driver packages for this computer or for all. Slow steps are announced."""
    first = not place.notes().get("made")
    if first:
        say(f"首次运行：正在 {place.root} 准备练习环境，约需一分钟… First run: preparing the practice world, about a minute…")
    practice = build(place.root, crl_port=CRL_PORT)
    if packages:
        add_packages(place, everything=everything, say=say)
    return practice


__all__ = ["AlreadyRunningError", "ChildError", "driver_port", "only_one", "origins", "prepare", "run"]
