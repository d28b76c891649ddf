"""A person's 公民身份号码 is nowhere in the database, on no page and in no report: hashed with a key, masked, or encrypted."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from worlds.browser import Browser, bound, console_client, logged_in, reason_of, refusal_row
from worlds.practice import NOW, YEARS, family, id_card, make_lock
from worlds.rows import PASSWORD, RULES

from calock.cli import main
from calock.core.certificates.certificate import Certificate
from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import LockCertificate

pytestmark = pytest.mark.django_db

NUMBER = id_card("14010119900101123")
WIDE = "".join(chr(ord(digit) + 0xFEE0) for digit in NUMBER)


def personal_lock(**fields):
    """A lock whose CA wrote the number wherever one could: extension, name, lock id."""
    return make_lock("EC", **{"name": f"张三 {NUMBER}", "person_id": NUMBER, "lock_id": f"1@5013SF0{NUMBER}", **fields})


def everything() -> list[tuple[str, bytes]]:
    """Every value of every table, as its bytes."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            names = [column.name if hasattr(column, "name") else column[0] for column in cursor.description]
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    raw = bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode()
                    found.append((f"{table}.{name}", raw))
    return found


def places_of(number: str) -> list[str]:
    forms = [number.encode(), number.lower().encode(), number.encode("utf-16-be"), number.encode("utf-16-le")]
    return [place for place, value in everything() if any(form in value for form in forms)]


def test_after_binding_login_renewal_and_refusals_the_number_is_in_no_table(lock_world):
    lock_world.expert.set_password(PASSWORD)
    lock_world.expert.save()
    lock = personal_lock()
    binding = bound(lock, lock_world.expert)
    assert Browser().log_in(lock, device={"serial": NUMBER, "label": NUMBER, "manufacturer": "x"}).status_code == 200
    assert logged_in(lock_world.expert).step_up(lock).status_code == 200
    assert Browser().log_in(personal_lock(not_after=NOW + YEARS / 2)).status_code == 200
    refusal_row(Browser().log_in(personal_lock(number=1, not_after=NOW + YEARS / 2)), "RENEWAL_NEEDS_STEP_UP")
    refusal_row(Browser().log_in(personal_lock(not_before=NOW + YEARS / 4, not_after=NOW + YEARS / 2)), "CERTIFICATE_NOT_YET_VALID")
    refusal_row(logged_in(lock_world.colleague).bind(lock, lock_world.colleague), "LOCK_BOUND_TO_OTHER")
    lock_world.revoke(lock)
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    end = {"reason": f"身份证 {NUMBER} 本人遗失", "password": PASSWORD}
    assert logged_in(lock_world.expert).post(f"/api/bindings/{binding.pk}/end", end).status_code == 200
    assert len(everything()) > 500
    assert places_of(NUMBER) == []
    assert places_of(NUMBER[:14]) == []


def test_the_walk_would_find_it(lock_world):
    """The test above can fail: the same number in clear is found, also inside a blob."""
    lock = personal_lock()
    bound(lock, lock_world.expert)
    LockCertificate.objects.update(sealed_der=lock.certificate)
    assert places_of(NUMBER) == ["locks_lockcertificate.sealed_der"]
    LockCertificate.objects.update(sealed_der=b"", subject_cn=NUMBER)
    assert places_of(NUMBER) == ["locks_lockcertificate.subject_cn"]


def test_pages_and_answers_show_it_masked(lock_world):
    binding = bound(personal_lock(), lock_world.expert)
    browser = logged_in(lock_world.expert)
    operator = console_client(lock_world.operator)
    lock = binding.lock
    told = [
        browser.client.get("/api/bindings").content.decode(),
        browser.client.get("/system/ca/").content.decode(),
        browser.client.get(f"/system/ca/{binding.pk}/").content.decode(),
        operator.get(f"/console/locks/lock/{lock.pk}/change/").content.decode(),
        operator.get("/console/locks/lock/").content.decode(),
        operator.get(f"/console/audit/auditevent/{AuditEvent.objects.first().pk}/change/").content.decode(),
    ]
    for page in told:
        assert NUMBER not in page
        assert NUMBER[:14] not in page
    assert f"张三 {'*' * 14}{NUMBER[-4:]}" in told[0]


def test_two_people_whose_masks_are_alike_have_two_locks(lock_world):
    """The lock id keeps a keyed hash of what it hides."""
    other = next(
        number
        for day in range(1, 29)
        for order in range(1000)
        if (number := id_card(f"140102199002{day:02}{order:03}"))[-4:] == NUMBER[-4:]
    )
    one = bound(personal_lock(), lock_world.expert)
    two = bound(personal_lock(number=1, name=f"张三 {other}", person_id=other, lock_id=f"1@5013SF0{other}"), lock_world.colleague)
    ids = {one.lock.lock_id, two.lock.lock_id}
    assert len(ids) == 2
    assert len({lock_id[:27] for lock_id in ids}) == 1
    assert Browser().log_in(personal_lock()).status_code == 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (NUMBER, "*" * 14 + NUMBER[-4:]),
        (f"张三_{NUMBER}_签名", f"张三_{'*' * 14}{NUMBER[-4:]}_签名"),
        (f"SF0{NUMBER}9", f"SF0{'*' * 14}{NUMBER[-4:]}9"),
        ("11010519491231002x", "*" * 14 + "002x"),
        (WIDE, "*" * 14 + WIDE[-4:]),
        (f"{NUMBER[:6]} {NUMBER[6:14]}-{NUMBER[14:]}", f"****** ********-{NUMBER[14:]}"),
        (f"{NUMBER},{NUMBER}", f"{'*' * 14}{NUMBER[-4:]},{'*' * 14}{NUMBER[-4:]}"),
        ("", ""),
        ("测试单位_张三", "测试单位_张三"),
        (NUMBER[:17] + str((int(NUMBER[17]) + 1) % 10), NUMBER[:17] + str((int(NUMBER[17]) + 1) % 10)),
        ("7201300001812001", "7201300001812001"),
        (NUMBER[:17], NUMBER[:17]),
    ],
)
def test_what_is_masked_and_what_is_not(text, shown):
    assert mask_person_ids(text) == shown


def test_explain_prints_it_nowhere(tmp_path, capsys):
    here = family("EC")
    lock = personal_lock()
    files = {"root": here.root.certificate, "ca": here.issuing.certificate, "lock": lock.certificate}
    files["rules"] = json.dumps(RULES).encode()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    trust = ["--anchors", str(tmp_path / "root"), "--intermediates", str(tmp_path / "ca"), "--policy", str(tmp_path / "rules")]
    given = ["certificate", "explain", str(tmp_path / "lock"), *trust]
    for form in ([], ["--json"]):
        assert main([*given, *form]) == 0
        printed = capsys.readouterr().out
        assert NUMBER not in printed
        assert NUMBER[:14] not in printed
        assert NUMBER[-4:] in printed
    assert json.loads(printed)["identity"]["lock_id"] == f"1@5013SF0{'*' * 14}{NUMBER[-4:]}"


# --- encryption at rest


def test_a_stored_certificate_opens_only_in_its_own_row(lock_world):
    bound(make_lock("EC"), lock_world.member)
    bound(make_lock("EC", number=1, lock_id="SX-0002"), lock_world.member)
    one, two = LockCertificate.objects.all()
    assert Certificate.parse(one.der).sha256 == one.cert_sha256
    two.sealed_der = one.sealed_der
    for sealed in (bytes(one.sealed_der), bytes(one.sealed_der)[:-1], b"\x01", b"", b"\x30\x00"):
        two.sealed_der = sealed
        with pytest.raises(Refusal) as refused:
            _ = two.der
        assert refused.value.reason is Reason.CERTIFICATE_UNPARSABLE


def test_one_certificate_is_never_sealed_alike_twice(lock_world):
    bound(make_lock("EC"), lock_world.member)
    row = LockCertificate.objects.get()
    before = bytes(row.sealed_der)
    row.der = row.der
    assert row.sealed_der != before


def test_a_certificate_that_does_not_open_is_in_doubt_and_harms_nobody_else(lock_world):
    """Somebody changed the row: its own holder still logs in (he proves the key), a renewal needs the person."""
    lock = make_lock("EC", person_id=NUMBER)
    bound(lock, lock_world.expert)
    LockCertificate.objects.update(sealed_der=b"\x01garbage")
    assert Browser().log_in(lock).status_code == 200
    renewed = make_lock("EC", person_id=NUMBER, not_after=NOW + YEARS / 2)
    assert reason_of(Browser().log_in(renewed)) == "RENEWAL_NEEDS_STEP_UP"
    assert logged_in(lock_world.expert).bind(renewed, lock_world.expert).status_code == 200
