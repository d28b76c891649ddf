"""How many wrong passwords are judged, counted in the database: every process and machine counts the same tries.

A count belongs to an account's *name* and to whoever tries: a live session, a browser in which the account logged in before, or
else an address; all unknown browsers together have one more. So a stranger uses up their own tries, never those of the person.
Names that no account has are counted alike: nothing tells them apart. Sources: GB/T 22239-2019 clause 8.1.4.1 b; OWASP ASVS 5.0,
6.1.1 and 6.3.1.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Exists, F

from calock.server.accounts.models import Account, PasswordTries
from calock.server.sessions.context import RequestContext
from calock.server.tools import seals
from calock.server.tools.throttle import address_key

MOST = 5
LOCK_OUT = timedelta(minutes=15)
"""How long nothing is judged after MOST tries in a row failed; also how long a failure is remembered."""
MOST_OF_STRANGERS = 50
STRANGERS_OUT = timedelta(hours=1)
"""The same for all unknown browsers together: many addresses are one attacker's for little money."""
SWEEP_BATCH = 5000
NOBODY = uuid.UUID(int=0)
"""In place of the id of an account that does not exist: the same is asked and computed for it."""

TAKE = """
INSERT INTO accounts_passwordtries AS t (key, failures, told, until) VALUES (%s, %s, %s, %s)
ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN t.until <= %s THEN excluded.failures ELSE t.failures + 1 END,
    told = CASE WHEN t.until <= %s THEN excluded.told ELSE t.told END,
    until = excluded.until
WHERE t.until <= %s OR t.failures < %s
"""
"""Hand-written because it was measured: the ORM's own statements were a third of what a wrong password costs beside its hash."""


@dataclass(frozen=True, slots=True)
class Count:
    """One row of tries: ``most`` may fail in a row, then nothing is judged for ``period``."""

    keys: tuple[str, ...]
    """As the count may be kept, by each of the server's secrets, the newest one's first."""
    who: str
    """For the trail: session, browser, address or strangers."""
    most: int
    period: timedelta

    @property
    def key(self) -> str:
        return self.keys[0]

    def take(self, at: datetime) -> bool:
        """Count a try before it is judged, so that no more are judged than may fail however many come at once; False when full."""
        self._bring_over()
        connection = connections[DEFAULT_DB_ALIAS]
        now, until = map(connection.ops.adapt_datetimefield_value, (at, at + self.period))
        with connection.cursor() as cursor:
            cursor.execute(TAKE, [self.key, 1, False, until, now, now, now, self.most])
            return bool(cursor.rowcount)

    def _bring_over(self) -> None:
        """A change of the secret starts no count again: one that an earlier secret named goes on under the newest one's name."""
        for former in self.keys[1:]:
            newest = PasswordTries.objects.filter(key=self.key)
            PasswordTries.objects.filter(~Exists(newest), key=former).update(key=self.key)

    def became_full(self) -> bool:
        """Whether this count is full and nobody was told yet: true for one asker."""
        rows = PasswordTries.objects.filter(key=self.key, failures__gte=self.most, told=False)
        return bool(rows.update(told=True))

    def take_back(self) -> None:
        """The try that was counted was right."""
        PasswordTries.objects.filter(key=self.key, failures__gt=0).update(failures=F("failures") - 1)

    def forget(self) -> None:
        """The right password ends a row of failures."""
        PasswordTries.objects.filter(key=self.key).delete()

    def tries_left(self, at: datetime) -> int:
        """How many more may fail before nothing is judged."""
        failed = PasswordTries.objects.filter(key=self.key, until__gt=at).values_list("failures", flat=True).first() or 0
        return max(0, self.most - failed)

    def minutes_left(self, at: datetime) -> int:
        """How long nothing is judged, at least one minute."""
        until = PasswordTries.objects.filter(key=self.key).values_list("until", flat=True).first() or at
        return max(1, math.ceil((until - at) / timedelta(minutes=1)))


def keys_of(name: str, who: str) -> tuple[str, ...]:
    """Names of a count, by each of the server's secrets: what is counted stands in no table."""
    return tuple(filter(seals.key_id, seals.macs("tries", seals.canonical([name, who]))))


def _strangers(name: str) -> Count:
    return Count(keys_of(name, "strangers"), "strangers", MOST_OF_STRANGERS, STRANGERS_OUT)


def counts_of(name: str, account: Account | None, context: RequestContext, *, proof: bool) -> list[Count]:
    """Where a try counts, the own count first. ``proof``: asked for in the middle of the account's own session."""
    if proof and context.session is not None:
        who, whose = "session", context.session.digest
    elif context.known_browser.knows(account.pk if account else NOBODY):
        who, whose = "browser", context.known_browser.id
    else:
        who, whose = "address", address_key(context.ip)
    own = Count(keys_of(name, f"{who} {whose}"), who, MOST, LOCK_OUT)
    return [own, _strangers(name)] if who == "address" else [own]


def closed_to_strangers_until(name: str, *, at: datetime) -> datetime | None:
    """Until when no password of an unknown browser is judged for this name; None when they are."""
    rows = PasswordTries.objects.filter(key__in=_strangers(name).keys, failures__gte=MOST_OF_STRANGERS, until__gt=at)
    return rows.values_list("until", flat=True).first()


def sweep_password_tries(*, at: datetime) -> int:
    """Delete counts that no longer hold; how many."""
    swept = 0
    while batch := list(PasswordTries.objects.filter(until__lt=at).values_list("pk", flat=True)[:SWEEP_BATCH]):
        swept += PasswordTries.objects.filter(pk__in=batch, until__lt=at).delete()[0]
    return swept
