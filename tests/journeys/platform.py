"""A whole running platform for the journeys: practice world, CRL source, server, driver, with locks of every kind plugged in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent import soft_skf
from agent.softhsm import SoftHsm, make_softhsm
from serving import MAIN, put_static_files, warm_python

from calock.demo import pki
from calock.demo.children import Child, Children
from calock.demo.keyring import lock as practice_lock
from calock.demo.keyring import move
from calock.demo.people import PASSWORD, organisation
from calock.demo.place import Place
from calock.demo.ports import free_port
from calock.demo.practice import open_practice
from calock.demo.run import SERVE, _answers, _start_crl_source, calock_command, driver_port, start_mailbox

SkfPorts = dict[soft_skf.Width, soft_skf.SoftSkf]
SITES = {"shanxi": "shanxi.localhost", "zcy": "zcy.localhost"}


@dataclass(frozen=True)
class HardLock:
    """A lock that is not a practice file: in SoftHSM2, or behind the soft SKF library."""

    tail: str
    """Last four characters of the serial that the driver reports: how a page tells locks apart."""
    pin: str
    site: str
    owner: str
    """Username of the account that binds it."""


@dataclass
class Platform:
    """Addresses and directories of what is running."""

    place: Place
    port: int
    driver_port: int
    """Where the driver listens and this platform's pages look for one: no other platform of this computer shares it."""
    children: Children
    hard: dict[str, HardLock]
    environment: dict[str, str]
    """Of the server and of commands beside it."""
    driver_environment: dict[str, str]
    skf: SkfPorts
    driver: Child | None = None
    mailbox: str = ""
    """Address of the page with the mails and text messages that the server sent."""

    def address(self, site: str, path: str = "/") -> str:
        return f"http://{SITES[site]}:{self.port}{path}"

    def start_driver(self, *, usual_ports: bool = False) -> None:
        command = [calock_command(), "agent", *(() if usual_ports else ("--port", str(self.driver_port)))]
        log = self.place.logs / "driver.log"
        self.driver = self.children.add(Child("driver", command, log=log, environment=self.driver_environment))
        self.driver.wait_until(lambda: driver_port(self.place, self.address("shanxi")[:-1]) is not None)

    def stop_driver(self) -> None:
        assert self.driver is not None
        self.driver.stop()
        self.children._children.remove(self.driver)
        self.driver = None

    @contextmanager
    def usual_driver(self, origin: str) -> Iterator[None]:
        """The driver where every page looks for it, on the first free one of its ports, with one more origin on its list."""
        more = self.place.driver_home / "calock" / "agent.d" / "public.toml"
        more.parent.mkdir(exist_ok=True, mode=0o700)
        more.write_text(f"origins = [{json.dumps(origin)}]\n", "utf-8")
        more.chmod(0o600)
        self.stop_driver()
        self.start_driver(usual_ports=True)
        yield
        more.unlink()
        self.stop_driver()
        self.start_driver()

    def plug(self, name: str, *, plugged: bool = True) -> None:
        move(self.place.locks, practice_lock(name), plugged=plugged)

    def logs(self) -> str:
        return "".join(path.read_text("utf-8", "replace") for path in self.place.logs.glob("*.log"))

    def manage(self, *command: str) -> str:
        done = warm_python().run(["-c", MAIN, "manage", *command], environment={**os.environ, **self.environment})
        assert done.returncode == 0, done.stderr
        return done.stdout


def _hard_locks(place: Place, tokens: Path) -> tuple[dict[str, HardLock], SoftHsm, SkfPorts, dict[soft_skf.Width, Path]]:
    """Make locks of the practice CAs in SoftHSM2 and behind the soft SKF library."""
    practice = open_practice(place.root)
    now = datetime.now(UTC).replace(microsecond=0)

    def issued(family: str, holder: str, lock_id: str, algorithm: pki.Algorithm) -> soft_skf.Pair:
        key, sample = pki.make_key(algorithm), organisation(holder)
        certificate = practice.families[family].issuing.issue_lock(
            sample.name, key, not_before=now - timedelta(days=30), not_after=now + timedelta(days=700),
            organisation=sample.name, uscc=sample.uscc, lock_id=lock_id,
        )  # fmt: skip
        return soft_skf.Pair(key, certificate)

    hard: dict[str, HardLock] = {}
    hsm = make_softhsm(tokens / "hsm")
    assert hsm, "these tests need SoftHSM2"
    for name, family, holder, algorithm, pin, site, owner in (
        ("hsm-rsa", "tiangu-rsa", "supplier", "RSA", "654321", "shanxi", "cssbjgys02"),
        ("hsm-p256", "zcy-p256", "zcy", "EC", "012345", "zcy", "yuhaiqin"),
    ):
        hsm.add_token(name, pin)
        serial = _token_serial(hsm, name)
        pair = issued(family, holder, serial, algorithm)
        hsm.put(name, pin, pair.key, pair.certificate)
        hard[name] = HardLock(serial[-4:], pin, site, owner)
    libraries = soft_skf.build(tokens / "lib")
    skf = {width: soft_skf.SoftSkf(tokens / f"skf{width}") for width in soft_skf.WIDTHS}
    for width, name, family, holder, algorithm, serial, site, owner in (
        (32, "skf32-sm2", "huren-sm2", "supplier", "SM2", "7301409900001101", "shanxi", "cssbjgys02"),
        (32, "skf32-rsa", "tiangu-rsa", "supplier", "RSA", "7301409900001102", "shanxi", "cssbjgys02"),
        (32, "skf32-zcy", "zcy-sm2", "zcy", "SM2", "3301009900001103", "zcy", "yuhaiqin"),
        (64, "skf64-sm2", "huren-sm2", "supplier", "SM2", "7301409900001104", "shanxi", "cssbjgys02"),
        (64, "skf64-rsa", "tiangu-rsa", "zcy", "RSA", "3301009900001105", "zcy", "yuhaiqin"),
        (64, "skf64-zcy", "zcy-sm2", "zcy", "SM2", "3301009900001106", "zcy", "yuhaiqin"),
    ):
        skf[width].add(name, {"SIGN": (issued(family, holder, serial, algorithm), None)}, serial=serial)
        hard[name] = HardLock(serial[-4:], soft_skf.PIN, site, owner)
    return hard, hsm, skf, libraries


def _token_serial(hsm: SoftHsm, label: str) -> str:
    """What the token calls itself, as ``softhsm2-util`` shows it."""
    shown = subprocess.run(
        ["softhsm2-util", "--show-slots"], env={**os.environ, **hsm.environment}, capture_output=True, text=True, check=True
    ).stdout
    serial = ""
    for line in shown.splitlines():
        name, _, value = line.strip().partition(":")
        if name == "Serial number":
            serial = value.strip()
        elif name == "Label" and value.strip() == label:
            return serial
    raise AssertionError(f"no token {label}")


def prepare(root: Path) -> None:
    """Make the practice world on a migrated database, with the driver packages for this computer."""
    code = "import sys, pathlib; from calock.demo import place, run, world; from worlds import migrated; root = sys.argv[1]; "
    code += "world._migrate = lambda: migrated.put(f'{root}/calock.sqlite3'); "
    code += "run.prepare(place.Place(pathlib.Path(root)), packages=True, say=print)"
    environment = {**os.environ, **_environment(root), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, str(root)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _environment(root: Path) -> dict[str, str]:
    """Of the platform's programs: their own data and settings instead of the tests'."""
    settings = "calock.server.process.settings"
    return {"CALOCK_DATA": str(root), "CALOCK_INSECURE_HTTP": "1", "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": settings}


@contextmanager
def running(root: Path, tokens: Path, *, port: int) -> Iterator[Platform]:
    """Run the practice world at ``root`` until the block ends."""
    place, driver = Place(root), free_port(0)
    environment = _environment(root) | {"CALOCK_PUBLIC_PORT": str(port), "CALOCK_DRIVER_PORTS": str(driver)}
    with Children() as children:
        hard, hsm, skf, libraries = _hard_locks(place, tokens)
        driver_environment = _configure_driver(place, port, pkcs11=Path(hsm.module), skf=libraries.values())
        driver_environment |= {**hsm.environment, "SOFTSKF_DIR": str(skf[32].root), "SOFTSKF_DIR64": str(skf[64].root)}
        platform = Platform(place, port, driver, children, hard, environment, driver_environment, skf)
        base = _start_crl_source(children, place)
        moved = (
            "import sys, pathlib; from calock.demo import world; "
            "world.build(pathlib.Path(sys.argv[1])); world.move_crl_source(sys.argv[2]); world.move_destination('sms', sys.argv[3])"
        )
        mail, platform.mailbox = start_mailbox(children, place)
        environment |= mail
        moves = [sys.executable, "-c", moved, str(root), base, f"{platform.mailbox}sms"]
        subprocess.run(moves, env={**os.environ, **environment}, check=True)
        platform.start_driver()
        put_static_files(root)
        command = [sys.executable, "-c", SERVE, "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
        server = children.add(Child("server", command, log=place.logs / "server.log", environment=environment))
        server.wait_until(lambda: _answers(port, "/api/site") is not None)
        yield platform


def _configure_driver(place: Place, port: int, *, pkcs11: Path, skf: Iterable[Path]) -> dict[str, str]:
    """Write the driver's configuration; return the environment that makes it read this one."""
    folder = place.driver_home / "calock"
    folder.mkdir(exist_ok=True, mode=0o700)
    settings = {
        "origins": [f"http://{host}:{port}" for host in (*SITES.values(), "127.0.0.1", "localhost")],
        "soft_dir": str(place.locks),
        "pkcs11": [str(pkcs11)],
        "skf": [str(library) for library in skf],
        "signatures_per_minute": 600,
    }
    file = folder / "agent.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()), "utf-8")
    file.chmod(0o600)
    return {"XDG_CONFIG_HOME": str(place.driver_home), "XDG_STATE_HOME": str(place.driver_home / "state")}


__all__ = ["PASSWORD", "SITES", "HardLock", "Platform", "running"]
