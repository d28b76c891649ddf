"""What a lock proved is kept, and shown years later to somebody who has neither this server nor this program."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from worlds.browser import Browser, bound, logged_in
from worlds.practice import make_lock

from calock.cli import main
from calock.core.receipts.archive import pack, unpack
from calock.core.receipts.parts import Position, listed
from calock.core.receipts.tree import proof_of
from calock.core.receipts.verify import verify_receipt
from calock.core.refusals import Reason, Refusal
from calock.core.trail.heads import leaf_content
from calock.server.audit.archiving import archive_audit
from calock.server.audit.canonical import canonical
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing import seal_audit
from calock.server.audit.tree import leaves_of, public_hex, seal_key
from calock.server.receipts import services
from calock.server.receipts.models import Blob, Receipt
from calock.server.receipts.services import file_of, opened, rekey_receipts

pytestmark = pytest.mark.django_db
COMMAND = re.compile(r"^   (.*openssl.*)$", re.MULTILINE)
FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
"""Debian's library that gives a process another clock; ``tools/system-packages test`` installs it."""


def openssl(command: str, folder: Path, *, years: int = 0) -> subprocess.CompletedProcess[str]:
    """What the command says in the folder of a receipt, on a computer whose clock is so many years ahead."""
    assert FAKETIME is not None, "libfaketime is missing: tools/system-packages test"
    ahead = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": f"+{years}y"} if years else {}
    return subprocess.run(
        ["bash", "-ec", command], cwd=folder, env={**os.environ, **ahead}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("algorithm", ["EC", "RSA", "SM2"])
def test_three_commands_of_openssl_prove_signature_chain_and_inclusion(made, tmp_path, algorithm):
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(BytesIO(file_of(made(algorithm), names={}))) as archive:
        archive.extractall(folder)
    commands = COMMAND.findall((folder / "核验说明.txt").read_text())
    assert len(commands) == 3
    for certificate in sorted((folder / "chain").iterdir()):  # thirty years later the lock's and its CA's are over
        check = f"openssl x509 -checkend 0 -noout -in chain/{certificate.name}"
        assert (openssl(check, folder).returncode, openssl(check, folder, years=30).returncode) == (0, 1)
    for command in commands:
        for years in (0, 30):
            done = openssl(command, folder, years=years)
            assert done.returncode == 0, command + done.stdout + done.stderr
    for part in ("challenge.txt", "signature.der", "audit/leaf.bin"):
        changed = bytearray((folder / part).read_bytes())
        changed[-1] ^= 1
        (folder / part).write_bytes(bytes(changed))
    for command in (commands[0], commands[2]):
        assert openssl(command, folder).returncode != 0


def test_the_command_judges_a_file_without_any_server(file, tmp_path, capsys):
    path = tmp_path / "receipt.zip"
    path.write_bytes(file)
    assert main(["evidence", "verify", str(path)]) == 0
    told = capsys.readouterr().out
    assert "NO_EXTERNAL_TIME" in told
    assert "cssbjgys02" in told
    path.write_bytes(file.replace(b"192.0.2.7", b"192.0.2.8"))
    assert main(["evidence", "verify", str(path)]) == 1
    assert capsys.readouterr().out.startswith("RECEIPT_ALTERED")
    path.write_bytes(b"PK no receipt")
    assert main(["evidence", "verify", str(path)]) == 2


def test_every_part_flipped_by_a_bit_is_refused_by_name(file):
    parts = unpack(file)
    assert len(parts) > 20
    for name, content in parts.items():
        for place in {0, len(content) // 2, len(content) - 1}:
            changed = bytearray(content)
            changed[place] ^= 1
            with pytest.raises(Refusal) as caught:
                verify_receipt(pack({**parts, name: bytes(changed)}))
            assert caught.value.reason == Reason.RECEIPT_ALTERED
            assert caught.value.facts["part"] == ("manifest.json" if name.startswith("manifest") else name)


def test_no_octet_of_the_container_may_change(file):
    for place in range(0, len(file), 97):
        changed = bytearray(file)
        changed[place] ^= 1
        with pytest.raises(Refusal):
            verify_receipt(bytes(changed))


def test_whoever_lists_changed_parts_anew_is_found_by_what_the_parts_say(file):
    parts = {name: content for name, content in unpack(file).items() if not name.startswith("manifest")}
    forger = Ed25519PrivateKey.generate()

    def forged(**changed: bytes) -> bytes:
        return pack(listed({**parts, **changed}, key=public_hex(forger), sign=forger.sign))

    verify_receipt(forged())
    for name in parts.keys() - {"names.json", "核验说明.txt"}:
        with pytest.raises(Refusal) as caught:
            verify_receipt(forged(**{name: parts[name][:-1] + bytes([parts[name][-1] ^ 1])}))
        assert caught.value.reason == Reason.RECEIPT_ALTERED, name
    with pytest.raises(Refusal) as caught:
        verify_receipt(forged(), keys={"ab" * 32})
    assert caught.value.reason == Reason.RECEIPT_NOT_OURS


def test_a_file_of_another_platform_or_ca_is_told_from_ours(file, settings):
    report = verify_receipt(file)
    assert verify_receipt(file, anchors={report.anchor}, keys={public_hex(seal_key(settings.CALOCK.data))}).number == report.number
    for other in ({"anchors": {"ab" * 32}}, {"keys": {"ab" * 32}}):
        with pytest.raises(Refusal) as caught:
            verify_receipt(file, **other)
        assert caught.value.reason == Reason.RECEIPT_NOT_OURS


def test_the_command_prints_no_line_and_no_control_character_of_the_files_own(made, tmp_path, capsys):
    names = {"账户": f"x\r\nanchor key    {'ab' * 32}\x1b[8m", "x\nanchor key": "y\u202e\u2028"}
    file = file_of(made(), names=names)
    forger, path = Ed25519PrivateKey.generate(), tmp_path / "receipt.zip"

    def printed(content: bytes) -> str:
        path.write_bytes(content)
        main(["evidence", "verify", str(path)])
        told = capsys.readouterr().out
        assert not [c for c in told if c != "\n" and not c.isprintable()]
        return told

    told = printed(file)
    assert [line.split()[-1] for line in told.splitlines() if line.startswith("anchor key")] == [verify_receipt(file).anchor]
    parts = {name: content for name, content in unpack(file).items() if not name.startswith("manifest")}
    hostile = listed({**parts, "x\x1b[2J\nanchor key": b"."}, key=public_hex(forger), sign=forger.sign)
    told = printed(pack(hostile))
    assert told.startswith("RECEIPT_ALTERED: x\ufffd[2J\ufffdanchor key")
    assert told.count("\n") == 1


def test_a_part_that_is_missing_is_named(file):
    parts = unpack(file)
    del parts["audit/leaf.bin"]
    with pytest.raises(Refusal, match=r"RECEIPT_INCOMPLETE.*audit/leaf.bin"):
        verify_receipt(pack(parts))


def test_bind_step_up_and_unbind_each_leave_one_in_their_transaction(made, lock_world):
    receipt = made(seal=False)
    lock = make_lock("EC")
    bound(make_lock("SM2"), lock_world.member)  # another way in
    browser = logged_in(lock_world.member)
    assert browser.step_up(lock).status_code == 200
    challenge = browser.challenge("unbind", binding=str(receipt.binding))
    sent = {"reason": "离职", "challenge": challenge, "token": lock.sign(challenge)}
    assert browser.post(f"/api/bindings/{receipt.binding}/end", sent).status_code == 200
    kept = dict(Receipt.objects.values_list("purpose", "number"))
    assert set(kept) == {"bind", "login", "stepup", "unbind"}
    for row in AuditEvent.objects.filter(number__in=kept.values()):
        assert len(row.details["receipt"]) == 64
    assert Receipt.objects.filter(binding=receipt.binding).count() == 3


def test_a_refused_answer_leaves_none(made, lock_world):
    assert Browser().log_in(make_lock("SM2")).status_code == 403
    assert not Receipt.objects.exists()


def test_the_table_holds_no_personal_id_and_a_moved_row_does_not_open(made, settings):
    receipt = made(seal=False)
    record, token = opened(receipt)
    assert b"challenge" in record
    assert token not in bytes(receipt.sealed)
    other = Receipt.objects.create(number="x", purpose="login", account=receipt.account, at=receipt.at, sealed=receipt.sealed)
    with pytest.raises(Refusal, match="RECEIPT_ALTERED"):
        opened(other)
    other.delete()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret of at least 32 characters"
    assert rekey_receipts().done == Receipt.objects.count()
    settings.SECRET_KEY_FALLBACKS = []
    assert opened(Receipt.objects.get(pk=receipt.pk)) == (record, token)


def test_what_is_not_sealed_yet_or_no_longer_there_is_said(made):
    receipt = made(seal=False)
    with pytest.raises(Refusal, match=r"RECEIPT_INCOMPLETE.*not sealed yet"):
        file_of(receipt, names={})


def test_a_receipt_outlives_its_audit_row_in_the_database(made, lock_world, tmp_path, settings):
    """The trail is archived and let go of; the receipt keeps its row, under its own number and the server's key."""
    receipt = made(seal=False)
    seal_audit(at=timezone.now() - timedelta(days=2000))
    before = verify_receipt(file_of(receipt, names={}))
    archive_audit(until=timezone.now() - timedelta(days=1999), folder=tmp_path, delete=True, now=timezone.now())
    assert not AuditEvent.objects.filter(number=receipt.number).exists()
    receipt.refresh_from_db()
    assert verify_receipt(file_of(receipt, names={})) == before
    client = logged_in(lock_world.member).client
    assert client.get(f"/receipts/{receipt.number}/").status_code == 200
    assert verify_receipt(client.get(f"/receipts/{receipt.number}/file/").content).number == receipt.number
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret of at least 32 characters"
    assert rekey_receipts().done == Receipt.objects.count() + Receipt.objects.exclude(audit_row=None).count()
    settings.SECRET_KEY_FALLBACKS = []
    receipt.refresh_from_db()
    assert verify_receipt(file_of(receipt, names={})) == before
    receipt.audit_row = receipt.audit_row[:-1] + bytes([receipt.audit_row[-1] ^ 1])
    with pytest.raises(Refusal, match=r"RECEIPT_ALTERED.*the kept audit row"):
        file_of(receipt, names={})


def test_a_row_that_was_sealed_as_not_written_by_the_server_proves_nothing(made, lock_world, monkeypatch):
    receipt = made(seal=False)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET ip = '192.0.2.99' WHERE number = %s", [receipt.number])
    seal_audit(at=timezone.now())
    with pytest.raises(Refusal, match=r"RECEIPT_ALTERED.*audit row"):
        file_of(receipt, names={})
    client = logged_in(lock_world.member).client
    assert client.get(f"/receipts/{receipt.number}/file/").status_code == 400

    def unasked(receipt: Receipt, _digest: str) -> tuple[int, Position]:
        row, seal = AuditEvent.objects.get(number=receipt.number), AuditSeal.objects.get()
        leaves, text = leaves_of(seal), canonical(row)
        steps = proof_of(list(leaves.values()), list(leaves).index(row.pk))
        return seal.seq, Position(text, leaf_content(row.pk, row.mac, text, intact=False), steps, seal.head)

    monkeypatch.setattr(services, "position_of", unasked)  # whoever makes a file by themselves
    file = file_of(receipt, names={})
    with pytest.raises(Refusal, match=r"RECEIPT_ALTERED.*its MAC did not fit") as caught:
        verify_receipt(file)
    assert caught.value.facts["part"] == "audit/row.json"
    answer = client.post("/verify/", {"file": SimpleUploadedFile("receipt.zip", file)})
    assert answer.status_code == 400
    assert "audit/row.json" in answer.content.decode()


def test_public_data_is_kept_once(made, lock_world):
    made(seal=False)
    before = Blob.objects.count()
    assert before >= 3
    Browser().log_in(make_lock("EC"))
    assert Blob.objects.count() == before
