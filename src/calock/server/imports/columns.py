"""What a list may hold: the columns of each kind by their Chinese and English names, in any order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from calock.core.checks.identity import normalised
from calock.server.imports.tables import Line, malformed, read_table


class ImportKind(StrEnum):
    ORGANISATIONS = "organisations"
    ACCOUNTS = "accounts"
    BINDINGS = "bindings"


class Column(NamedTuple):
    name: str
    title: str
    needed: bool = False
    hint: str = ""


COLUMNS: dict[ImportKind, tuple[Column, ...]] = {
    ImportKind.ORGANISATIONS: (
        Column("uscc", "统一社会信用代码", needed=True),
        Column("name", "单位名称", needed=True),
        Column("kind", "类型", hint="供应商、采购单位、采购代理机构、财政/监管部门；空为供应商"),
    ),
    ImportKind.ACCOUNTS: (
        Column("username", "账户", needed=True),
        Column("name", "姓名", needed=True),
        Column("external_id", "外部编号", hint="原系统中的编号，再次导入时据此识别"),
        Column("uscc", "统一社会信用代码", hint="所属单位；空为不变或无单位"),
        Column("role", "角色", hint="普通成员、机构管理员；空为不变或普通成员"),
        Column("password_hash", "密码哈希", hint="原系统的哈希，首次登录后换成本系统的；已有账户的密码不变"),
        Column("password_algorithm", "密码算法", hint="哈希未注明算法时填写，如 sm3(salt+password)"),
        Column("password_salt", "盐"),
    ),
    ImportKind.BINDINGS: (
        Column("username", "账户", hint="账户与外部编号至少填一项"),
        Column("external_id", "外部编号"),
        Column("provider", "CA 服务商", needed=True, hint="名称、简称或代码"),
        Column("lock_id", "CA锁ID", needed=True),
        Column("source", "来源", hint="名单的出处"),
    ),
}
"""Needed ones must be filled in on every line."""


class Record(NamedTuple):
    """One line of a list. ``fault``: why it cannot be taken, in Chinese; ``values`` are empty then."""

    number: int
    values: dict[str, str]
    fault: str = ""


def read_records(kind: ImportKind, content: bytes) -> Iterator[Record]:
    """The lines of a list below its headings.

    Raises:
        Refusal: REQUEST_MALFORMED: no table, or headings that name a column twice, not at all, or one that is none.
    """
    lines = read_table(content)
    head = next(lines, None)
    if head is None:
        raise malformed("文件是空的")
    names = _names(kind, head)
    for line in lines:
        yield _record(kind, names, line)


def _names(kind: ImportKind, head: Line) -> list[str]:
    if head.fault:
        raise malformed(f"第 {head.number} 行（列名）：{head.fault}")
    known = {text.casefold(): column.name for column in COLUMNS[kind] for text in (column.name, column.title)}
    cells = [unicodedata.normalize("NFKC", cell).replace(" ", "").strip("*:").casefold() for cell in head.cells]
    while cells and not cells[-1]:
        cells.pop()
    names = [{key.replace(" ", ""): name for key, name in known.items()}.get(cell, "") for cell in cells]
    titles = "、".join(column.title for column in COLUMNS[kind])
    for name, cell in zip(names, head.cells, strict=False):
        if not name:
            raise malformed(f"没有名为“{cell[:40]}”的列；可用的列：{titles}")
        if names.count(name) > 1:
            raise malformed(f"列“{cell[:40]}”出现多次")
    missing = [column.title for column in COLUMNS[kind] if column.needed and column.name not in names]
    if missing:
        raise malformed(f"缺少列：{'、'.join(missing)}")
    return names


def _record(kind: ImportKind, names: list[str], line: Line) -> Record:
    if line.fault:
        return Record(line.number, {}, line.fault)
    if len(line.cells) < len(names) or any(line.cells[len(names) :]):
        return Record(line.number, {}, f"该行有 {len(line.cells)} 列，列名有 {len(names)} 个")
    values = dict(zip(names, line.cells, strict=False))
    if "uscc" in values:
        values["uscc"] = normalised("uscc", values["uscc"])
    empty = [column.title for column in COLUMNS[kind] if column.needed and not values[column.name]]
    return Record(line.number, {} if empty else values, f"未填写{'、'.join(empty)}" if empty else "")
