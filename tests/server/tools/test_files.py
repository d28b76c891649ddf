"""Files that are whole or not there, whatever happens in between, and locks that end with their process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from calock.server.tools.files import UNFINISHED, locked, make_folder, make_once, replacing

IMPORTS = "import os, signal, sys\nfrom pathlib import Path\nfrom calock.server.tools.files import *\npath = Path(sys.argv[1])\n"


def run_elsewhere(program: str, path: Path) -> int:
    """The exit status of another process."""
    return subprocess.run([sys.executable, "-c", IMPORTS + program, str(path)], check=False).returncode


@pytest.fixture
def syncs(monkeypatch, tmp_path):
    """For each fsync: what it was of, and which files had their names by then."""
    seen: list[tuple[str, list[str]]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        name = str(Path(f"/proc/self/fd/{handle}").readlink())
        of = "folder" if name == str(tmp_path) else "contents"
        seen.append((of, sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(UNFINISHED))))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_contents_are_on_the_disk_before_the_name_and_then_the_name_as_well(syncs, tmp_path):
    with replacing(tmp_path / "a") as file:
        file.write(b"1")
    make_once(tmp_path / "b", b"2")
    assert syncs == [("contents", []), ("folder", ["a"]), ("contents", ["a"]), ("folder", ["a", "b"])]


def test_what_is_soon_written_again_waits_for_no_disk(syncs, tmp_path):
    with replacing(tmp_path / "a", durable=False) as file:
        file.write(b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert syncs == []


def test_a_folder_is_made_with_those_above_it_and_is_its_owners_alone(syncs, tmp_path):
    assert make_folder(make_folder(tmp_path / "a") / "b").is_dir()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert syncs[0] == ("folder", ["a"])
    before = len(syncs)
    make_folder(tmp_path / "a" / "b")
    assert len(syncs) == before


def test_a_body_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fails() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_while_it_writes_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    program = "with replacing(path) as file:\n file.write(b'new'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    assert run_elsewhere(program, path) == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.name.startswith(UNFINISHED)


def test_only_their_owner_reads_them(tmp_path):
    with replacing(tmp_path / "a") as file:
        file.write(b"1")
    make_once(tmp_path / "b", b"2")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_of_several_that_make_it_at_once_one_succeeds_and_it_stays(tmp_path):
    path, barrier = tmp_path / "a", Barrier(8)

    def make(number: int) -> bytes:
        barrier.wait()
        make_once(path, str(number).encode())
        return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        (made,) = set(pool.map(make, range(8)))
    make_once(path, b"later")
    assert path.read_bytes() == made
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_keeps_other_processes_and_threads_out(tmp_path):
    path = tmp_path / "lock"
    tried = "with locked(path, wait=lambda: False) as ours:\n sys.exit(0 if ours else 7)"
    with locked(path) as ours:
        assert ours
        assert run_elsewhere(tried, path) == 7
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: locked(path, wait=lambda: False).__enter__()).result() is False
    assert run_elsewhere(tried, path) == 0


def test_waiting_goes_on_for_as_long_as_the_caller_says(tmp_path):
    path, asked = tmp_path / "lock", []

    def wait() -> bool:
        asked.append(1)
        return len(asked) < 3

    with locked(path), locked(path, wait=wait) as ours:
        assert not ours
    assert len(asked) == 3


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    assert run_elsewhere("with locked(path):\n os.kill(os.getpid(), signal.SIGKILL)", path) == -signal.SIGKILL
    with locked(path, wait=lambda: False) as ours:
        assert ours
