"""An uploaded list on its way: checked, proposed, approved by a second operator, written in the background."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog
from django.db import transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import require_operator
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.imports.columns import ImportKind, Record
from calock.server.imports.models import KIND_WORDS, OPEN_STATES, SEALED, ImportPart, ImportRun, RunState
from calock.server.imports.outcomes import OUTCOME_WORDS, Importing, Judged, Outcome, batches
from calock.server.imports.services import ImportList, judge_batch, prepare_batch, write_batch
from calock.server.imports.tables import malformed
from calock.server.sessions.context import RequestContext
from calock.server.tools.encryption import NotOpenedError
from calock.server.tools.rekeying import Rekeyed, encrypt_anew

CODE = "import.list"
AT_ONCE = 2000
"""Lines of a list that is checked while its operator waits; longer ones are checked in the background."""
TURN = 10.0
"""Seconds that the background work spends before it says again that it lives."""

log = structlog.get_logger(__name__)
Told = tuple[int, str, str, str]
"""A line as it is reported: number, what names it, outcome, words."""


def upload(*, kind: ImportKind, name: str, content: bytes, by: Account, context: RequestContext) -> ImportRun:
    """Keep a list and check it.

    Raises:
        Refusal: NOT_ALLOWED; REQUEST_MALFORMED, with words for people: no list of this kind.
    """
    found = ImportList(kind, content)
    if not found.records:
        raise malformed("列名之下没有数据")
    with transaction.atomic():
        operator = require_operator(by.pk)
        shown = "".join(character for character in name if character.isprintable())[-100:]
        run = ImportRun(kind=kind, name=shown or "-", sha256=found.sha256, lines=len(found.records))
        run.uploaded_by, run.uploaded_at = operator, context.at
        run.save(force_insert=True)
        for number, batch in enumerate(batches(found.records)):
            part = ImportPart(run=run, number=number)
            part.seal("lines", [list(line) for line in batch])
            part.save(force_insert=True)
        details: dict[str, str | int] = {"kind": kind.value, "sha256": run.sha256, "lines": run.lines}
        record(Event.IMPORT_UPLOADED, context=context, actor=operator, subject=run.pk, details=details)
    if run.lines <= AT_ONCE:
        _check(run)
    return run


def propose_import(*, run: ImportRun, reason: str, by: Account, context: RequestContext) -> Approval:
    """Ask a second operator to have the list written.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    with transaction.atomic():
        row = _locked(run)
        if row.state != RunState.CHECKED or not (row.checked.get(Outcome.NEW) or row.checked.get(Outcome.CHANGED)):
            raise malformed("该文件不能提出导入：尚未预检、已提出，或没有可导入的行")
        row.state = RunState.PROPOSED
        row.save(update_fields=["state"])
        return propose(
            kind=CODE,
            target=str(row.pk),
            payload={"sha256": row.sha256, "checked": row.checked},
            summary=f"导入{row}",
            reason=reason,
            by=by,
            context=context,
        )


def discard(*, run: ImportRun, by: Account, context: RequestContext) -> None:
    """Erase a list that was never decided about, or that two decided about and whose next part cannot be written.

    Raises:
        Refusal: NOT_ALLOWED, REQUEST_MALFORMED.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        row = _locked(run)
        if row.state not in (RunState.CHECKING, RunState.CHECKED) and not _is_stuck(row):
            raise malformed("待复核、正在导入或已完成的文件不能删除")
        _erase(row, context.at)
        record(Event.IMPORT_DISCARDED, context=context, actor=operator, subject=row.pk)


def lines_of(run: ImportRun, what: str) -> Iterator[Told]:
    """What became of each line, by ``check`` or ``result``."""
    for part in run.parts.order_by("number").iterator(chunk_size=1):
        try:
            yield from map(tuple, part.opened(what))
        except NotOpenedError:
            yield (0, "", Outcome.ERROR, f"第 {part.number + 1} 批的报告无法读取")


# --- background


def carry_on() -> int:
    """Check and write what waits, for about ten seconds; how many batches.

    A list that fails keeps no other one waiting; what it raised is raised at the end.
    """
    until = time.monotonic() + TURN
    done = 0
    failed: Exception | None = None
    for run in ImportRun.objects.filter(state__in=(*OPEN_STATES, RunState.RUNNING)).order_by("uploaded_at"):
        try:
            done += _carry_on(run, until)
        except Exception as error:  # whatever is wrong with one list
            log.exception("import_not_continued", run=str(run.pk))
            failed = error
    if failed:
        raise failed
    return done


def _carry_on(run: ImportRun, until: float) -> int:
    done = 0
    if run.state == RunState.CHECKING:
        done = _check(run)
    elif run.state == RunState.RUNNING:
        while time.monotonic() < until and _write_next(run):
            done += 1
    elif timezone.now() >= run.closes_at():
        with transaction.atomic():
            _erase(_locked(run), timezone.now())
    return done


def _check(run: ImportRun) -> int:
    """Judge the lines of every part; nothing is written of them."""
    counts: Counter[str] = Counter()
    parts = list(run.parts.order_by("number"))
    for part in parts:
        judged = judge_batch(ImportKind(run.kind), _records(part))
        counts.update(line.outcome.value for line in judged)
        part.seal("check", _told(judged))
        part.save(update_fields=["sealed_check"])
    with transaction.atomic():
        row = _locked(run)
        if row.state == RunState.CHECKING:
            row.state, row.checked = RunState.CHECKED, dict(counts)
            row.save(update_fields=["state", "checked"])
            run.state, run.checked = row.state, row.checked
    return len(parts)


def _write_next(run: ImportRun) -> bool:
    """Write the next part and say what became of its lines, in one transaction; False when there was none to write."""
    kind, importing = ImportKind(run.kind), Importing(run.approved_by, timezone.now(), run.sha256)
    ahead = _next_part(run)  # before the transaction, as hashing takes long: another machine may write it first
    if ahead is not None:
        prepare_batch(kind, _records(ahead), importing)
    with transaction.atomic():
        row, part = _locked(run), _next_part(run)
        if row.state != RunState.RUNNING:
            return False
        if part is None:
            _finish(row)
            return False
        wrong = {number: words for number, _, outcome, words in part.opened("check") if outcome == Outcome.ERROR}
        records = [line._replace(fault=wrong.get(line.number, line.fault)) for line in _records(part)]
        judged = write_batch(kind, records, importing)
        part.seal("result", _told(judged))
        part.sealed_lines = b""
        part.save(update_fields=["sealed_result", "sealed_lines"])
        row.written = dict(Counter(row.written) + Counter(line.outcome.value for line in judged))
        row.save(update_fields=["written"])
    return True


def _next_part(run: ImportRun) -> ImportPart | None:
    return run.parts.filter(sealed_result__isnull=True).order_by("number").first()


def _is_stuck(row: ImportRun) -> bool:
    """Whether a running list's next part cannot be written; the caller takes back what the try wrote."""
    if row.state != RunState.RUNNING:
        return False
    try:
        with transaction.atomic():
            _write_next(row)
    except Exception:  # whatever it is, the background meets it at every turn
        log.exception("import_is_stuck", run=str(row.pk))
        return True
    return False


def _finish(row: ImportRun) -> None:
    row.state, row.finished_at = RunState.DONE, timezone.now()
    row.save(update_fields=["state", "finished_at"])
    details: dict[str, str | int] = {"kind": row.kind, "sha256": row.sha256, **row.written}
    record(Event.IMPORT_FINISHED, actor=row.approved_by, subject=row.pk, details=details)


def _erase(row: ImportRun, at: datetime) -> None:
    row.parts.filter(sealed_result__isnull=True).delete()
    row.state, row.finished_at = RunState.DISCARDED, at
    row.save(update_fields=["state", "finished_at"])


def _locked(run: ImportRun) -> ImportRun:
    return ImportRun.objects.select_for_update(of=("self",), no_key=True).select_related("approved_by").get(pk=run.pk)


def _records(part: ImportPart) -> list[Record]:
    return [Record(*line) for line in part.opened("lines")]


def _told(judged: Sequence[Judged]) -> list[Told]:
    return [(line.number, line.key, line.outcome.value, line.words) for line in judged]


def rekey_lists() -> Rekeyed:
    """Encrypt lists, checks and reports anew under the newest key, one part at a time: it may hold a thousand lines of each."""
    found = Rekeyed("imports")
    for pk in list(ImportPart.objects.order_by("pk").values_list("pk", flat=True)):
        for part in ImportPart.objects.filter(pk=pk):
            for what in SEALED:
                encrypt_anew(found, part, f"sealed_{what}", "imports", part.about(what))
    return found


# --- what two operators decide


def _run_of(approval: Approval) -> ImportRun | None:
    return ImportRun.objects.filter(pk=approval.target).first()


def _act(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    run = _run_of(approval)
    row = _locked(run) if run is not None else None
    if row is None or row.state != RunState.PROPOSED or row.sha256 != approval.payload["sha256"]:
        raise Refusal(Reason.VERSION_CHANGED, "the list is not waiting any more")
    row.state, row.approved_by = RunState.RUNNING, operator
    row.save(update_fields=["state", "approved_by"])
    details: dict[str, str | int] = {"kind": row.kind, "sha256": row.sha256, "lines": row.lines}
    record(Event.IMPORT_STARTED, context=context, actor=operator, subject=row.pk, details=details)


def _facts(approval: Approval) -> list[tuple[str, str]]:
    run = _run_of(approval)
    if run is None or run.state == RunState.DISCARDED:
        return [("文件", "已不存在")]
    counts = {outcome: run.checked.get(outcome.value, 0) for outcome in Outcome}
    return [
        ("内容", KIND_WORDS[ImportKind(run.kind)]),
        ("文件", run.name),
        ("文件 SHA-256", run.sha256),
        ("行数", str(run.lines)),
        *((OUTCOME_WORDS[outcome], f"{counts[outcome]} 行") for outcome in (Outcome.NEW, Outcome.CHANGED, Outcome.SAME)),
        ("错误", Alarm(f"{counts[Outcome.ERROR]} 行，不导入") if counts[Outcome.ERROR] else "0 行"),
        ("核对", "每一行的预检结果在“数据导入”页面查看和下载"),
    ]


def _ended(approval: Approval) -> None:
    """Rejected or taken back: the list may be proposed again until it expires."""
    ImportRun.objects.filter(pk=approval.target, state=RunState.PROPOSED).update(state=RunState.CHECKED)


def register_kinds() -> None:
    """Name this decision; called once at start-up."""
    register_kind(Kind(CODE, "数据导入", _act, _facts, ended=_ended))
