"""Everybody gets their own receipts, and nobody another's; anybody has a file or a number judged, and learns no more."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from django.utils.translation import override
from worlds.browser import Browser, bound, logged_in, page_client
from worlds.practice import make_lock

from calock.core.receipts.archive import pack, unpack
from calock.core.receipts.parts import listed
from calock.core.receipts.verify import Note, verify_receipt
from calock.core.refusals import Reason
from calock.core.trail.heads import Head
from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing import seal_audit
from calock.server.audit.services import Event, record
from calock.server.audit.tree import public_hex
from calock.server.locks.models import Lock
from calock.server.portal.receipt_words import note_sentence
from calock.server.providers.models import CaRecord, CaState
from calock.server.receipts import services
from calock.server.receipts.models import Receipt
from calock.server.tools import encryption
from calock.wire.statuses import status_of

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
    english = body(page_client("shanxi", lock_world.member, english=True).get(f"/receipts/{receipt.number}/"))
    for label in ("Account", "CA lock ID", "Organisation"):
        assert f"<dt>{label}</dt>" in english
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


def test_what_another_proved_with_their_own_lock_is_listed_and_not_opened(made, lock_world):
    login = made(seal=False)
    own = make_lock("SM2")
    bound(own, lock_world.admin)
    browser = logged_in(lock_world.admin)
    challenge = browser.challenge("unbind", binding=str(login.binding))
    sent = {"reason": "离职", "challenge": challenge, "token": own.sign(challenge)}
    assert browser.post(f"/api/bindings/{login.binding}/end", sent).status_code == 200
    seal_audit(at=timezone.now())
    receipt = Receipt.objects.get(purpose="unbind")
    assert (receipt.account, receipt.subject) == (lock_world.admin.pk, lock_world.member.pk)
    client = logged_in(lock_world.member).client
    assert receipt.number in body(client.get("/receipts/"))
    serial = f"{x509.load_der_x509_certificate(own.certificate).serial_number:x}"
    opened = (f"/receipts/{receipt.number}/", f"/receipts/{receipt.number}/file/")
    assert [client.get(address).status_code for address in opened] == [404, 404]
    for address in ("/receipts/", f"/system/ca/{receipt.binding}/"):
        shown = body(client.get(address))
        assert not any(link in shown for link in opened)
        assert serial not in shown.lower()
    assert [browser.client.get(address).status_code for address in opened] == [200, 200]


def test_an_account_that_left_the_actors_authority_is_no_longer_named(made, lock_world):
    made(seal=False)
    browser = logged_in(lock_world.admin)
    assert browser.bind(make_lock("SM2"), lock_world.member).status_code == 200
    address = f"/receipts/{Receipt.objects.get(account=lock_world.admin.pk).pk}/"
    Account.objects.filter(pk=lock_world.member.pk).update(username="named-today")
    assert "named-today" in body(browser.client.get(address))
    Account.objects.filter(pk=lock_world.member.pk).update(organisation=lock_world.outsider.organisation)
    assert "named-today" not in body(browser.client.get(address))


def test_one_that_is_not_sealed_yet_is_not_handed_out(made, lock_world):
    receipt = made(seal=False)
    client = logged_in(lock_world.member).client
    assert "约一分钟" in body(client.get(f"/receipts/{receipt.number}/"))
    assert client.get(f"/receipts/{receipt.number}/file/").status_code == 409


@pytest.mark.postgresql  # which looks for no NUL
def test_what_is_no_number_is_no_receipt(lock_world):
    browser = logged_in(lock_world.member)
    for address in ("/receipts/a%00b/", "/receipts/a%00b/file/"):
        assert browser.client.get(address).status_code == 404


def test_anybody_has_a_file_judged(file):
    assert "回执成立" in body(send(file))
    answer = send(file.replace(b"192.0.2.7", b"192.0.2.8"))
    assert answer.status_code == 400
    assert "audit/leaf.bin" in body(answer)
    for rubbish in (b"", b"PK\x03\x04", BytesIO(b"x" * 2000).read()):
        assert send(rubbish).status_code in (400, 409)


def test_the_page_says_what_was_not_judged_and_has_words_for_each_note(made, monkeypatch):
    monkeypatch.setattr(services, "SMALL", -1)
    file = services.file_of(made(), names={})
    shown = body(send(file))
    assert "签名、证书链与审计位置相符；吊销信息为当时判定的记录，未重新判定" in shown
    notes = verify_receipt(file, anchors=services.believed_anchors(), keys=services.believed_keys()).notes
    assert any(note.startswith(Note.REVOCATION_DATA_BY_HASH) for note in notes)
    for note in notes:
        assert note_sentence(note) in shown
        assert note.partition(" ")[2] in shown
    sentences = {note_sentence(note) for note in Note}
    assert len(sentences) == len(Note)
    assert all(sentence.endswith(("。", "：")) for sentence in sentences)
    with override("en"):
        assert all(note_sentence(note).isascii() or "核验说明.txt" in note_sentence(note) for note in Note)


def test_whoever_writes_a_first_seal_into_the_database_is_not_believed(file):
    forger = Ed25519PrivateKey.generate()
    parts = {name: content for name, content in unpack(file).items() if not name.startswith("manifest")}
    forged = pack(listed(parts, key=public_hex(forger), sign=forger.sign))
    head = replace(Head.of_line(AuditSeal.objects.get().head), seq=0, first=0, last=0, key=public_hex(forger))
    for signature in ("", forger.sign(head.signed_bytes()).hex()):
        line = replace(head, signature=signature).line()
        AuditSeal.objects.create(seq=0, first_id=0, last_id=0, leaves=b"", head=line, sealed_at=timezone.now())
        record(Event.LIST_EXPORTED)
        before = AuditEvent.objects.count()
        assert seal_audit(at=timezone.now()) == 0
        assert AuditEvent.objects.count() == before
        answer = send(forged)
        assert answer.status_code == status_of(Reason.RECEIPT_NOT_OURS)
        assert "不是本平台" in body(answer)
        assert public_hex(forger) not in body(answer)
        AuditSeal.objects.filter(seq=0).delete()
    assert seal_audit(at=timezone.now()) > 0
    assert "回执成立" in body(send(file))


def test_an_anchor_that_is_pending_or_not_sealed_is_not_believed(file):
    (anchor,) = CaRecord.objects.filter(spki_sha256=verify_receipt(file).anchor)
    assert anchor.spki_sha256 in services.believed_anchors()
    CaRecord.objects.filter(pk=anchor.pk).update(mac="")
    assert "不是本平台" in body(send(file))
    CaRecord.objects.filter(pk=anchor.pk).update(mac=anchor.mac)
    anchor.state = CaState.PENDING
    anchor.save()
    assert anchor.is_intact()
    assert "不是本平台" in body(send(file))
    CaRecord.objects.update(mac="")
    assert send(file).status_code == 503


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
        answer = Browser().client.post("/verify/", wrong)
        assert answer.status_code == 404
        assert "核对编号与 CA锁ID 的后四位" in body(answer)
    for _ in range(70):
        last = Browser().client.post("/verify/", {"number": receipt.number, "last": "0000"})
    assert last.status_code == 429


def test_no_column_of_a_receipt_can_be_changed_to_open_it_for_another(made, lock_world):
    receipt = made(seal=False)
    other = bound(make_lock("SM2"), lock_world.admin).lock
    seal_audit(at=timezone.now())
    changes = {
        "account": lock_world.outsider.pk,
        "subject": lock_world.outsider.pk,
        "lock": other.pk,
        "purpose": "bind",
        "at": receipt.at - timedelta(days=1),
    }
    clients = {account.pk: logged_in(account).client for account in (lock_world.member, lock_world.outsider)}
    row = Receipt.objects.filter(pk=receipt.pk)

    def answers():
        found = row.get()
        client = clients[found.account]
        yield client.get(f"/receipts/{found.pk}/")
        yield client.get(f"/receipts/{found.pk}/file/")
        yield client.post("/verify/", {"number": found.pk, "last": Lock.objects.get(pk=found.lock).lock_id[-4:]})

    assert [answer.status_code for answer in answers()] == [200, 200, 200]
    for column, value in changes.items():
        kept = getattr(receipt, column)
        row.update(**{column: value})
        for answer in answers():
            assert answer.status_code == 400, column
            assert "回执已被改动" in body(answer), column
        row.update(**{column: kept})
    row.update(sealed=encryption.encrypt(b"of a former form", "receipts", receipt.number))
    assert [answer.status_code for answer in answers()] == [400, 400, 400]


def test_a_receipt_that_was_changed_in_the_database_is_not_confirmed(made, lock_world):
    receipt = made()
    lock = Lock.objects.get(pk=receipt.lock)
    Receipt.objects.filter(pk=receipt.pk).update(sealed=bytes(receipt.sealed)[:-1] + b"\x00")
    told = Browser().client.post("/verify/", {"number": receipt.number, "last": lock.lock_id[-4:]})
    assert told.status_code == 400
    assert logged_in(lock_world.member).client.get(f"/receipts/{receipt.number}/file/").status_code == 400
