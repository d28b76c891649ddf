"""Two who decide about one lock at once: what PostgreSQL lets cross each other. SQLite has one writer at a time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from worlds.browser import Browser, bound, context, refusal_row
from worlds.practice import NOW, id_card, make_lock
from worlds.races import binding_of, in_parallel, meanwhile
from worlds.rows import PASSWORD, USCC

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal
from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.jobs import sessions as sweep
from calock.server.locks import services, unbinding, versions
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey
from calock.server.locks.step_up import Evidence, Proved
from calock.server.locks.unbinding import unbind_lock
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import end_sessions_of_account, end_sessions_of_lock, new_session
from calock.server.tools.retry import again_when_broken_off

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


@pytest.fixture
def world(committed_lock_world):
    return committed_lock_world


def once(monkeypatch, module, name, *, after=None, before=None):
    """Let something happen just before or after the first call of ``module.name``, and not again."""
    real = getattr(module, name)

    def wrapped(*args, **kwargs):
        monkeypatch.setattr(module, name, real)
        if before is not None:
            before()
        result = real(*args, **kwargs)
        if after is not None:
            after()
        return result

    monkeypatch.setattr(module, name, wrapped)


# --- one key, one lock


def test_a_key_that_another_lock_took_meanwhile_is_not_bound_again(world, monkeypatch):
    """Two certificates over one key, with different lock ids: the second bind has looked, and finds no lock of that key."""
    one, two = make_lock("EC", lock_id="SX-0001", uscc=USCC), make_lock("EC", lock_id="SX-0002", uscc=USCC)
    assert one.key is two.key
    first, second = binding_of(one, world.member), binding_of(two, world.colleague)
    outcomes = []
    once(monkeypatch, services, "lock_of", after=lambda: outcomes.append(meanwhile(first)))
    assert second() == "LOCK_BOUND_TO_OTHER"
    assert outcomes == ["bound"]
    assert Binding.objects.get().account == world.member
    assert Lock.objects.count() == LockKey.objects.count() == LockCertificate.objects.count() == 1


def test_a_certificate_that_another_bound_meanwhile_is_not_bound_again(world, monkeypatch):
    """One lock in two hands: the second bind has made a lock of its own when the first one's rows come to stand there."""
    lock = make_lock("EC", uscc=USCC)
    first, second = binding_of(lock, world.member), binding_of(lock, world.colleague)
    outcomes = []
    once(monkeypatch, services, "_lock_to_bind", after=lambda: outcomes.append(meanwhile(first)))
    assert second() == "LOCK_BOUND_TO_OTHER"
    assert outcomes == ["bound"]
    assert Binding.objects.get().account == world.member
    assert Lock.objects.count() == LockKey.objects.count() == LockCertificate.objects.count() == 1


def test_of_two_who_bind_one_key_at_once_one_wins(world):
    for number in range(8):
        pair = [make_lock("EC", number=number, lock_id=f"{letter}-{number}", uscc=USCC) for letter in "AB"]
        acts = [binding_of(lock, person) for lock, person in zip(pair, (world.member, world.colleague), strict=True)]
        assert sorted(in_parallel(acts)) == ["LOCK_BOUND_TO_OTHER", "bound"]
        key = Certificate.parse(pair[0].certificate).spki_sha256
        assert LockCertificate.objects.filter(spki_sha256=key).count() == 1


# --- one lock, one decision at a time


def renewals(number=0):
    """A lock's certificate and two that renew it, over one key."""
    later = NOW + timedelta(days=700)
    return make_lock("EC", number=number, uscc=USCC), *(
        make_lock("EC", number=number, uscc=USCC, not_after=later) for _ in range(2)
    )


def ending(binding, person):
    """The act that ends a binding with the person's password. ``ended``, or the refusal's reason."""
    made, evidence = context(account=person), Evidence(password=PASSWORD)

    def act():
        try:
            unbind_lock(binding=binding.pk, reason="离职", evidence=evidence, by=person, context=made)
        except Refusal as refusal:
            return refusal.reason.value
        return "ended"

    return act


@pytest.fixture
def member(world):
    world.member.set_password(PASSWORD)
    world.member.save()
    return world.member


def is_taken():
    """Whether somebody else has his turn on the one lock there is."""

    def try_it():
        with transaction.atomic():
            Lock.objects.select_for_update(no_key=True, nowait=True).get()

    return isinstance(meanwhile(try_it), OperationalError)


@pytest.mark.parametrize("way", ["dialog", "login", "end"])
def test_what_is_judged_stays_as_it_is_until_it_is_written(world, member, monkeypatch, way):
    """Otherwise a renewal that crosses the end of its binding takes over the next holder's."""
    first, second, _ = renewals()
    binding = bound(first, member)
    taken = []
    module, name = {
        "dialog": (services, "require_heir"), "login": (versions, "require_heir"), "end": (unbinding, "end_sessions_of_lock")
    }[way]  # fmt: skip
    once(monkeypatch, module, name, after=lambda: taken.append(is_taken()))
    act = {
        "dialog": binding_of(second, member),
        "login": lambda: Browser().log_in(second).status_code,
        "end": ending(binding, member),
    }
    assert act[way]() == {"dialog": "bound", "login": 200, "end": "ended"}[way]
    assert taken == [True]
    assert not is_taken()


def test_a_renewal_that_crosses_a_change_of_holders_takes_over_nothing(world, member):
    for number in range(6):
        first, second, _ = renewals(number)
        other = make_lock("EC", number=number, person_id=id_card("14010119920303123"))
        end, bind, renew = (
            ending(bound(first, member), member), binding_of(other, world.colleague), binding_of(second, member)
        )  # fmt: skip
        ended, renewed = in_parallel([lambda end=end, bind=bind: (end(), bind()), renew])
        assert ended[0] == "ended"
        live = Binding.objects.live().get()
        if ended[1] == "bound":
            holder, lock = world.colleague, other
            assert renewed in ("bound", "LOCK_BOUND_TO_OTHER")
        else:  # between the two he bound the free lock anew
            holder, lock = member, second
            assert (ended[1], renewed) == ("LOCK_BOUND_TO_OTHER", "bound")
        current = LockCertificate.objects.get(lock=live.lock, superseded_at=None)
        assert (live.account, current.cert_sha256) == (holder, Certificate.parse(lock.certificate).sha256)
        live.unbound_at = timezone.now()
        live.save()


def test_many_renewals_of_one_lock_at_once_all_come_in(world, member):
    """Both unique indexes of the certificates once made each wait for the other."""
    for number in range(4):
        first, second, third = renewals(number)
        binding = bound(first, member)
        logins = [lambda lock=lock: Browser().log_in(lock).status_code for lock in (second, second, third, third, second)]
        told = in_parallel([*logins, binding_of(third, member), binding_of(second, member)])
        assert told[:5] == [200] * 5
        assert set(told[5:]) <= {"bound", "LOCK_ALREADY_BOUND", "CERTIFICATE_SUPERSEDED"}
        assert LockCertificate.objects.filter(lock=binding.lock, superseded_at=None).count() == 1
        Binding.objects.filter(pk=binding.pk).update(unbound_at=timezone.now())


def marked_revoked():
    LockCertificate.objects.update(revoked_at=timezone.now())


def test_a_predecessor_found_revoked_at_the_last_moment_passes_nothing_on(world, member, monkeypatch):
    first, second, _ = renewals()
    bound(first, member)
    once(monkeypatch, versions, "require_heir", after=lambda: meanwhile(marked_revoked))
    refusal_row(Browser().log_in(second), "PREDECESSOR_REVOKED")


def test_two_last_locks_ended_at_once_leave_one(world, monkeypatch):
    """Each look finds the other lock still bound; an account without a password would be shut out."""
    person = world.member
    bindings = [bound(make_lock("EC", number=n, lock_id=f"SX-000{n}"), person) for n in range(2)]
    monkeypatch.setattr(unbinding, "prove", lambda *_args, **_kwargs: Proved(None, {}))
    first, second = (ending(binding, person) for binding in bindings)
    outcomes = []
    once(monkeypatch, unbinding, "prove", before=lambda: outcomes.append(meanwhile(first)))
    assert second() == "LAST_LOCK"
    assert outcomes == ["ended"]
    assert Binding.objects.live().get().pk == bindings[1].pk


# --- nobody waits for one another


def test_the_sweep_and_a_login_that_learn_the_same_revocation_do_not_wait_for_one_another(world, monkeypatch):
    """A login that learns it while the sweep ends the lock's sessions is through at once: the sweep has noted it before."""
    lock = make_lock("EC", uscc=USCC)
    bound(lock, world.member)
    assert Browser().log_in(lock).status_code == 200
    world.revoke(lock)
    monkeypatch.setattr(sweep, "current_evidence", lambda **_: world.evidence())
    world.evidence()
    answers_ = []
    once(monkeypatch, sweep, "end_sessions_of_lock", after=lambda: answers_.append(meanwhile(lambda: Browser().log_in(lock))))
    assert sweep.sweep_sessions().ended == 1
    refusal_row(answers_[0], "CERTIFICATE_REVOKED")
    assert AuditEvent.objects.filter(event="session:revoked").count() == 1


def test_the_sessions_of_an_account_and_of_its_lock_end_at_once(world):
    lock = bound(make_lock("EC", uscc=USCC), world.member).lock
    now = timezone.now()
    for _ in range(10):
        made = [
            new_session(account_id=world.member.pk, method=SessionMethod.CA, context=context(), lock_id=lock.pk)[0]
            for _ in range(60)
        ]
        Session.objects.bulk_create(made)
        counts = in_parallel([
            lambda: end_sessions_of_account(account_id=world.member.pk, reason="a", at=now),
            lambda: end_sessions_of_lock(lock_id=lock.pk, reason="b", at=now),
        ])  # fmt: skip
        assert sum(counts) >= 60  # the first time with the one that bound the lock
        assert not Session.objects.filter(ended_at=None).exists()


def test_what_the_database_breaks_off_is_done_again(world):
    """Two take the same rows in opposite orders; PostgreSQL ends one of them after a second."""
    gate = threading.Barrier(2)

    def taking(*people):
        tries = []

        @again_when_broken_off
        def act():
            tries.append(people)
            if len(tries) == 1:
                with transaction.atomic():
                    Account.objects.select_for_update().get(pk=people[0].pk)
                    gate.wait(timeout=60)
                    Account.objects.select_for_update().get(pk=people[1].pk)
            return len(tries)

        return act

    one, two = world.member, world.colleague
    assert sorted(in_parallel([taking(one, two), taking(two, one)])) == [1, 2]


def test_another_failure_of_the_database_is_not_tried_again(world):
    tries = []

    @again_when_broken_off
    def act():
        tries.append(1)
        raise OperationalError("the database is away")

    with pytest.raises(OperationalError):
        act()
    assert len(tries) == 1
