"""Take over a list: judge every line, then write them, a thousand in each transaction. The same list again changes nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.imports import accounts, bindings, organisations
from calock.server.imports.columns import ImportKind, Record, read_records
from calock.server.imports.outcomes import Importing, Judged, Keys, Outcome, batches, twice

ATTEMPTS = 4
"""How often a batch is looked at again when somebody wrote one of its rows at the same moment."""


class _Steps(NamedTuple):
    keys: Keys
    judge: Callable[[Sequence[Record]], list[Judged]]
    write: Callable[[Sequence[Judged], Importing], None]
    prepare: Callable[[Sequence[Judged], Importing], None] = lambda _judged, _importing: None
    """What takes long and needs no transaction."""


_STEPS = {
    ImportKind.ORGANISATIONS: _Steps(organisations.keys, organisations.judge, organisations.write),
    ImportKind.ACCOUNTS: _Steps(accounts.keys, accounts.judge, accounts.write, accounts.prepare),
    ImportKind.BINDINGS: _Steps(bindings.keys, bindings.judge, bindings.write),
}


class ImportList:
    """A file of one kind, read."""

    def __init__(self, kind: ImportKind, content: bytes) -> None:
        """Read the file.

        Raises:
            Refusal: REQUEST_MALFORMED, with words for people: no list of this kind.
        """
        self.kind = kind
        self.sha256 = hashlib.sha256(content).hexdigest()
        records = list(read_records(kind, content))
        doubled = twice(records, _STEPS[kind].keys)
        self.records = [record._replace(fault=doubled.get(record.number, record.fault)) for record in records]

    def judged(self) -> Iterator[Judged]:
        """What would become of each line; nothing is written."""
        for batch in batches(self.records):
            yield from map(_told, judge_batch(self.kind, batch))

    def written(self, by: Account | None) -> Iterator[Judged]:
        """Write the lines, and say of each what became of it.

        Raises:
            Refusal: SERVER_BUSY; the batches before are written.
        """
        importing = Importing(by, timezone.now(), self.sha256)
        for batch in batches(self.records):
            yield from map(_told, write_batch(self.kind, batch, importing))


def _told(line: Judged) -> Judged:
    """A line as it is reported, without the row: a list of 100,000 does not keep as many rows in memory."""
    line.row, line.values = None, {}
    return line


def judge_batch(kind: ImportKind, records: Sequence[Record]) -> list[Judged]:
    """What would become of the lines of one batch."""
    return _STEPS[kind].judge(records)


def prepare_batch(kind: ImportKind, records: Sequence[Record], importing: Importing) -> None:
    """Do ahead what needs no transaction, for a caller who opens one around ``write_batch``."""
    _STEPS[kind].prepare(_STEPS[kind].judge(records), importing)


def write_batch(kind: ImportKind, records: Sequence[Record], importing: Importing) -> list[Judged]:
    """One transaction: every line of the batch that is no error, with its audit rows.

    Raises:
        Refusal: SERVER_BUSY.
    """
    steps = _STEPS[kind]
    for _ in range(ATTEMPTS):
        judged = steps.judge(records)
        steps.prepare(judged, importing)
        try:
            with transaction.atomic():
                steps.write(judged, importing)
        except IntegrityError:  # somebody else made one of them meanwhile
            continue
        except Refusal as refusal:  # likewise changed, or merged
            if refusal.reason not in (Reason.VERSION_CHANGED, Reason.REQUEST_MALFORMED):
                raise
            continue
        importing.passwords.clear()
        return judged
    raise Refusal(Reason.SERVER_BUSY, "lost every race")


def counted(judged: Collection[Judged]) -> Counter[Outcome]:
    return Counter(line.outcome for line in judged)
