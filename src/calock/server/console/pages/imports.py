"""数据导入: upload a list, read what would become of each line, have a second operator decide, and see what did."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.console.pages.common import asked_by, operator_and_context, page, reasoned_by, take
from calock.server.imports.columns import COLUMNS, ImportKind
from calock.server.imports.models import KIND_WORDS, ImportRun, RunState
from calock.server.imports.outcomes import OUTCOME_WORDS, Outcome
from calock.server.imports.runs import discard, lines_of, propose_import
from calock.server.imports.runs import upload as take_upload
from calock.server.imports.tables import MAX_FILE
from calock.server.web import exports

RECENT = 50
SHOWN = 50
"""Lines of the report that the page itself shows, errors first."""
TONES = {Outcome.NEW: "good", Outcome.CHANGED: "warn", Outcome.SAME: "", Outcome.ERROR: "bad"}
_STATE_TONES = {RunState.DONE: "good", RunState.RUNNING: "warn", RunState.PROPOSED: "warn", RunState.CHECKED: "warn"}


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    rows = ImportRun.objects.select_related("uploaded_by")[:RECENT]
    return page(
        request,
        "console/imports.html",
        title="数据导入",
        rows=[(row, _STATE_TONES.get(RunState(row.state), ""), _figures(row)) for row in rows],
        kinds=[(kind, KIND_WORDS[kind], COLUMNS[kind]) for kind in KIND_WORDS],
    )


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    file: Any = request.FILES.get("list")

    def do() -> ImportRun:
        if file is None or request.POST.get("kind") not in {kind.value for kind in KIND_WORDS}:
            raise Refusal(Reason.REQUEST_MALFORMED, "请选择内容和文件")
        content = file.read(MAX_FILE + 1)
        return take_upload(kind=ImportKind(request.POST["kind"]), name=file.name or "", content=content, **asked_by(request))

    taken = take(request, "import_upload", "", do)
    return HttpResponseRedirect(reverse("admin:import_run", args=[taken.pk]) if taken else reverse("admin:imports"))


@require_http_methods(["GET", "POST"])
def run(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    row = get_object_or_404(ImportRun.objects.select_related("uploaded_by", "approved_by"), pk=key)
    if request.method == "POST":
        return _step(request, row)
    what = "result" if row.written else "check"
    wrong = islice((line for line in lines_of(row, what) if line[2] == Outcome.ERROR), SHOWN)
    others = islice((line for line in lines_of(row, what) if line[2] not in (Outcome.ERROR, Outcome.SAME)), SHOWN)
    return page(
        request,
        "console/import.html",
        title=str(row),
        row=row,
        figures=_figures(row),
        written=bool(row.written),
        checking=row.state == RunState.CHECKING,
        running=row.state == RunState.RUNNING,
        done_lines=sum(row.written.values()),
        may_propose=row.state == RunState.CHECKED and any(row.checked.get(name) for name in (Outcome.NEW, Outcome.CHANGED)),
        may_discard=row.state in (RunState.CHECKING, RunState.CHECKED, RunState.RUNNING),
        lines=[(line, TONES[Outcome(line[2])], OUTCOME_WORDS[Outcome(line[2])]) for line in (*wrong, *others)][:SHOWN],
        waiting_here=Approval.objects.open_at(timezone.now()).filter(target=str(row.pk)).select_related("proposed_by"),
    )


def _step(request: HttpRequest, row: ImportRun) -> HttpResponse:
    step = request.POST.get("step", "")

    def do() -> None:
        if step == "discard":
            discard(run=row, **asked_by(request))
        else:
            propose_import(run=row, **reasoned_by(request))

    take(request, "import_run", step, do)
    gone = step == "discard"
    return HttpResponseRedirect(reverse("admin:imports") if gone else request.path)


@require_GET
def report(request: HttpRequest, key: uuid.UUID) -> HttpResponseBase:
    """Every line and what becomes, or became, of it. Query: ``format``."""
    row = get_object_or_404(ImportRun, pk=key)
    kind = request.GET.get("format", "")
    if kind not in exports.TYPES:
        raise Refusal(Reason.REQUEST_MALFORMED, "format")
    operator, context = operator_and_context(request)
    details: dict[str, str | int] = {"list": "import", "format": kind, "rows": row.lines}
    record(Event.LIST_EXPORTED, context=context, actor=operator, subject=row.pk, details=details)
    return exports.file_of("导入结果" if row.written else "预检结果", kind, _report(row, "result" if row.written else "check"))


def _report(row: ImportRun, what: str) -> Iterator[exports.Row]:
    yield ("行", "标识", "结果", "说明")
    for number, key, outcome, words in lines_of(row, what):
        yield (number, key, OUTCOME_WORDS[Outcome(outcome)], words)


def _figures(row: ImportRun) -> list[tuple[str, int, str]]:
    counts = row.written or row.checked
    return [(OUTCOME_WORDS[outcome], counts.get(outcome.value, 0), TONES[outcome]) for outcome in Outcome] if counts else []


PAGES: tuple[tuple[str, Callable[..., HttpResponseBase], str], ...] = (
    ("imports/", overview, "imports"),
    ("imports/upload/", upload, "import_upload"),
    ("imports/<uuid:key>/", run, "import_run"),
    ("imports/<uuid:key>/report/", report, "import_report"),
)
