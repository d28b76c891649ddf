"""Lists of another system: each line is made, changed, left or an error; nothing is half-written, and twice is once."""

from __future__ import annotations

import csv
import io
import random
import re
import zipfile
from datetime import date

import openpyxl
import pytest
import xlsxwriter
from django.core.management import CommandError, call_command
from worlds.browser import context
from worlds.rows import OTHER_USCC, USCC, account, operator, supplier

from calock.core.refusals import Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.imports import accounts, outcomes, services, tables
from calock.server.imports.columns import ImportKind
from calock.server.imports.services import ImportList
from calock.server.login.services import login_with_password
from calock.server.notices.models import Notice
from calock.server.organisations.models import Organisation, OrganisationName

pytestmark = pytest.mark.django_db

PEOPLE = f"""账户,姓名,外部编号,统一社会信用代码,角色,密码哈希,密码算法
zhangsan,张三,E-1,{USCC},机构管理员,{{SHA}}KEmWRGHgtsKuwMQrdJ8jBoeZgX8=,
lisi,李四,E-2,{USCC},,,
zhuanjia,赵专家,E-3,,普通成员,,
"""


def judged(kind: ImportKind, text: str | bytes) -> dict[int, tuple[str, str]]:
    content = text.encode() if isinstance(text, str) else text
    return {line.number: (line.outcome.value, line.words) for line in ImportList(kind, content).judged()}


def taken(kind: ImportKind, text: str | bytes, by: Account | None = None) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    return [line.outcome.value for line in ImportList(kind, content).written(by)]


def workbook(*rows, formula: str = "") -> bytes:
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"default_date_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    if formula:
        sheet.write_formula(len(rows), 0, formula)
    book.close()
    return made.getvalue()


def test_organisations_are_made_renamed_and_left():
    supplier("旧名称", OTHER_USCC)
    text = f"单位名称,类型,统一社会信用代码\n甲公司,,{USCC.lower()}\n新名称,采购单位,{OTHER_USCC}\n丙,,91330100MA2PRAC200\n"
    assert judged(ImportKind.ORGANISATIONS, text) == {
        2: ("new", "甲公司"),
        3: ("changed", "单位名称：旧名称 → 新名称；类型：供应商 → 采购单位"),
        4: ("error", "统一社会信用代码的校验码不正确"),
    }
    assert Organisation.objects.count() == 1, "a dry run writes nothing"
    assert taken(ImportKind.ORGANISATIONS, text) == ["new", "changed", "error"]
    assert taken(ImportKind.ORGANISATIONS, text) == ["same", "same", "error"]
    assert set(Organisation.objects.values_list("name", "kind")) == {("甲公司", "supplier"), ("新名称", "purchaser")}
    assert OrganisationName.objects.get().name == "旧名称"
    assert AuditEvent.objects.filter(event=Event.ORGANISATION_CREATED).get().details["import"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_accounts_come_in_whatever_encoding_their_list_has_and_log_in(encoding):
    supplier()
    by = operator("jia")
    assert taken(ImportKind.ACCOUNTS, PEOPLE.encode(encoding), by) == ["new", "new", "new"]
    assert taken(ImportKind.ACCOUNTS, PEOPLE.encode(encoding), by) == ["same", "same", "same"]
    first = Account.objects.get(external_id="E-1")
    assert (first.name, first.role, first.organisation.uscc) == ("张三", Role.ORGANISATION_ADMIN, USCC)
    login_with_password(username="zhangsan", password="Chang-Cheng-7", context=context())
    assert not Account.objects.get(username="lisi").has_usable_password()
    row = AuditEvent.objects.filter(event=Event.ACCOUNT_CREATED).earliest("id")
    assert (row.actor, row.subject, row.organisation, row.details["role"]) == (by.pk, first.pk, first.organisation_id, first.role)


def test_a_list_changes_names_places_and_roles_by_the_verbs_that_tell_people_but_never_a_password():
    supplier(), supplier("别家", OTHER_USCC)
    taken(ImportKind.ACCOUNTS, PEOPLE)
    password = Account.objects.get(username="zhangsan").password
    changed = PEOPLE.replace("张三", "张珊").replace(f"E-1,{USCC},机构管理员,{{SHA}}KE", f"E-1,{OTHER_USCC},,{{SHA}}aa")
    line = judged(ImportKind.ACCOUNTS, changed)[2]
    assert line == ("changed", "姓名；单位：测试供应商有限公司 → 别家；角色：机构管理员 → 普通成员")
    assert taken(ImportKind.ACCOUNTS, changed) == ["changed", "same", "same"]
    member = Account.objects.get(username="zhangsan")
    assert (member.name, member.organisation.uscc, member.role, member.password) == ("张珊", OTHER_USCC, Role.MEMBER, password)
    assert Notice.objects.filter(account=member, kind="moved").exists()
    assert taken(ImportKind.ACCOUNTS, changed) == ["same", "same", "same"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("jia,甲,,,,,", "运营人员的账户不能导入"),
        ("neu,新,E-9,,,,", "外部编号 E-9 属于另一账户"),
        ("alt,旧,E-8,,,,", "该账户已有另一外部编号"),
        ("neu,新,,,运营,,", "角色须为普通成员或机构管理员"),
        ("neu,新,,,平台运营,,", "角色须为普通成员或机构管理员"),
        ("neu,新,,,机构管理员,,", "机构管理员须属于一个单位"),
        (f"neu,新,,{OTHER_USCC},,,", "请先导入单位"),
        ("n,新,,,,,", "账户须为 2 至 64 个"),
        ("=cmd()|x,新,,,,,", "账户须为 2 至 64 个"),
        ("neu,,,,,,", "未填写姓名"),
        ("neu,新,,,,Klartext,", "密码哈希的格式无法识别"),
        ("neu,新,,,,abc,md5", "md5 的密码哈希须为 32 位十六进制"),
        ("neu,新\x00,,,,,", "第 2 列含有控制字符"),
        ("neu,新\x1b[31m,,,,,", "第 2 列含有控制字符"),
        ("neu,\u202e新,,,,,", "第 2 列含有控制字符"),
        ("neu,新", "该行有 2 列，列名有 7 个"),
        ("neu,新,,,,,,,mehr", "该行有 9 列，列名有 7 个"),
        (f"neu,{'新' * 501},,,,,", "第 2 列超过 500 个字符"),
        ("neu,新,,,,," + "x" * 10_000_000, "该行超过 65536 个字符"),
        ("neu,新,,,,," + "," * 200_000, "该行超过 65536 个字符"),
        ("neu,新,,,,,\nneu,新二,,,,,", "账户重复：第 2、3 行"),
        ('neu,"新"x,,,,,', "无法读取该行"),
    ],
    ids=range(22),
)
def test_a_wrong_line_is_an_error_line_with_its_reason_and_the_others_are_taken(line, words):
    operator("jia")
    account("andere", "别人", external_id="E-9"), account("alt", "旧", external_id="E-7")
    text = f"{PEOPLE.splitlines()[0]}\n{line}\ngut,好,,,,,\n"
    found = list(judged(ImportKind.ACCOUNTS, text).values())
    assert found[0][0] == "error"
    assert words in found[0][1]
    assert found[-1][0] == "new"
    taken(ImportKind.ACCOUNTS, text)
    assert set(Account.objects.values_list("username", flat=True)) == {"jia", "andere", "alt", "gut"}


def test_an_account_whose_row_somebody_changed_is_an_error_line_and_stops_no_other():
    account("zhangsan", "张三")
    Account.objects.update(lock_only=True)
    text = "账户,姓名\nzhangsan,张三丰\nlisi,李四\n"
    assert "未通过完整性校验" in judged(ImportKind.ACCOUNTS, text)[2][1]
    assert taken(ImportKind.ACCOUNTS, text) == ["error", "new"]
    assert Account.objects.get(username="zhangsan").name == "张三"


def test_a_cell_in_a_wrong_encoding_is_an_error_line():
    text = PEOPLE.splitlines()[0].encode() + b"\nneu," + "张三丰".encode("gb18030") + b",,,,,\n" + "gut,好,,,,,\n".encode() * 1
    assert judged(ImportKind.ACCOUNTS, text) == {2: ("error", "第 2 列的编码有误"), 3: ("new", "好")}


def test_a_name_that_looks_like_a_formula_is_kept_as_text():
    text = "账户,姓名\nneu,=HYPERLINK(1)\n"
    assert taken(ImportKind.ACCOUNTS, text) == ["new"]
    assert Account.objects.get().name == "=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "文件是空的"),
        ("账户,姓名,账户\n".encode(), "列“账户”出现多次"),
        ("账户,姓名,username\n".encode(), "列“账户”出现多次"),
        ("账户,姓名,手机\n".encode(), "没有名为“手机”的列；可用的列：账户、姓名"),
        ("账户\n".encode(), "缺少列：姓名"),
        ("账户,姓名\n".encode("utf-16"), "UTF-16"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, ".xls"),
        (b"PK\x03\x04" + b"\0" * 99, "已损坏"),
        (random.Random(7).randbytes(4000), "没有名为|无法读取|控制字符|编码有误|列"),
        ("账户,姓名\n".encode() + b"x,y\n" * 101, "超过 100 行"),
        (workbook(("账户", "姓名"), *[("x", "y")] * 101), "超过 100 行"),
    ],
    ids=range(11),
)
def test_what_is_no_list_is_refused_whole_with_words_for_people(content, words, monkeypatch):
    monkeypatch.setattr(tables, "MAX_LINES", 100)
    with pytest.raises(Refusal, match=words):
        ImportList(ImportKind.ACCOUNTS, content)


def test_a_workbook_is_read_as_text_and_what_excel_made_of_it_is_an_error_line():
    content = workbook(
        ("账户", "姓名", "外部编号"), ("neu1", "张三", "0012"), ("neu2", "李四", 12.0), ("neu3", "王五", 7301401000450001)
    )
    assert judged(ImportKind.ACCOUNTS, content) == {
        2: ("new", "张三"), 3: ("new", "李四"), 4: ("error", "第 3 列是超过 15 位的数字，Excel 已丢失末位，请设为文本后重新填写")
    }  # fmt: skip
    taken(ImportKind.ACCOUNTS, content)
    assert set(Account.objects.values_list("external_id", flat=True)) == {"0012", "12"}
    formula = workbook(("账户", "姓名"), formula='=HYPERLINK("http://x")')
    assert judged(ImportKind.ACCOUNTS, formula) == {2: ("error", "第 1 列是公式或错误值，请粘贴为文本")}


def test_a_csv_that_excel_has_written_is_read_as_what_was_meant_or_is_an_error_line():
    lines = "neu1,张三,1.32E+17", 'neu2,李四,"=""0012"""', 'neu3,王五,="0013"', "  , ,", "neu4,赵六,E-9"
    text = "\n".join(("*账户,姓 名：,外部编号", *lines, ""))
    assert judged(ImportKind.ACCOUNTS, text) == {
        2: ("error", "第 3 列是科学计数法的数字，Excel 已丢失末位，请设为文本后重新填写"),
        3: ("new", "李四"), 4: ("new", "王五"), 6: ("new", "赵六"),
    }  # fmt: skip
    taken(ImportKind.ACCOUNTS, text)
    assert set(Account.objects.values_list("external_id", flat=True)) == {"0012", "0013", "E-9"}


def test_a_date_that_excel_made_of_a_number_is_an_error_line():
    content = workbook(("账户", "姓名", "外部编号"), ("neu1", "张三", date(2024, 3, 1)))
    assert judged(ImportKind.ACCOUNTS, content) == {2: ("error", "第 3 列是日期，Excel 已改写原文，请设为文本后重新填写")}


@pytest.mark.parametrize("written", ["９１３５０１００Ｍ０００１００Ｙ４３", "9135 0100 m000 100y 43", "91350100-M000100Y43"])
def test_a_code_in_another_way_of_writing_is_that_organisations(written):
    text = "统一社会信用代码,单位名称\n"
    assert taken(ImportKind.ORGANISATIONS, f"{text}91350100M000100Y43,甲公司\n") == ["new"]
    assert taken(ImportKind.ORGANISATIONS, f"{text}{written},甲公司\n") == ["same"]


def test_a_workbook_cannot_fill_the_memory():
    far = io.BytesIO()
    book = xlsxwriter.Workbook(far)
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ("账户", "姓名"))
    sheet.write_string(1048575, 16383, "weit weg")
    book.close()
    with pytest.raises(Refusal, match="超过 100000 行"):
        ImportList(ImportKind.ACCOUNTS, far.getvalue())
    bomb = io.BytesIO(workbook(("账户", "姓名")))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/media/bild.bin", b"\0" * (97 * 1024 * 1024))
    with pytest.raises(Refusal, match="解压后超过"):
        ImportList(ImportKind.ACCOUNTS, bomb.getvalue())
    entities = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(("账户", "姓名")))) as clean, zipfile.ZipFile(entities, "w") as evil:
        for name in clean.namelist():
            text = clean.read(name)
            if name.endswith("sheet1.xml"):
                text = text.replace(b"?>\n", b'?>\n<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', 1)
            evil.writestr(name, text)
    with pytest.raises(Refusal, match="无法读取 Excel 文件"):
        ImportList(ImportKind.ACCOUNTS, entities.getvalue())
    assert openpyxl.DEFUSEDXML


def rewritten(part: str, old: bytes, new: bytes) -> bytes:
    """A workbook one of whose parts holds ``new`` instead of ``old``."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(("账户", "姓名")))) as clean,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as evil,
    ):
        for each in clean.namelist():
            text = clean.read(each)
            if each == part:
                assert old in text
                text = text.replace(old, new, 1)
            evil.writestr(each, text)
    return made.getvalue()


SHEET, STYLES = "xl/worksheets/sheet1.xml", "xl/styles.xml"
MANY = 1024 * 1024 // 7


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        (SHEET, b"</row>", b"<c/>" * MANY + b"</row>"),
        (SHEET, b"</row>", (b"<c/>" * 9000 + b"<row/>") * 20 + b"</row>"),
        (SHEET, b"</row>", (b"<c/>" * 9000 + b"<x:row xmlns:x='urn:x'/>") * 20 + b"</row>"),
        (SHEET, b"</row>", b"</row>" + (b"<x/>" * 9000 + b"<row/>") * 20),
        (SHEET, b"</row>", b"</row>" + b'<row r="1"/>' * 100_001),
        (STYLES, b"<font>", b"<font/>" * MANY + b"<font>"),
        (STYLES, b"<font>", (b"<row>" + b"<font/>" * 9000 + b"</row>") * 20 + b"<font>"),
        (STYLES, b"<font>", b"<font " + b" ".join(b"a%d=''" % number for number in range(200_000)) + b"/><font>"),
        (STYLES, b"<font>", b"<font a='" + b"y" * 600_000 + b"'/>" + b"<font/>" * 20_000 + b"<font>"),
    ],
    ids=[
        "cells",
        "rows in a row",
        "rows of another kind",
        "between rows",
        "one row again",
        "fonts",
        "rows of fonts",
        "attributes",
        "behind a long tag",
    ],
)
def test_a_small_workbook_that_unpacks_to_a_large_tree_is_refused(part, old, new):
    with pytest.raises(Refusal, match=r"结构过大|超过 100000 行"):
        ImportList(ImportKind.ACCOUNTS, rewritten(part, old, new))


TYPES, RELATIONS = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
MAIN = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
ROWS = b'<row xmlns="%s">' % MAIN + b"<a/>" * 9000 + b"</row>"
TEXTS = b'<sst xmlns="%s">' % MAIN + b"<a/>" * 30_000 + b"</sst>"
OVERRIDE = '<Override PartName="/{}" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.{}+xml"/>'


def passed_off(part: str, content: bytes, *kinds: str, of: str = SHEET) -> bytes:
    """A workbook with the part put in, and with these content types said of ``part``, while ``of`` has none any more."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(("账户", "姓名")))) as clean,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as evil,
    ):
        for each in set(clean.namelist()) - {part, TYPES}:
            evil.writestr(each, clean.read(each))
        types = re.sub(rb'<Override PartName="/%s"[^>]*>' % of.encode(), b"", clean.read(TYPES)) if kinds else clean.read(TYPES)
        said = "".join(OVERRIDE.format(part, kind) for kind in kinds).encode()
        evil.writestr(TYPES, types.replace(b"</Types>", said + b"</Types>"))
        evil.writestr(part, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("part", "content", "kinds"),
    [
        ("xl/worksheets/_rels/sheet1.xml.rels", b"<Relationships>" + ROWS * 3 + b"</Relationships>", ()),
        ("xl/worksheets/_rels/sheet1.xml.rels", b"<Relationships>" + ROWS * 3 + b"</Relationships>", ("worksheet",)),
        (STYLES, TEXTS, ()),
        (STYLES, TEXTS, ("sharedStrings",)),
        (STYLES, b"<styleSheet>" + ROWS * 3 + b"</styleSheet>", ("worksheet",)),
        ("xl/Workbook.xml", b"<workbook>" + ROWS * 3 + b"</workbook>", ("worksheet", "sheet.main")),
        (SHEET, b"<workbook>" + ROWS * 3 + b"</workbook>", ("worksheet", "template.main")),
        (SHEET, b"<workbook>" + ROWS * 3 + b"</workbook>", ("sheet.main",)),
    ],
    ids=[
        "relations",
        "relations as sheet",
        "styles as texts",
        "styles said to be texts",
        "styles as sheet",
        "workbook",
        "both",
        "sheet",
    ],
)
def test_a_part_that_is_read_whole_is_counted_whole_whatever_it_is_passed_off_as(part, content, kinds):
    with pytest.raises(Refusal, match="结构过大"):
        ImportList(ImportKind.ACCOUNTS, passed_off(part, content, *kinds))


def test_a_chart_sheet_is_refused():
    with pytest.raises(Refusal, match="图表工作表"):
        ImportList(ImportKind.ACCOUNTS, rewritten(RELATIONS, b"relationships/worksheet", b"relationships/chartsheet"))


def test_a_long_workbook_is_taken():
    content = workbook(("账户", "姓名"), *((f"p{number}", f"张{number}") for number in range(6000)))
    assert len(ImportList(ImportKind.ACCOUNTS, content).records) == 6000


def test_a_batch_is_written_whole_or_not_at_all_and_the_same_list_goes_on_where_it_stopped(monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH", 10)
    lines = [f"p{number:04},张{number}" for number in range(15)]
    content = "\n".join(["账户,姓名", *lines]).encode()
    real = accounts.write

    def breaks_off(lines, importing):
        real(lines, importing)
        if lines[0].number > 10:
            raise ConnectionError("the database is gone")

    steps = services._STEPS[ImportKind.ACCOUNTS]
    monkeypatch.setitem(services._STEPS, ImportKind.ACCOUNTS, steps._replace(write=breaks_off))
    with pytest.raises(ConnectionError):
        taken(ImportKind.ACCOUNTS, content)
    assert Account.objects.count() == AuditEvent.objects.count() == 10
    monkeypatch.setitem(services._STEPS, ImportKind.ACCOUNTS, steps)
    assert taken(ImportKind.ACCOUNTS, content) == ["same"] * 10 + ["new"] * 5
    assert Account.objects.count() == AuditEvent.objects.count() == 15


def test_somebody_who_makes_the_same_account_at_the_same_moment_is_met_with_a_second_look(monkeypatch):
    steps = services._STEPS[ImportKind.ACCOUNTS]

    def meets(records):
        judged = steps.judge(records)
        if not Account.objects.exists():
            account("neu", "别人")
        return judged

    monkeypatch.setitem(services._STEPS, ImportKind.ACCOUNTS, steps._replace(judge=meets))
    assert taken(ImportKind.ACCOUNTS, "账户,姓名\nneu,新\ngut,好\n") == ["changed", "new"]
    assert set(Account.objects.values_list("username", "name")) == {("neu", "新"), ("gut", "好")}


def test_the_command_writes_nothing_while_lines_are_wrong_unless_it_is_told_to(tmp_path, capsys):
    path, report = tmp_path / "leute.csv", tmp_path / "bericht.csv"
    path.write_bytes("账户,姓名\ngut,好\nx,短\n".encode("gb18030"))
    with pytest.raises(CommandError, match="1 lines are wrong; nothing was written") as refused:
        call_command("import", "accounts", str(path))
    assert refused.value.returncode == 1
    with pytest.raises(CommandError):
        call_command("import", "accounts", str(path), "--dry-run")
    assert not Account.objects.exists()
    call_command("import", "accounts", str(path), "--skip-errors", "--report", str(report))
    assert Account.objects.get().username == "gut"
    assert "2 lines were: 1 new, 0 changed, 0 same, 1 error" in capsys.readouterr().out
    rows = list(csv.reader(report.read_text("utf-8-sig").splitlines()))
    assert rows[1:] == [["2", "gut", "新增", "好"], ["3", "x", "错误", "账户须为 2 至 64 个字母、数字或 .@+-_ ，姓名最多 64 个字"]]
    with pytest.raises(CommandError, match="No such file"):
        call_command("import", "accounts", str(tmp_path / "nichts"))
