"""Chapters of docs/operations.md done command by command, as they stand there."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from machines import wait_until
from promises import Counts, promise, require
from visitors import Visitor

if TYPE_CHECKING:
    from field import Field
    from machines import Replica

ONE = ("--workers", "1")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
FENCED = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(chapter: str) -> list[list[str]]:
    """The lines of each fenced block of a chapter."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(chapter)}\n(.*?)(?=^###? |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, chapter
    return [block.splitlines() for block in FENCED.findall(found[2])]


class Shell:
    """Somebody at the machines' command lines."""

    def __init__(self, field: Field, machine: Replica) -> None:
        assert field.postgres
        programs = [str(Path(sys.executable).parent), str(field.postgres.programs), os.environ["PATH"]]
        folders = {name: str(_folder(field.place / f"{name.lower()}-of-pages")) for name in ("BACKUP", "SECRETS")}
        self._environment = {"PATH": os.pathsep.join(programs), **folders}
        self.machine = machine
        self.ran = 0

    def run(self, lines: Sequence[str]) -> str:
        """Run a block and return its last output. Comments say which status is right when it is not 0, and what the server does."""
        told = ""
        for line in lines:
            command, _, comment = line.partition("#")
            if not command.strip():
                self._serve(comment.strip())
                continue
            environment = {**self.machine.environment, **self._environment}
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
            )
            told = done.stdout + done.stderr
            require(done.returncode == (1 if "status 1" in comment else 0), f"{line}: {done.returncode}\n{told}")
            self.ran += 1
        return told

    def _serve(self, what: str) -> None:
        if what in ("stop calock serve", "restart calock serve"):
            self.machine.stop()
        if what in ("start calock serve", "restart calock serve"):
            self.machine.start()
            self.machine.wait()


def _folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def log_in(field: Field, machine: Replica, count: int, rng: random.Random) -> Visitor:
    """So many logins by lock; the last browser."""
    for _ in range(count):
        visitor = Visitor(machine.port)
        reply = visitor.log_in(rng.choice(field.people).lock)
        require(reply.status == 200, f"a login: {reply.reason}")
    return visitor


def whole(told: str) -> int:
    """How many rows ``verify_audit`` called whole."""
    found = re.search(r"whole: (\d+) rows", told)
    require(found, told)
    assert found
    return int(found[1])


@promise("R14", "backup and restore by the page: people log in, sessions of before are over, the trail is whole and tells it")
def restored_by_the_page(field: Field, rng: random.Random) -> Counts:
    url = field.copied_database("page_restore")
    machine = field.replica(*ONE, secret_file=True, DATABASE_URL=url)
    shell = Shell(field, machine)
    before = log_in(field, machine, field.size(20, 3), rng)
    shell.run(["calock manage seal_audit --no-other-machine-is-left"])  # the machines of promises before may have sealed
    (nightly,), (data, database) = blocks("Backup and restore"), blocks("Restore")
    shell.run(nightly)
    log_in(field, machine, field.size(20, 3), rng)
    shell.run(["calock manage seal_audit"])
    rows, slowest = 0, 0.0
    for new_machine in field.size((False, True, False), (True,)):  # type: ignore[arg-type]
        shell.machine.stop()
        if new_machine:
            shell.machine = field.replica(*ONE, secret_file=True, DATABASE_URL=url, wait="")
            shell.machine.stop()
            shell.run(data)
        _leave_a_later_table(url)
        began = time.monotonic()
        shell.run(database[: database.index("calock manage seal_audit")])
        slowest = max(slowest, time.monotonic() - began)
        require(_ask(url, LATER) == [(None,)], "a table that the backup lacks is still there")
        require(before.at(shell.machine.port).get("/api/bindings").status == 401, "a session of before the backup is alive")
        log_in(field, shell.machine, 1, rng)
        rows = whole(shell.run(database[database.index("calock manage seal_audit") :]))
    return {"commands": shell.ran, "rows whole": rows, "sessions of before alive": 0, "findings": 0, "down s": round(slowest, 1)}


LATER = "SELECT to_regclass('of_a_later_version')::text"


def _leave_a_later_table(url: str) -> None:
    """What the version after the backup's made, and its migration would make again."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE of_a_later_version (at timestamptz)")


@promise("R25", "a machine that is added by the page seals with its own key, and every machine calls the trail whole")
def machine_added_by_the_page(field: Field, rng: random.Random) -> Counts:
    url = field.copied_database("page_machines")
    (lines,) = blocks("Several machines")
    machines = [field.replica(*ONE, secret_file=True, DATABASE_URL=url)]
    shell = Shell(field, machines[0])
    commands = 0
    for _ in range(field.size(3, 1)):
        log_in(field, rng.choice(machines), 3, rng)
        machines.append(field.replica(*ONE, secret_file=True, DATABASE_URL=url))
        commands += _on_all(shell, lines, machines, field, rng)
    for machine in machines:
        wait_until(lambda machine=machine: _has_sealed(url, shell, machine, field, rng), "each machine to have sealed", 300)  # type: ignore[misc]
    with_keys = _keys(url)
    require(len(with_keys) == len(machines), f"{len(with_keys)} keys of {len(machines)} machines sealed")
    return {"machines": len(machines), "sealing keys": len(with_keys), "commands": commands, "findings": 0}


def _on_all(shell: Shell, lines: list[str], machines: list[Replica], field: Field, rng: random.Random) -> int:
    before = shell.ran
    for line in lines:
        where = {"# on another machine": machines[:1], "# on the new machine": machines[-1:]}
        for machine in next((found for words, found in where.items() if words in line), machines):
            shell.machine = machine
            if machine is machines[-1]:
                log_in(field, machine, 1, rng)
            shell.run([line])
    return shell.ran - before


def _keys(url: str) -> set[str]:
    return {key for (key,) in _ask(url, "SELECT head::json->>'key' FROM audit_auditseal")}


def _has_sealed(url: str, shell: Shell, machine: Replica, field: Field, rng: random.Random) -> bool:
    """If not, it gets a row to seal; another one's job may be first, so the caller asks again."""
    from calock.server.audit.tree import own_key

    if own_key(machine.data) in _keys(url):
        return True
    shell.machine = machine
    log_in(field, machine, 1, rng)
    shell.run(["calock manage seal_audit"])
    return False


def _ask(url: str, statement: str) -> list[tuple[str]]:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


@promise("R26", "the secret changed by the page: sessions, logins and the trail go through every step")
def secret_changed_by_the_page(field: Field, rng: random.Random) -> Counts:
    url = field.copied_database("page_secret")
    machine = field.replica(*ONE, secret_file=True, DATABASE_URL=url)
    shell = Shell(field, machine)
    visitor = log_in(field, machine, field.size(20, 3), rng)
    (lines,) = blocks("Changing the secret")
    changes = field.size(3, 1)
    for _ in range(changes):
        told = ""
        for line in lines:
            told = shell.run([line]) or told
            if line.startswith("# restart"):
                wait_until(lambda: visitor.get("/api/bindings").status == 200, "the session of before", 10)
                log_in(field, machine, 1, rng)
            if "verify_audit" in line:
                rows = whole(told)
    return {"changes": changes, "commands": shell.ran, "rows whole": rows, "session of before": "alive", "findings": 0}
