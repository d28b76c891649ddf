"""People who act at the same moment, each with a database connection of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections
from worlds.browser import context
from worlds.practice import PracticeLock

from calock.core.challenge import Purpose
from calock.core.refusals import Refusal
from calock.server.accounts.models import Account
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.locks.renewals import Act, Choice
from calock.server.locks.services import bind_lock


def in_parallel(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start every act at the same moment, each with a database connection of its own; their results."""
    gate = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(number: int, act: Callable[[], Any]) -> None:
        gate.wait(timeout=60)
        try:
            results[number] = act()
        except Exception as error:  # noqa: BLE001 - whatever an act ends with is its result; the test says what it may be
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return results


def meanwhile(act: Callable[[], Any]) -> Any:
    """What somebody else does, whole and committed, while the caller stands in a transaction of their own. Not on SQLite."""
    return in_parallel([act])[0]


def binding_of(lock: PracticeLock, person: Account) -> Callable[[], str]:
    """An answer that is ready: the act that binds it to the person, as one more lock. ``bound``, or the refusal's reason."""
    made = context(account=person)
    text = issue_challenge(aim=Aim(Purpose.BIND, member=person.pk, provider=lock.family.provider), context=made).text
    token = json.dumps(lock.sign(text)).encode()

    def act() -> str:
        try:
            bind_lock(
                member=person,
                provider=lock.family.provider,
                challenge=text,
                token=token,
                device=None,
                by=person,
                context=made,
                choice=Choice(Act.ANOTHER),
            )
        except Refusal as refusal:
            return refusal.reason.value
        return "bound"

    return act
