"""Which certificate takes over a lock's binding: same CA group, same holder, a live predecessor; and what one certificate is."""

from __future__ import annotations

import uuid
from datetime import timedelta
from math import gcd

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from django.db import IntegrityError
from django.utils import timezone
from worlds.browser import Browser, bound, logged_in, refusal_row
from worlds.practice import NOW, family, id_card, make_lock, spare_key
from worlds.rows import PASSWORD, USCC, install

from calock.core.certificates.certificate import Certificate
from calock.core.der import names, reader
from calock.demo import der, pki
from calock.server.locks import predecessors, services
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey, RevokedCertificate
from calock.server.login import services as login
from calock.server.notices.models import Notice
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(days=700)
EXPIRED = {"not_before": NOW - timedelta(days=800), "not_after": NOW - timedelta(days=400)}


def old(**fields):
    return make_lock("EC", uscc=USCC, **fields)


def renewed(number=0):
    """The next certificate of the same holder: over the same key, or with a ``number`` over a new one."""
    return make_lock("EC", number=number, uscc=USCC, not_after=LATER)


def bind(world, lock):
    return logged_in(world.member).bind(lock, world.member, choose="renew")


def aged(binding):
    """Time passes: the certificate that was bound runs out."""
    LockCertificate.objects.filter(lock=binding.lock_id).update(not_after=NOW - timedelta(days=400))


# --- the predecessor must be live (A28)


def test_a28_over_the_same_key_a_live_predecessor_passes_its_binding_on(lock_world):
    binding = bound(old(), lock_world.member)
    assert Browser().log_in(renewed()).status_code == 200
    assert LockCertificate.objects.filter(lock=binding.lock_id).count() == 2


@pytest.mark.parametrize("known", ["crl", "row", "version"])
def test_a28_a_revoked_predecessor_passes_nothing_on_at_login(lock_world, known):
    """The database need not know it yet: the CRL at hand does."""
    first = old()
    binding = bound(first, lock_world.member)
    if known == "crl":
        lock_world.revoke(first)
    elif known == "version":
        LockCertificate.objects.update(revoked_at=timezone.now())
    else:
        lock_world.revoke(first)
        Browser().log_in(first)
        lock_world.revoked.clear()
        LockCertificate.objects.update(revoked_at=None)
    row = refusal_row(Browser().log_in(renewed()), "PREDECESSOR_REVOKED")
    assert row.lock == binding.lock_id
    assert LockCertificate.objects.count() == 1
    assert not Session.objects.filter(method="ca").exists()


def test_what_a_renewal_finds_out_about_its_predecessor_outlives_the_refusal(lock_world):
    first = old()
    bound(first, lock_world.member)
    lock_world.revoke(first)
    refusal_row(Browser().log_in(renewed()), "PREDECESSOR_REVOKED")
    lock_world.revoked.clear()
    assert RevokedCertificate.objects.count() == 1
    refusal_row(Browser().log_in(first), "CERTIFICATE_REVOKED")
    refusal_row(Browser().log_in(renewed()), "PREDECESSOR_REVOKED")


@pytest.mark.parametrize("number", [0, 1])
def test_a28_a_revoked_predecessor_passes_nothing_on_in_the_dialog_either(lock_world, number):
    """Whatever the proof: end the binding first, then bind anew."""
    first = old()
    binding = bound(first, lock_world.member)
    lock_world.revoke(first)
    new = renewed(number)
    told = bind(lock_world, new)
    refusal_row(told, "PREDECESSOR_REVOKED")
    assert told.json()["error"]["action"] == {"label": "去解除绑定", "href": "/system/ca/", "does": ""}
    assert "解除原绑定" in told.json()["error"]["message"]
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    end = {"reason": "证书已吊销，换新证书", "password": PASSWORD}
    assert logged_in(lock_world.member).post(f"/api/bindings/{binding.pk}/end", end).status_code == 200
    assert bind(lock_world, new).status_code == 200
    assert Browser().log_in(new).status_code == 200
    assert Binding.objects.count() == 2


@pytest.mark.parametrize("stands", ["expired", "on hold", "without data"])
def test_a28_a_predecessor_in_doubt_needs_the_person_once(lock_world, monkeypatch, stands):
    first = old()
    binding = bound(first, lock_world.member)
    if stands == "expired":
        aged(binding)
    elif stands == "on hold":
        lock_world.revoke(first, "certificateHold")
    else:
        empty = type(lock_world.evidence())([], anchors=[], others=[], at=timezone.now())
        monkeypatch.setattr(predecessors, "current_evidence", lambda: empty)
    second = renewed()
    row = refusal_row(Browser().log_in(second), "RENEWAL_NEEDS_STEP_UP")
    assert row.lock == binding.lock_id
    confirmed = bind(lock_world, second)
    assert confirmed.json()["binding"]["id"] == str(binding.pk)
    told = Notice.objects.get(kind="lock_renewed")  # whoever has the password could have done it, with a certificate of theirs
    assert (told.account, told.facts["by_role"]) == (lock_world.member, "self")
    assert Browser().log_in(second).status_code == 200
    assert not RevokedCertificate.objects.exists()


@pytest.mark.parametrize(("stands", "status"), [("live", 200), ("expired", 403), ("on hold", 403), ("revoked", 403)])
def test_a_renewed_certificate_steps_up_only_after_a_live_predecessor(lock_world, stands, status):
    first = old()
    binding = bound(first, lock_world.member)
    if stands == "expired":
        aged(binding)
    elif stands != "live":
        lock_world.revoke(first, {"on hold": "certificateHold", "revoked": "keyCompromise"}[stands])
    answer = logged_in(lock_world.member).step_up(renewed())
    assert answer.status_code == status
    if status != 200:
        assert refusal_row(answer, "STEP_UP_FAILED").lock == binding.lock_id


def test_an_expired_predecessor_that_is_also_revoked_passes_nothing_on(lock_world):
    install(family("EC"), allow_expired_binding=True)
    first = old(**EXPIRED)
    bound(first, lock_world.member)
    lock_world.revoke(first)
    refusal_row(Browser().log_in(renewed()), "PREDECESSOR_REVOKED")
    refusal_row(bind(lock_world, renewed()), "PREDECESSOR_REVOKED")


def test_a_lock_that_changed_hands_between_look_and_transaction_is_looked_at_again(lock_world, monkeypatch):
    """The predecessor that was judged is no longer the one in the row: the second look finds the new one revoked."""
    first, second, third = old(), renewed(), make_lock("EC", uscc=USCC, not_after=LATER + timedelta(days=1))
    bound(first, lock_world.member)
    real, raced = services.predecessor_of, []

    def look(seen, lock, *, at):
        standing = real(seen, lock, at=at)
        if not raced:
            raced.append(standing)
            assert Browser().log_in(second).status_code == 200
            lock_world.revoke(second)
        return standing

    monkeypatch.setattr(services, "predecessor_of", look)
    refusal_row(bind(lock_world, third), "PREDECESSOR_REVOKED")
    assert [version.superseded_at is None for version in LockCertificate.objects.order_by("created_at")] == [False, True]


def test_a_login_that_loses_that_race_looks_again_too(lock_world, monkeypatch):
    first, second, third = old(), renewed(), make_lock("EC", uscc=USCC, not_after=LATER + timedelta(days=1))
    bound(first, lock_world.member)
    real, raced = login.predecessor_of, []

    def look(seen, lock, *, at):
        standing = real(seen, lock, at=at)
        if not raced:
            raced.append(standing)
            assert Browser().log_in(second).status_code == 200
        return standing

    monkeypatch.setattr(login, "predecessor_of", look)
    assert Browser().log_in(third).status_code == 200
    assert LockCertificate.objects.get(superseded_at=None).supersedes.not_after == LATER


# --- the newer certificate stays (by the day it begins, then by the day it ends)

OLDER = {"not_before": NOW - timedelta(days=500), "not_after": NOW + timedelta(days=600)}
"""It began earlier than the one that is bound; that it also ends later does not make it newer."""


def unbound(world, binding):
    world.member.set_password(PASSWORD)
    world.member.save()
    end = {"reason": "换锁", "password": PASSWORD}
    assert logged_in(world.member).post(f"/api/bindings/{binding.pk}/end", end).status_code == 200


@pytest.mark.parametrize("number", [0, 1])
def test_an_older_certificate_of_the_holder_replaces_no_newer_one(lock_world, number):
    binding = bound(old(), lock_world.member)
    older = old(number=number, **OLDER)
    told = bind(lock_world, older)
    assert refusal_row(told, "CERTIFICATE_SUPERSEDED").lock == binding.lock_id
    assert told.json()["error"]["action"] == {"label": "去解除绑定", "href": "/system/ca/", "does": ""}
    refusal_row(Browser().log_in(older), ["CERTIFICATE_SUPERSEDED", "RENEWAL_NEEDS_STEP_UP"][number])
    refusal_row(logged_in(lock_world.member).step_up(older), "STEP_UP_FAILED")
    assert LockCertificate.objects.count() == 1
    assert Browser().log_in(old()).status_code == 200


def test_an_expired_certificate_replaces_no_live_one(lock_world):
    """Not even one that began later."""
    install(family("EC"), allow_expired_binding=True)
    binding = bound(old(), lock_world.member)
    short = old(number=1, not_before=NOW - timedelta(days=20), not_after=NOW - timedelta(days=5))
    for expired in (old(number=2, **EXPIRED), short):
        refusal_row(bind(lock_world, expired), "CERTIFICATE_SUPERSEDED")
    unbound(lock_world, binding)
    refusal_row(bind(lock_world, old(**EXPIRED)), "CERTIFICATE_SUPERSEDED")
    assert LockCertificate.objects.count() == 1
    refusal_row(Browser().log_in(short), "CERTIFICATE_EXPIRED")


def test_of_two_certificates_with_the_same_dates_the_first_does_not_come_back(lock_world):
    first, second = old(), old(number=1)
    bound(first, lock_world.member)
    assert bind(lock_world, second).status_code == 200
    refusal_row(bind(lock_world, first), "CERTIFICATE_SUPERSEDED")
    assert Browser().log_in(second).status_code == 200


def test_after_unbinding_a_certificate_that_was_left_behind_can_be_bound_again(lock_world):
    """And the newer one, which it then stands for, takes its place back in the dialog; each time with a fresh proof."""
    first, second = old(), renewed(number=1)
    binding = bound(first, lock_world.member)
    assert bind(lock_world, second).status_code == 200
    refusal_row(Browser().log_in(first), "CERTIFICATE_SUPERSEDED")
    unbound(lock_world, binding)
    again = bound(first, lock_world.member)
    assert Browser().log_in(first).status_code == 200
    refusal_row(Browser().log_in(second), "CERTIFICATE_SUPERSEDED")
    confirmed = bind(lock_world, second)
    assert confirmed.json()["binding"]["id"] == str(again.pk)
    assert Browser().log_in(second).status_code == 200
    third = make_lock("EC", number=2, uscc=USCC, not_after=LATER + timedelta(days=1))
    unbound(lock_world, again)
    bound(first, lock_world.member)
    assert bind(lock_world, third).status_code == 200  # the first one's second successor
    assert LockCertificate.objects.filter(superseded_at=None).count() == 1


def test_a_certificate_left_behind_and_revoked_since_does_not_come_back(lock_world):
    first, second = old(), renewed(number=1)
    binding = bound(first, lock_world.member)
    assert bind(lock_world, second).status_code == 200
    unbound(lock_world, binding)
    LockCertificate.objects.exclude(superseded_at=None).update(revoked_at=timezone.now())
    refusal_row(bind(lock_world, first), "CERTIFICATE_REVOKED")


# --- two CAs, one holder (A27)


@pytest.mark.parametrize("person", [{"uscc": USCC}, {"person_id": id_card("14010119900101123")}])
def test_a27_another_providers_certificate_with_the_same_ids_is_another_lock(lock_world, person):
    """Same subject, serial number, lock id and holder, another CA and key: it neither logs in nor inherits."""
    fields = {"serial": 4711, "lock_id": "SX-0001", **person}
    own, foreign = make_lock("EC", **fields), make_lock("RSA", number=1, **fields)
    binding = bound(own, lock_world.member)
    refusal_row(Browser().log_in(foreign), "LOCK_NOT_BOUND")
    refusal_row(logged_in(lock_world.member).step_up(foreign), "STEP_UP_FAILED")
    other = bound(foreign, lock_world.member)
    assert other.lock_id != binding.lock_id
    assert Lock.objects.filter(lock_id="SX-0001").count() == 2
    lock_world.revoke(own)
    refusal_row(Browser().log_in(own), "CERTIFICATE_REVOKED")
    lock_world.revoked.clear()
    assert Browser().log_in(foreign).status_code == 200


def test_a27_over_the_same_key_another_ca_of_the_provider_continues_only_with_the_persons_word(lock_world):
    own = old()
    binding = bound(own, lock_world.member)
    from_root = family("EC").root.issue_lock(
        "测试单位_张三", spare_key("EC", 0), not_before=NOW - timedelta(days=1), not_after=LATER, lock_id="SX-0001", uscc=USCC
    )
    moved = type(own)(own.key, from_root, own.family)
    refusal_row(Browser().log_in(moved), "RENEWAL_NEEDS_STEP_UP")
    refusal_row(logged_in(lock_world.member).step_up(moved), "STEP_UP_FAILED")
    assert bind(lock_world, moved).json()["binding"]["id"] == str(binding.pk)
    assert Browser().log_in(moved).status_code == 200


# --- one key, one modulus (A13)


def with_another_exponent(key):
    """The same RSA modulus under another public exponent: another SPKI, the same secret."""
    numbers = serialization.load_der_private_key(key.private_pkcs8, None).private_numbers()
    phi = (numbers.p - 1) * (numbers.q - 1)
    exponent = next(e for e in (257, 263, 269, 271, 277, 281) if gcd(e, phi) == 1)
    public = rsa.RSAPublicNumbers(exponent, numbers.public_numbers.n)
    d = pow(exponent, -1, phi)
    private = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, d, d % (numbers.p - 1), d % (numbers.q - 1), numbers.iqmp, public
    ).private_key()  # fmt: skip
    der_, pkcs8, spki = (
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    return pki.Key(
        "RSA", private.private_bytes(der_, pkcs8, serialization.NoEncryption()), private.public_key().public_bytes(der_, spki)
    )


def rsa_lock(key, **fields):
    made = make_lock("RSA", **fields)
    issued = made.family.issuing.issue_lock(
        fields.get("name", "某"), key, not_before=NOW - timedelta(days=1), not_after=LATER,
        **{name: value for name, value in fields.items() if name in ("lock_id", "uscc", "person_id")},
    )  # fmt: skip
    return type(made)(key, issued, made.family)


def test_a13_a_modulus_shared_by_two_locks_is_refused_at_bind_and_at_login(lock_world):
    key = spare_key("RSA", 0)
    one = rsa_lock(key, lock_id="SX-0001", uscc=USCC)
    two = rsa_lock(with_another_exponent(key), lock_id="SX-0002", person_id=id_card("14010119900101123"))
    assert two.key.spki_sha256 != one.key.spki_sha256
    binding = bound(one, lock_world.member)
    refusal_row(Browser().log_in(two), "LOCK_HOLDER_CHANGED")
    refusal_row(logged_in(lock_world.colleague).bind(two, lock_world.colleague), "LOCK_BOUND_TO_OTHER")
    refusal_row(bind(lock_world, two), "LOCK_HOLDER_CHANGED")
    assert Lock.objects.get().pk == binding.lock_id
    assert LockKey.objects.count() == 1
    assert Browser().log_in(one).status_code == 200


def test_a13_a_modulus_names_its_lock_whatever_id_the_certificate_shows(lock_world):
    key = spare_key("RSA", 0)
    bound(rsa_lock(key, lock_id="SX-0001"), lock_world.member)
    bound(make_lock("RSA", number=1, lock_id="SX-0002"), lock_world.member)
    mixed = rsa_lock(with_another_exponent(key), lock_id="SX-0002")
    refusal_row(bind(lock_world, mixed), "LOCK_HOLDER_CHANGED")
    refusal_row(Browser().log_in(mixed), "LOCK_HOLDER_CHANGED")


# --- a common name that once was read otherwise


T61, UTF8 = 0x14, 0x0C


def lock_named(tag, octets, **dates):
    """A lock that names no holder id, its common name of these octets."""
    made = make_lock("EC", lock_id="", **dates)
    subject = der.sequence(der.set_of(der.sequence(der.oid("2.5.4.3"), der.tlv(tag, octets))))
    read = Certificate.parse(made.certificate)
    extensions = [(item.oid, item.critical, item.value) for item in read.extensions]
    issued = made.family.issuing.issue(
        subject, made.key.spki_der, not_before=read.not_before, not_after=read.not_after, extensions=extensions
    )
    return type(made)(made.key, issued, made.family)


@pytest.mark.parametrize("stored", ["as it was read", "as it is read", "another"])
@pytest.mark.parametrize(
    ("tag", "octets", "former"),
    [
        (T61, "测试单位".encode("gb18030"), names.printable("测试单位".encode("gb18030").decode("latin-1"))),
        (UTF8, "测试单位\0\0".encode(), "测试单位\ufffd\ufffd"),
    ],
)
def test_l10_a_renewal_over_the_same_key_continues_a_name_that_was_stored_as_it_once_was_read(
    lock_world, tag, octets, former, stored
):
    """Chinese of old CAs in T61String was latin-1; NULs behind a name were shown."""
    lock, renewal = lock_named(tag, octets), lock_named(tag, octets, not_after=LATER)
    bound(lock, lock_world.member)
    assert LockCertificate.objects.get().subject_cn == "测试单位"
    kept = {"as it was read": former, "as it is read": "测试单位", "another": "另一单位"}[stored]
    LockCertificate.objects.update(subject_cn=kept)
    assert (Browser().log_in(renewal).status_code == 200) is (stored != "another")


# --- one certificate, two signatures


def twin(certificate):
    """The same signed part with the other valid ECDSA signature, (r, n - s)."""
    start, stop = reader.whole(certificate)
    tbs = reader.expect(certificate, start, stop, reader.SEQUENCE)[1]
    parts = [(first, last) for _, first, _, last in reader.children(certificate, start, stop)]
    signature = certificate[parts[2][0] : parts[2][1]]
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    content = signature[signature.index(b"\x00") + 1 :]
    r, s = decode_dss_signature(content)
    made = der.bits(encode_dss_signature(r, order - s))
    assert tbs == parts[0][1]
    return der.sequence(certificate[start : parts[1][1]], made)


@pytest.fixture
def pair():
    real = old()
    return type(real)(real.key, twin(real.certificate), real.family), real


def test_whoever_shows_the_twin_first_keeps_nobody_out(lock_world, pair):
    first, real = pair
    assert first.certificate != real.certificate
    binding = bound(first, lock_world.member)
    assert Browser().log_in(real).status_code == 200
    assert Browser().log_in(first).status_code == 200
    assert logged_in(lock_world.member).step_up(real).status_code == 200
    refusal_row(bind(lock_world, real), "LOCK_ALREADY_BOUND")
    Binding.objects.update(unbound_at=timezone.now(), unbound_by=lock_world.member, reason="x")
    assert bind(lock_world, real).status_code == 200
    assert LockCertificate.objects.get().lock_id == binding.lock_id


# --- the database as referee


@pytest.mark.parametrize("rule", ["one_current_certificate_per_lock", "one_current_certificate_per_key"])
def test_the_database_keeps_a_second_current_certificate_out(lock_world, rule):
    bound(old(), lock_world.member)
    row = LockCertificate.objects.get()
    row.pk, row.serial, row.cert_sha256 = uuid.uuid4(), "1", "1" * 64
    if rule.endswith("key"):
        row.lock = Lock.objects.create(provider=row.lock.provider, lock_id="SX-0002")
    else:
        row.spki_sha256 = "2" * 64
    with pytest.raises(IntegrityError):
        row.save(force_insert=True)
