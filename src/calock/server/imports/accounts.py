"""Lists of accounts: known by the number that the other system gave them, else by the name that their person types."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db.models import Q

from calock.server.accounts.creation import require_names
from calock.server.accounts.foreign_passwords import Foreign, read_foreign
from calock.server.accounts.members import change_role, move_account, write_external_id, write_name
from calock.server.accounts.models import Account, Role
from calock.server.audit.events import Event
from calock.server.audit.services import build, record_all
from calock.server.imports.columns import Record
from calock.server.imports.outcomes import Importing, Judged, Outcome, judge_each
from calock.server.imports.tables import malformed
from calock.server.organisations.models import Organisation, OrganisationState

_PLACE_NEEDED = "机构管理员须属于一个单位"
_ROLES = {text.casefold(): role for role in (Role.MEMBER, Role.ORGANISATION_ADMIN) for text in (role.value, role.label)}


def keys(record: Record) -> dict[str, str]:
    external = record.values.get("external_id", "")
    return {"账户": record.values["username"], **({"外部编号": external} if external else {})}


class _Known:
    """The rows that a batch speaks of."""

    def __init__(self, records: Sequence[Record]) -> None:
        whole = [record.values for record in records if not record.fault]
        names = {values["username"] for values in whole}
        external = {values.get("external_id", "") for values in whole} - {""}
        codes = {values.get("uscc", "").upper() for values in whole} - {""}
        rows = list(Account.objects.select_related("organisation").filter(Q(username__in=names) | Q(external_id__in=external)))
        self.by_name = {row.username: row for row in rows}
        self.by_external = {row.external_id: row for row in rows if row.external_id}
        self.organisations = {row.uscc: row for row in Organisation.objects.filter(uscc__in=codes)}


def judge(records: Sequence[Record]) -> list[Judged]:
    known = _Known(records)
    return judge_each(records, "username", lambda record: _decided(record, known))


def _password(values: dict[str, str]) -> Foreign:
    """The new account's hash of the other system; without one an unusable password."""
    text = values.get("password_hash", "")
    if not text:
        return Foreign(make_password(None))
    try:
        return read_foreign(text, algorithm=values.get("password_algorithm", ""), salt=values.get("password_salt", ""))
    except ValueError as wrong:
        raise malformed(str(wrong)) from wrong


def _decided(record: Record, known: _Known) -> Judged:
    values = record.values
    username, external = values["username"], values.get("external_id", "")
    role, uscc = _ROLES.get(values.get("role", "").casefold()), values.get("uscc", "").upper()
    place = known.organisations.get(uscc)
    require_names(username, values["name"])
    if len(external) > 64:
        raise malformed("外部编号最多 64 个字符")
    if role is None and values.get("role"):
        raise malformed("角色须为普通成员或机构管理员")
    if uscc and (place is None or place.state == OrganisationState.MERGED):
        raise malformed(f"没有统一社会信用代码为 {uscc[:18]} 的单位，请先导入单位")
    row = known.by_external.get(external) or known.by_name.get(username)
    if row is not None:
        return _changed(record, row, role=role, place=place)
    if role == Role.ORGANISATION_ADMIN and place is None:
        raise malformed(_PLACE_NEEDED)
    made = Account(username=username, name=values["name"], external_id=external, role=role or Role.MEMBER, organisation=place)
    return Judged(record.number, username, Outcome.NEW, values["name"], made, {"password": _password(values)})


def require_believed(row: Account) -> None:
    """Raise when somebody changed the row: it may be another account than the line means."""
    if not row.is_believed():
        raise malformed("该账户的记录未通过完整性校验，请先联系服务器所有者处理")


def _require_changeable(row: Account, username: str, external: str) -> None:
    """Raise when no list may change the account, or it is another one than the line means."""
    if row.role == Role.OPERATOR:
        raise malformed("运营人员的账户不能导入")
    require_believed(row)
    if row.username != username:
        raise malformed(f"外部编号 {external} 属于另一账户；账户名创建后不可更改")
    if external and row.external_id and row.external_id != external:
        raise malformed("该账户已有另一外部编号")


def _changed(record: Record, row: Account, *, role: Role | None, place: Organisation | None) -> Judged:
    values, external = record.values, record.values.get("external_id", "")
    username = values["username"]
    _require_changeable(row, username, external)
    changes: dict[str, Any] = {}
    words = []
    if values["name"] != row.name:
        changes["name"] = values["name"]
        words.append("姓名")
    if external and not row.external_id:
        changes["external_id"] = external
        words.append(f"外部编号：{external}")
    moved = place is not None and row.organisation_id != place.pk
    stays = Role.MEMBER if moved else Role(row.role)
    becomes = role or stays
    if moved:
        changes["organisation"] = place
        words.append(f"单位：{row.organisation or '无'} → {place}")
    if becomes != stays:
        changes["role"] = becomes
    if becomes != row.role:
        words.append(f"角色：{row.get_role_display()} → {becomes.label}")
    if becomes == Role.ORGANISATION_ADMIN and place is None and row.organisation_id is None:
        raise malformed(_PLACE_NEEDED)
    return Judged(record.number, username, Outcome.CHANGED if changes else Outcome.SAME, "；".join(words), row, changes)


def prepare(judged: Iterable[Judged], importing: Importing) -> None:
    """Hash the passwords of new accounts, before a transaction is open: a thousand may take ten seconds of two cores."""
    lines = [line for line in judged if line.outcome == Outcome.NEW and line.number not in importing.passwords]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        kept = pool.map(Foreign.form, [line.values["password"] for line in lines])
        importing.passwords.update(zip((line.number for line in lines), kept, strict=True))


def write(judged: Iterable[Judged], importing: Importing) -> None:
    """New and changed ones, inside the caller's transaction."""
    new = []
    for line in judged:
        if line.outcome == Outcome.NEW:
            line.row.password = importing.passwords[line.number]
            line.row.mac = line.row.expected_mac()
            new.append(line.row)
    Account.objects.bulk_create(new)
    record_all(
        build(
            Event.ACCOUNT_CREATED,
            context=importing,
            actor=importing.actor,
            subject=row.pk,
            organisation=row.organisation_id,
            details={"role": str(row.role), "import": importing.sha256},
        )
        for row in new
    )
    for line in judged:
        if line.outcome == Outcome.CHANGED:
            _write_changes(line.row, line.values, importing)


def _write_changes(row: Account, changes: dict[str, Any], importing: Importing) -> None:
    if "name" in changes:
        write_name(member=row, name=changes["name"], by=importing.by, context=None)
    if "external_id" in changes:
        write_external_id(member=row, external_id=changes["external_id"], by=importing.by, context=None)
    if "organisation" in changes:
        move_account(member=row, organisation=changes["organisation"], by=importing.by, context=None)
    if "role" in changes:
        change_role(member=row, role=changes["role"], by=importing.by, context=None)
