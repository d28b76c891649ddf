# ruff: noqa: E402, PLC0415 - the path comes first, and the environment before Django
"""What the console's lists and searches, and a CA login, cost on a large platform beside a small one.

Run: ``python bench/console.py [--people 1000 100000] [--rows 10] [--rounds N]``. Two databases of one PostgreSQL with so many
accounts, locks and bindings; the large one has ``--rows`` rows of the trail for each. Every page in turns on both, in process: CPU
of this process and of the database. A page's ratio is the median of its rounds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from measuring import LARGE, SMALL, Cost, Goals, chosen, database, ratio, turns, use_this_checkout

use_this_checkout()
from field import Field

GOAL, LOGIN_GOAL = 2.0, 1.15


class Platforms:
    """The two databases, one PostgreSQL, and who looks at them."""

    def __init__(self, small: int, large: int, rows: int) -> None:
        self.field = Field("postgresql")
        assert self.field.postgres
        from django.db import connection, connections

        self.connection = connection
        connections.close_all()
        self.field.copied_database(LARGE)
        from worlds.browser import Browser, console_client
        from worlds.crowd import filling

        for name, statements in ((SMALL, filling(small)), (LARGE, filling(large, rows_each=rows))):
            self.use(name)
            with connection.cursor() as cursor:
                cursor.execute(statements)
                cursor.execute("VACUUM ANALYZE")  # else PostgreSQL does so by itself, beside whatever page is measured then
        self._client = console_client
        self.browser = Browser()
        self._groups = (lambda: [os.getpid()], database(self.field))

    def use(self, name: str) -> None:
        self.connection.close()
        self.connection.settings_dict["NAME"] = name
        self.connection.ensure_connection()

    def _enter(self, name: str) -> Any:
        """A browser of the operator who has just proved who they are: on a busy machine all pages take longer than a session."""
        self.use(name)
        return self._client(self.field.world.operator)

    def cost(self, name: str, act: Callable[[], object], count: int) -> float:
        """CPU milliseconds of one."""
        self.use(name)
        act()  # the connection's first statement is prepared
        return Cost(self._groups, lambda times: [act() for _ in range(times)]).of(count)

    def page(self, name: str, path: str) -> Callable[[], object]:
        client = self._enter(name)

        def look() -> None:
            answer = client.get(f"/console/{path}")
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code}")

        return look

    def login(self) -> None:
        self.browser.client.cookies.pop("calock", None)
        answer = self.browser.log_in(self.field.people[0].lock)
        if answer.status_code != 200:
            raise SystemExit(answer.content.decode()[:300])


def main() -> int:
    asked, goals = chosen(people=[1000, 100_000], rows=10, rounds=5), Goals()
    small, large = asked.people
    platforms = Platforms(small, large, asked.rows)
    from worlds.crowd import PAGES

    print(f"CPU ms: {small} people and rows of the trail, {large} people and {large * asked.rows} rows; {asked.rounds} rounds")
    try:
        for what in ("challenge + CA login", *PAGES):
            is_login = what not in PAGES
            acts = {name: platforms.login if is_login else platforms.page(name, what) for name in (SMALL, LARGE)}
            count = 20 if is_login else 2
            found = turns({name: partial(platforms.cost, name, act, count) for name, act in acts.items()}, asked.rounds)
            reached = ratio(found[LARGE], found[SMALL])
            judged = goals.at_most(reached, LOGIN_GOAL if is_login else GOAL)
            print(f"{what:<50} {min(found[SMALL]):8.1f} {min(found[LARGE]):8.1f}  {reached:5.2f}  {judged}", flush=True)
    finally:
        from django.db import connections

        connections.close_all()
        platforms.field.close()
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
