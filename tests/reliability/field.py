"""Everything a promise is tried on: a database, people with bound locks, a source of CRLs, and the machines it asks for."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from machines import SECRET, Balancer, DatabaseBalancer, Postgres, Replica
from patroni import Cluster

PEOPLE = 12


class Field:
    """Made once for all promises on one kind of database; ``replica`` and ``balancer`` start what is stopped by ``clear``."""

    def __init__(self, database: str, *, small: bool = False, algorithm: str = "EC") -> None:
        self.small = small
        self._algorithm = algorithm
        self._place = tempfile.TemporaryDirectory(prefix="calock-reliability-")
        self.place = Path(self._place.name)
        self.postgres = Postgres(self.place) if database == "postgresql" else None
        self.cluster = Cluster(self.place) if database == "patroni" else None
        served = self.postgres or self.cluster
        self.url = served.url if served else f"sqlite:///{self.place / 'calock.sqlite3'}"
        own = self.place / "harness"
        own.mkdir(mode=0o700)
        os.environ.update(
            CALOCK_DATA=str(own), CALOCK_INSECURE_HTTP="1", CALOCK_SECRET_KEY=SECRET, DATABASE_URL=self.url,
            DJANGO_SETTINGS_MODULE="calock.server.process.settings",
        )  # fmt: skip
        self._running: list[Replica | Balancer | DatabaseBalancer] = []
        self._number = 0
        self._spares = 0
        self.people: list[Any] = []
        try:
            self._make_people()
        except BaseException:  # told to end, too: the database is a process of its own
            if served:
                served.stop()
            raise

    def _make_people(self) -> None:
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        if self.small and self.url.startswith("sqlite"):
            from worlds import migrated

            migrated.put(self.place / "calock.sqlite3")
        call_command("migrate", interactive=False, verbosity=0)
        from people import make_people

        self.world, self.source, self.people = make_people(PEOPLE, self._algorithm)
        connections.close_all()

    def spare_person(self) -> Any:
        """Somebody more, for a promise that leaves their lock useless."""
        from django.db import connections
        from people import make_person

        self._spares += 1
        made = make_person(self.world, PEOPLE + 200 + self._spares)
        connections.close_all()
        return made

    def replica(self, *arguments: str, wait: str = "/readyz", secret_file: bool = False, **environment: str) -> Replica:
        """One more machine; it is waited for until ``wait`` answers 200 ("" = not at all)."""
        self._number += 1
        data = Path(environment.get("CALOCK_DATA") or self.place / f"machine-{self._number}")
        given = {"DATABASE_URL": self.url, "CALOCK_TRUSTED_PROXIES": "127.0.0.1", **environment}
        made = Replica(data, *(arguments or ("--workers", "2")), secret_file=secret_file, **given)
        self._running.append(made)
        if wait:
            made.wait(wait)
        return made

    def copied_database(self, name: str) -> str:
        """The address of a copy of the database, for what must not be seen by the promises that come after."""
        assert self.postgres
        with self.postgres.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        with psycopg.connect(self.postgres.url.replace("/postgres", "/template1"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE postgres")
        return self.postgres.url.replace("/postgres", f"/{name}")

    def size(self, full: int, small: int) -> int:
        """How much of something: ``small`` in the ordinary test suite."""
        return small if self.small else full

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        if served := self.postgres or self.cluster:
            return served.ask(statement)
        with closing(sqlite3.connect(self.place / "calock.sqlite3", timeout=30)) as connection:
            return connection.execute(statement).fetchall()

    def balancer(self, *replicas: Replica, probe: str = "/healthz") -> Balancer:
        """HAProxy before these machines, which asks ``probe`` whether one is well."""
        made = Balancer(self._folder(), [replica.port for replica in replicas], probe=probe)
        self._running.append(made)
        return made

    def database_balancer(self, *ports: int) -> DatabaseBalancer:
        """HAProxy before databases on these ports."""
        made = DatabaseBalancer(self._folder(), list(ports))
        self._running.append(made)
        return made

    def _folder(self) -> Path:
        self._number += 1
        made = self.place / f"balancer-{self._number}"
        made.mkdir()
        return made

    def clear(self) -> None:
        """Stop the machines; the database and the people stay."""
        for running in reversed(self._running):
            try:
                running.stop()
            except Exception as error:  # noqa: BLE001 - the next promise must still find a clear field
                sys.stderr.write(f"not stopped: {error}\n")
        self._running.clear()

    def close(self) -> None:
        self.clear()
        self.source.stop()
        if served := self.postgres or self.cluster:
            served.stop()
        self._place.cleanup()
