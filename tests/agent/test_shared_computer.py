"""A computer with several users: ports, other users' connections, files that others could have written."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from agent.driving import DriverProcess, until, warm_python
from serving import free_port

from calock.agent import peer
from calock.agent.config import ConfigError, load
from calock.wire.driver import PORTS

NOBODY = 65534
as_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="becoming another user takes root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's socket table is Linux's")
LOOKING_AT = "import sys; from calock.agent import main; main.PORTS = ({},); sys.exit(main.main())"


@contextmanager
def taken(count: int) -> Iterator[list[int]]:
    """So many ports on which other programs listen."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        yield [listener.getsockname()[1] for listener in listeners]


class AnyPort(DriverProcess):
    """A driver that chooses among these ports instead of the usual ones, which other drivers of this computer use."""

    def __init__(self, directory: Path, *ports: int, **options: Any) -> None:
        program = ("-c", LOOKING_AT.format(", ".join(map(str, ports))))
        super().__init__(directory, program=program, port=None, **options)


# --- ports


def test_there_is_a_port_for_each_of_sixteen_users() -> None:
    assert len(PORTS) == len(set(PORTS)) == 16


def test_the_fifth_user_has_a_driver_and_it_says_that_others_came_first(tmp_path: Path) -> None:
    with taken(4) as others, AnyPort(tmp_path, *others, mine := free_port()) as driver:
        assert driver.port == mine
        problems = driver.call("/v1/locks").json["problems"]
        assert [(problem["module"], problem["reason"], problem["label"]) for problem in problems] == [
            ("", "DRIVER_PORT_TAKEN", str(port)) for port in others
        ]
        for port in others:
            assert f"port {port}, where pages look first, is taken by" in driver.log


def test_on_the_first_port_there_is_nothing_to_say(tmp_path: Path) -> None:
    with AnyPort(tmp_path, free_port(), free_port()) as driver:
        assert driver.problems() == []


def test_without_a_free_port_the_reason_stands_in_the_log_of_a_driver_that_nobody_watches(tmp_path: Path) -> None:
    with taken(2) as others:
        command = [sys.executable, "-c", LOOKING_AT.format(", ".join(map(str, others))), "--state-dir", str(tmp_path / "state")]
        environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
        ended = subprocess.run(command, stderr=subprocess.DEVNULL, env=environment, timeout=60, check=False)
    assert ended.returncode == 1
    said = (tmp_path / "state" / "agent.log").read_text("utf-8")
    assert "no free port" in said
    assert all(str(port) in said for port in others)


@on_linux
def test_who_listens_on_a_port_is_read_from_the_kernel() -> None:
    with taken(1) as (port,):
        assert peer.listener_on(port) == os.getuid()
    assert peer.listener_on(port) is None


# --- other users' programs


@as_root
@on_linux
def test_another_users_connections_do_not_keep_the_owner_out(start) -> None:
    """More of them than connections are served at once."""
    driver = start()
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            idle = [socket.create_connection(("127.0.0.1", driver.port)) for _ in range(140)]
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            del idle
        finally:
            os._exit(0)
    try:
        os.read(ready[0], 1)
        for _ in range(20):
            assert driver.call("/v1/hello").status == 200
    finally:
        os.write(go[1], b"x")
        os.waitpid(child, 0)


# --- files that others could have written


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    found = tmp_path / "calock"
    (found / "agent.d").mkdir(parents=True, mode=0o700)
    found.chmod(0o700)
    for path in (found / "agent.toml", found / "agent.d" / "package.toml"):
        path.write_text('origins = ["https://www.gov.example"]\n')
        path.chmod(0o600)
    return found


def test_what_only_its_user_can_write_is_read(home: Path) -> None:
    home.joinpath("agent.toml").chmod(0o644)  # that others may read it harms nobody
    assert load().origins == ("https://www.gov.example",)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
@pytest.mark.parametrize("name", ["agent.toml", "agent.d/package.toml"])
def test_a_file_that_others_may_write_is_refused_and_named(home: Path, name: str, mode: int) -> None:
    home.joinpath(name).chmod(mode)
    with pytest.raises(ConfigError) as refused:
        load()
    assert str(home / name) in str(refused.value)
    assert "chmod go-w" in str(refused.value)


@pytest.mark.parametrize("folder", [".", "agent.d"])
def test_a_folder_that_others_may_write_is_refused_and_named(home: Path, folder: str) -> None:
    place = (home / folder).resolve()
    place.chmod(0o777)
    with pytest.raises(ConfigError) as refused:
        load()
    assert f"others may write {place}" in str(refused.value)


@as_root
def test_a_file_of_another_user_is_refused(home: Path) -> None:
    os.chown(home / "agent.toml", NOBODY, NOBODY)
    with pytest.raises(ConfigError, match="belongs to another user"):
        load()


def test_a_link_is_judged_by_where_it_leads(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "open"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    (elsewhere / "more.toml").write_text("")
    (home / "agent.d" / "more.toml").symlink_to(elsewhere / "more.toml")
    with pytest.raises(ConfigError, match="others may write"):
        load()


def test_a_file_of_ones_own_in_a_folder_like_tmp_is_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    file = tmp_path / "agent.toml"
    file.write_text("tls = true\n")
    file.chmod(0o600)
    assert load(file).tls


def test_the_driver_does_not_start_with_such_a_file(home: Path, tmp_path: Path) -> None:
    home.joinpath("agent.toml").chmod(0o666)
    command = ["-m", "calock.agent", "--state-dir", str(tmp_path / "state"), "--port", "0"]
    ended = warm_python().run(command, environment=os.environ)
    assert ended.returncode == 2
    assert str(home / "agent.toml") in ended.stderr
    assert str(home / "agent.toml") in (tmp_path / "state" / "agent.log").read_text("utf-8")


def test_a_state_folder_that_others_may_write_is_refused(home: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    command = ["-m", "calock.agent", "--state-dir", str(state), "--port", "0"]
    ended = warm_python().run(command, environment=os.environ)
    assert ended.returncode == 2
    assert str(state) in ended.stderr
    until(lambda: not (state / "agent.json").exists(), "nothing to be left")
