"""Drivers for the tests: a real process each, on a free port, with practice locks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent.driving import DriverProcess, make_lock
from agent.softhsm import Shim, SoftHsm, build_shim, make_softhsm
from worlds.workers import made_once

FAULT_DRIVER = (str(Path(__file__).with_name("fault_driver.py")),)
Start = Callable[..., DriverProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start drivers; all of them end with the test. ``faulty``: workers that misbehave on demand. ``impatient``: short limits."""
    running: list[DriverProcess] = []

    def begin(*, faulty: bool = False, impatient: bool = False, **options: Any) -> DriverProcess:
        directory = tmp_path / f"driver{len(running)}"
        directory.mkdir()
        if faulty or impatient:
            options["program"] = FAULT_DRIVER
            options["environment"] = {**options.get("environment", {}), "FAULTY": "1" if faulty else ""}
        driver = DriverProcess(directory, **options)
        running.append(driver)
        return driver

    yield begin
    for driver in running:
        driver.close()


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    """Directory of practice locks for ``start(soft_dir=locks)``."""
    return tmp_path / "locks"


@pytest.fixture
def driver(start, locks: Path) -> DriverProcess:
    make_lock(locks)
    return start(soft_dir=locks)


@pytest.fixture
def hsm(tmp_path: Path) -> SoftHsm:
    found = make_softhsm(tmp_path / "hsm")
    if found is None:
        pytest.skip("SoftHSM2 is not installed (Debian: softhsm2)")
    return found


@pytest.fixture
def shim(hsm: SoftHsm, tmp_path_factory: pytest.TempPathFactory) -> Shim:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: the library with habits cannot be built")
    return Shim(hsm, str(made_once(tmp_path_factory, "shim", build_shim) / "libshim.so"))


@pytest.fixture(scope="module")
def shared_driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriverProcess]:
    """One driver with one SM2 lock for a whole module, for requests that change nothing; without rate limits in the way."""
    directory = tmp_path_factory.mktemp("shared")
    settings = directory / "agent.toml"
    settings.write_text("signatures_per_minute = 60000\nrequests_per_second = 2000\n")
    make_lock(directory / "locks")
    with DriverProcess(directory, options=["--config", str(settings)]) as driver:
        yield driver


@pytest.fixture
def begin(start: Start, shim: Shim) -> Start:
    """Start a driver with SoftHSM2's tokens behind a library of these habits."""

    def run(*habits: str, **options: Any) -> DriverProcess:
        shim.habits(*habits)
        return start(options=["--pkcs11", shim.module], environment=shim.environment, **options)

    return run
