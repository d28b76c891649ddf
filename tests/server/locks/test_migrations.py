"""What an installation with people in it goes through when it is brought up to date."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from worlds.browser import Browser, logged_in
from worlds.locks import make_lock_world
from worlds.practice import NOW, YEARS, id_card, make_lock
from worlds.schemas import kept_copy

from calock.core.certificates.certificate import Certificate
from calock.server.locks import answers, predecessors
from calock.server.locks.holder import key_identity
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey, RevokedCertificate
from calock.server.locks.sealed import seal
from calock.server.providers.models import CaRecord
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db(transaction=True)

NUMBER = id_card("14010119900101123")


def migrated(name: str):
    executor = MigrationExecutor(connection)
    executor.migrate([("locks", name)])
    return MigrationExecutor(connection).loader.project_state([("locks", name)]).apps


def brought_up_to_date() -> None:
    """Every room: a table of another one may have waited for the tables of locks."""
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


@pytest.fixture
def world():
    """Of which each test goes back to the tables of a version before; afterwards they are today's."""
    today = kept_copy()
    yield make_lock_world("EC", "RSA")
    today()


def stored(apps, lock, lock_id, account, *, sealed=False, **changed):
    """Rows as the version before wrote them; ids are all that a later model can be found by."""
    certificate = Certificate.parse(lock.certificate)
    record = CaRecord.objects.get(spki_sha256=lock.family.issuing.key.spki_sha256)
    der = {"sealed_der": seal(certificate.der, certificate.sha256)} if sealed else {"der": certificate.der}
    row = apps.get_model("locks", "Lock").objects.create(provider_id=record.provider_id, lock_id=lock_id)
    made = apps.get_model("locks", "LockCertificate").objects.create(
        lock=row, ca_record_id=record.pk, serial=certificate.serial_hex, cert_sha256=certificate.sha256,
        spki_sha256=certificate.spki_sha256, subject_cn=certificate.subject_cn, algorithm=certificate.algorithm,
        not_before=certificate.not_before, not_after=certificate.not_after, **der, **changed,
    )  # fmt: skip
    name = "key_sha256" if sealed else "spki_sha256"
    apps.get_model("locks", "LockKey").objects.get_or_create(**{name: certificate.spki_sha256}, defaults={"lock": row})
    apps.get_model("locks", "Binding").objects.create(
        id=uuid.uuid4(), lock=row, account_id=account.pk, bound_by_id=account.pk, bound_at=timezone.now(), site="shanxi"
    )
    return made.pk


def test_locks_bound_before_are_sealed_masked_and_still_log_in_and_the_way_back_opens_them_again(world, monkeypatch):
    apps = migrated("0001_initial")
    person = make_lock("EC", name=f"张三 {NUMBER}", person_id=NUMBER, lock_id=f"SF{NUMBER}")
    firm = make_lock("RSA", lock_id="SX-0002")
    gone = make_lock("EC", number=1, lock_id="SX-0003", not_after=NOW + YEARS)
    pk = stored(apps, person, f"SF{NUMBER}", world.expert)
    opened = stored(apps, firm, "SX-0002", world.member)
    stored(apps, gone, "SX-0003", world.colleague, revoked_at=timezone.now() - timedelta(days=9))
    brought_up_to_date()

    row = LockCertificate.objects.get(pk=pk)
    assert NUMBER.encode() not in bytes(row.sealed_der)
    assert row.der == person.certificate
    assert row.subject_cn == f"张三 {'*' * 14}{NUMBER[-4:]}"
    assert not Lock.objects.filter(lock_id__contains=NUMBER).exists()
    keys = {key_identity(Certificate.parse(lock.certificate)) for lock in (person, firm, gone)}
    assert set(LockKey.objects.values_list("pk", flat=True)) == keys
    assert RevokedCertificate.objects.get().serial == Certificate.parse(gone.certificate).serial_hex

    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(world.evidence()))
    assert Browser().log_in(person).status_code == 200
    assert Browser().log_in(firm).status_code == 200
    assert Browser().log_in(gone).json()["error"]["reason"] == "CERTIFICATE_REVOKED"
    assert Browser().log_in(make_lock("RSA", number=1, lock_id=f"SF{NUMBER}")).json()["error"]["reason"] == "LOCK_NOT_BOUND"
    assert Binding.objects.live().count() == 3

    old = migrated("0001_initial")
    assert bytes(old.get_model("locks", "LockCertificate").objects.get(pk=opened).der) == firm.certificate
    assert old.get_model("locks", "LockKey").objects.filter(pk=firm.key.spki_sha256).exists()


def test_where_two_locks_hold_one_key_the_later_binding_ends(world, monkeypatch, capsys):
    """Two binds of one key at the same moment could leave that behind."""
    apps = migrated("0003_seal_certificates")
    first, second = (make_lock("EC", lock_id=f"SX-000{number}") for number in (1, 2))
    kept = stored(apps, first, "SX-0001", world.member, sealed=True)
    ended = stored(apps, second, "SX-0002", world.colleague, sealed=True)
    brought_up_to_date()

    assert LockCertificate.objects.get(superseded_at=None).pk == kept
    binding = Binding.objects.exclude(unbound_at=None).get()
    assert binding.lock.certificates.get().pk == ended
    assert str(binding.lock_id) in capsys.readouterr().err
    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(world.evidence()))
    assert Browser().log_in(first).status_code == 200
    assert Browser().log_in(second).json()["error"]["reason"] == "LOCK_NOT_BOUND"


def test_locks_whose_place_the_holders_next_lock_took_are_named_and_given_back(world, monkeypatch, capsys):
    """Where a CA writes the firm's number as the lock's id: nothing is lost, the owner reads whom it hit, and both log in again."""
    apps = migrated("0007_consent_and_seals")
    certificates = apps.get_model("locks", "LockCertificate").objects
    first, second = make_lock("EC", lock_id="FIRM"), make_lock("EC", number=1, lock_id="FIRM", not_after=NOW + timedelta(days=400))
    later = make_lock("EC", lock_id="FIRM", not_after=NOW + timedelta(days=700))
    lost = stored(apps, first, "FIRM", world.member, sealed=True)
    taken = stored(apps, second, "OTHER", world.colleague, sealed=True)
    firm = certificates.get(pk=lost).lock_id
    apps.get_model("locks", "Binding").objects.filter(lock=certificates.get(pk=taken).lock_id).delete()
    apps.get_model("locks", "LockKey").objects.filter(lock=certificates.get(pk=taken).lock_id).update(lock=firm)
    at = timezone.now()
    apps.get_model("locks", "Binding").objects.update(bound_at=at - timedelta(days=1))
    certificates.filter(pk=lost).update(superseded_at=at)
    certificates.filter(pk=taken).update(lock=firm, supersedes=lost)
    capsys.readouterr()
    brought_up_to_date()
    assert "1 certificates were superseded by another key's while they were good" in capsys.readouterr().err
    assert (Binding.objects.live().count(), LockCertificate.objects.count(), LockKey.objects.count()) == (1, 2, 2)

    call_command("superseded_locks")
    said = capsys.readouterr().out
    sha256 = Certificate.parse(first.certificate).sha256
    assert f"zhangsan 张三 ({world.organisation.name})  lock FIRM of lianxi-ec, still bound" in said
    assert sha256 in said
    assert said.splitlines()[0].startswith(f"{at:%Y-%m-%d %H:%M}")
    assert "1 certificates" in said.splitlines()[-1]

    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(world.evidence()))
    monkeypatch.setattr(predecessors, "current_evidence", world.evidence)
    assert Browser().log_in(first).json()["error"]["reason"] == "CERTIFICATE_SUPERSEDED"
    call_command("superseded_locks", "--give-back", sha256)
    assert Browser().log_in(first).json()["error"]["reason"] == "LOCK_NOT_BOUND"
    assert logged_in(world.colleague).bind(first, world.colleague).status_code == 200
    assert [Browser().log_in(lock).status_code for lock in (first, second, later)] == [200, 200, 200]
    assert set(Session.objects.filter(method="ca").values_list("account__username", flat=True)) == {"zhangsan", "lisi"}
    with pytest.raises(CommandError, match="NOT_FOUND"):
        call_command("superseded_locks", "--give-back", sha256)
    with pytest.raises(IrreversibleError, match=r"several locks show one id \(FIRM\)"):
        migrated("0007_consent_and_seals")
    brought_up_to_date()
    assert Browser().log_in(first).status_code == 200
