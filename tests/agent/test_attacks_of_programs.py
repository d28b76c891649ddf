"""The driver among other users and programs of its computer: rows B14 to B17, B21, B22, B24 and B30 of the attack catalogue.

What a browser does with them is in test_hostile_web.py. The table of rows, defences and tests is docs/threats.md.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, DriverProcess, http_head, make_certificate, make_lock, raw, until

from calock.agent import config, peer
from calock.agent.serving import NoPortError, listen
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal
from calock.demo import pki

SOURCE = Path(config.__file__).parent


# --- B14: another user of this computer


def _as_nobody(driver: DriverProcess) -> bytes:
    """Ask hello from a process of another user."""
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(near)
        os.setgid(65534)
        os.setuid(65534)
        try:
            answer = raw(driver, http_head(driver, "/v1/hello", Origin=ORIGIN, Content_Length="2") + b"{}")
            os.write(far, answer[:1000])
        finally:
            os._exit(0)
    os.close(far)
    os.waitpid(child, 0)
    with os.fdopen(near, "rb") as file:
        return file.read()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="becoming another user takes root")
def test_b14_another_user_is_refused_like_any_stranger(driver) -> None:
    answer = _as_nobody(driver)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"calock" not in answer
    assert driver.call("/v1/hello").status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's socket table is Linux's")
def test_b14_the_owner_of_a_connection_is_read_from_the_kernel() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.getsockname()) as client:
            assert peer.owner_of(client.getsockname(), server.getsockname()) == os.getuid()
            assert peer.is_same_user(client.getsockname(), server.getsockname())
        assert not peer.is_same_user(("127.0.0.1", 1), server.getsockname())
        assert not peer.is_same_user(None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's socket table is Linux's")
def test_b14_also_through_an_ipv6_socket() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.socket(socket.AF_INET6) as client:
            client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
            near = ("127.0.0.1", client.getsockname()[1])
            assert peer.owner_of(near, server.getsockname()) == os.getuid()


# --- B15, B16, B17, B21, B22, B24, B30: the program among other programs


def test_b15_a_squatter_is_passed_by_and_cannot_be_joined() -> None:
    with socket.socket() as squatter, socket.socket() as other:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
        other.close()
        taken = squatter.getsockname()[1]
        mine = listen((taken, free))
        assert mine.getsockname() == ("127.0.0.1", free)
        with pytest.raises(NoPortError):
            listen((taken, free))
        mine.close()


def test_b15_what_a_squatter_signs_is_refused() -> None:
    """A program in the driver's place has no lock's key: the server checks the answer and believes nothing else of it."""
    certificate = Certificate.parse(make_certificate(pki.make_key("SM2")))
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)
    forged = bytes(range(1, 65))
    with pytest.raises(Refusal):
        signatures.verify(certificate.spki_der, "SM2", message, forged)


def test_b16_no_key_is_shipped_and_none_is_needed(shared_driver) -> None:
    shipped = [path for path in SOURCE.rglob("*") if path.suffix in (".pem", ".key", ".p12", ".pfx", ".crt", ".cer", ".der")]
    assert shipped == []
    assert not any(b"PRIVATE KEY-----" in path.read_bytes() for path in SOURCE.rglob("*.*") if path.is_file())
    assert shared_driver.address.startswith("http://127.0.0.1:")


def test_b17_b30_running_writes_nothing_but_its_own_state(start, locks: Path, tmp_path: Path) -> None:
    make_lock(locks)
    home = tmp_path / "clean-home"
    home.mkdir()
    driver = start(
        soft_dir=locks, environment={"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    driver.authenticate()
    driver.call("/v1/pin/change", {"lock": driver.locks()[0]["id"], "oldPin": PIN, "newPin": "777777"})
    driver.close()
    assert [path for path in home.rglob("*") if path.is_file()] == []
    kept = {path.name: path.stat().st_mode & 0o077 for path in driver.state.rglob("*")}
    assert kept == {"agent.lock": 0, "agent.log": 0, "driver.key": 0}  # closed to others


def test_b21_the_notes_of_the_driver_are_for_its_user_only(driver) -> None:
    note = driver.state / "agent.json"
    assert note.stat().st_mode & 0o077 == 0
    assert driver.note.control not in driver.log


def test_b22_a_stopped_driver_leaves_no_listener_and_no_process(driver) -> None:
    children = Path(f"/proc/{driver.process.pid}/task/{driver.process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    assert driver.close() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", driver.port), 5)
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers), "the workers to end")
    assert not (driver.state / "agent.json").exists()


def test_b24_it_listens_on_no_address_but_loopback(driver) -> None:
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError):
            socket.create_connection((address, driver.port), 2)
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]] if sys.platform == "linux" else []
    mine = [fields[1] for fields in listening if fields[3] == "0A" and fields[1].endswith(f":{driver.port:04X}")]
    assert mine in ([f"0100007F:{driver.port:04X}"], [])


def test_one_driver_per_user(driver) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "calock.agent", "--state-dir", str(driver.state), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr
