"""Everybody gets their own receipts, and nobody another's; anybody has a file or a number judged, and learns no more."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.uploadedfile import SimpleUploadedFile
from worlds.browser import Browser, logged_in

from calock.core.receipts.archive import pack, unpack
from calock.core.receipts.parts import listed
from calock.core.receipts.verify import verify_receipt
from calock.server.audit.tree import public_hex
from calock.server.locks.models import Lock
from calock.server.receipts.models import Receipt

pytestmark = pytest.mark.django_db


def body(answer) -> str:
    return answer.content.decode()


def send(file: bytes):
    return Browser().client.post("/verify/", {"file": SimpleUploadedFile("receipt.zip", file)})


def test_a_receipt_is_listed_shown_and_downloaded_by_whose_it_is_and_by_nobody_else(made, lock_world):
    receipt = made()
    client = logged_in(lock_world.member).client
    assert receipt.number in body(client.get("/receipts/"))
    shown = body(client.get(f"/receipts/{receipt.number}/"))
    assert "data:image/svg+xml" in shown
    assert lock_world.member.username in shown
    answer = client.get(f"/receipts/{receipt.number}/file/")
    assert receipt.number in answer["Content-Disposition"]
    assert verify_receipt(answer.content).number == receipt.number
    binding = body(client.get(f"/system/ca/{receipt.binding}/"))
    assert f"/receipts/{Receipt.objects.get(purpose='bind').number}/file/" in binding
    for stranger in (lock_world.outsider, lock_world.admin, lock_world.operator):
        client = logged_in(stranger).client
        assert receipt.number not in body(client.get("/receipts/"))
        for address in (f"/receipts/{receipt.number}/", f"/receipts/{receipt.number}/file/", "/receipts/nonsense/file/"):
            assert client.get(address).status_code == 404, address
    assert Browser().client.get(f"/receipts/{receipt.number}/file/").status_code in (302, 401)


def test_one_that_is_not_sealed_yet_is_not_handed_out(made, lock_world):
    receipt = made(seal=False)
    client = logged_in(lock_world.member).client
    assert "约一分钟" in body(client.get(f"/receipts/{receipt.number}/"))
    assert client.get(f"/receipts/{receipt.number}/file/").status_code == 409


def test_anybody_has_a_file_judged(file):
    assert "回执成立" in body(send(file))
    answer = send(file.replace(b"192.0.2.7", b"192.0.2.8"))
    assert answer.status_code == 400
    assert "audit/leaf.bin" in body(answer)
    for rubbish in (b"", b"PK\x03\x04", BytesIO(b"x" * 2000).read()):
        assert send(rubbish).status_code in (400, 409)


def test_a_file_made_to_break_the_reader_is_refused_by_its_part_and_counted(file):
    parts = {name: content for name, content in unpack(file).items() if not name.startswith("manifest")}
    forger = Ed25519PrivateKey.generate()
    deep = dict.fromkeys(("audit/head.json", "audit/row.json", "token.json"), b"[" * 100_000)
    zoneless = re.sub(rb'("at":"[^"+]*)[+]00:00"', rb'\1"', parts["receipt.json"])
    assert zoneless != parts["receipt.json"]
    for name, content in {**deep, "receipt.json": zoneless}.items():
        broken = pack(listed({**parts, name: content}, key=public_hex(forger), sign=forger.sign))
        answer = send(broken)
        assert answer.status_code == 400, name
        assert f"（{name}）" in body(answer)
    for _ in range(56):
        assert send(broken).status_code == 400
    assert send(broken).status_code == 429


def test_a_number_alone_tells_nothing_and_with_the_locks_end_no_name(made, lock_world):
    receipt = made()
    lock = Lock.objects.get(pk=receipt.lock)
    told = Browser().client.post("/verify/", {"number": receipt.number, "last": lock.lock_id[-4:]})
    assert "存在" in body(told)
    assert lock_world.member.username not in body(told)
    for wrong in (
        {"number": receipt.number, "last": "0000"},
        {"number": "261129-0000-0000-0000", "last": lock.lock_id[-4:]},
        {"number": "\x00", "last": ""},
    ):
        assert Browser().client.post("/verify/", wrong).status_code == 404
    for _ in range(70):
        last = Browser().client.post("/verify/", {"number": receipt.number, "last": "0000"})
    assert last.status_code == 429


def test_a_receipt_that_was_changed_in_the_database_is_not_confirmed(made, lock_world):
    receipt = made()
    lock = Lock.objects.get(pk=receipt.lock)
    Receipt.objects.filter(pk=receipt.pk).update(sealed=bytes(receipt.sealed)[:-1] + b"\x00")
    told = Browser().client.post("/verify/", {"number": receipt.number, "last": lock.lock_id[-4:]})
    assert told.status_code == 400
    assert logged_in(lock_world.member).client.get(f"/receipts/{receipt.number}/file/").status_code == 400
