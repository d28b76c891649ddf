"""Lists of organisations: known by their 统一社会信用代码."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from calock.server.accounts.organisations import clean_organisation_name, clean_uscc, write_imported
from calock.server.audit.events import Event
from calock.server.audit.services import build, record_all
from calock.server.imports.columns import Record
from calock.server.imports.outcomes import Importing, Judged, Outcome, judge_each
from calock.server.imports.tables import malformed
from calock.server.organisations.models import Organisation, OrganisationKind, OrganisationName, OrganisationState

_KINDS = {text.casefold(): kind for kind in OrganisationKind for text in (kind.value, kind.label)}


def keys(record: Record) -> dict[str, str]:
    return {"统一社会信用代码": record.values["uscc"].upper()}


def judge(records: Sequence[Record]) -> list[Judged]:
    codes = {record.values["uscc"].upper() for record in records if not record.fault}
    known = {row.uscc: row for row in Organisation.objects.filter(uscc__in=codes)}
    former = dict(OrganisationName.objects.filter(uscc__in=codes).values_list("uscc", "organisation"))
    return judge_each(records, "uscc", lambda record: _decided(record, known, former))


def _decided(record: Record, known: Mapping[str, Organisation], former: Container[str]) -> Judged:
    values = record.values
    uscc, name = clean_uscc(values["uscc"]), clean_organisation_name(values["name"])
    kind = _KINDS.get(values.get("kind", "").casefold())
    if kind is None and values.get("kind"):
        raise malformed(f"没有这种类型：{values['kind'][:20]}")
    row = known.get(uscc)
    if row is not None:
        return _changed(record.number, row, name=name, kind=kind or OrganisationKind(row.kind))
    if uscc in former:
        raise malformed("该统一社会信用代码曾由另一单位使用")
    row = Organisation(name=name, uscc=uscc, kind=kind or OrganisationKind.SUPPLIER)
    return Judged(record.number, uscc, Outcome.NEW, name, row)


def _changed(number: int, row: Organisation, *, name: str, kind: OrganisationKind) -> Judged:
    if row.state == OrganisationState.MERGED:
        raise malformed("该单位已并入其他单位")
    changes, words = {}, []
    if row.name != name:
        changes["name"] = name
        words.append(f"单位名称：{row.name} → {name}")
    if row.kind != kind:
        changes["kind"] = kind.value
        words.append(f"类型：{row.get_kind_display()} → {kind.label}")
    return Judged(number, row.uscc, Outcome.CHANGED if changes else Outcome.SAME, "；".join(words), row, changes)


def write(judged: Iterable[Judged], importing: Importing) -> None:
    """New and changed ones, inside the caller's transaction."""
    new = [line.row for line in judged if line.outcome == Outcome.NEW]
    Organisation.objects.bulk_create(new)
    details = {"import": importing.sha256}
    record_all(
        build(
            Event.ORGANISATION_CREATED,
            context=importing,
            actor=importing.actor,
            subject=row.pk,
            organisation=row.pk,
            details=details,
        )
        for row in new
    )
    for line in judged:
        if line.outcome == Outcome.CHANGED:
            write_imported(line.row, line.values, by=importing.by, at=importing.at)
