"""Messages that are sent later: with their act or not at all, at least once, by one machine at a time, and never silently lost."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import transaction
from worlds.browser import console_client, context
from worlds.races import in_parallel
from worlds.register import make_world

from calock.server.audit.models import AuditEvent
from calock.server.jobs.outbox import HELD, OF_ONE, Delivery
from calock.server.outbox import kinds
from calock.server.outbox.kinds import GiveUpError, Kind, register_kind
from calock.server.outbox.models import Message
from calock.server.outbox.services import LEASE, claim, deliver, put, send_again, sweep_messages
from calock.server.tools import clock

WAITS = (timedelta(seconds=5), timedelta(minutes=5))


class Receiver:
    """Somebody to whom messages go: takes them, or says ``error``."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.got: list[str] = []
        self.given_up: list[str] = []

    def send(self, message: Message) -> None:
        if self.error is not None:
            raise self.error
        self.got.append(message.key)

    def told(self, message: Message) -> None:
        self.given_up.append(message.key)


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setattr(kinds._kinds, "things", {})
    made = Receiver()
    register_kind(Kind("test", "试验", made.send, WAITS, made.told))
    return made


@pytest.fixture
def kind(receiver):
    return kinds.kind_named("test")


def one(**values) -> Message:
    put("test", key="k", body={"account": "a"})
    Message.objects.update(**values)
    return Message.objects.get()


def due_now() -> None:
    Message.objects.update(due_at=clock.database_now() - timedelta(seconds=1))


@pytest.mark.django_db(transaction=True)
def test_a_message_stands_and_falls_with_its_act(receiver):
    with pytest.raises(RuntimeError, match="transaction"):
        put("test", key="k", body={})
    with transaction.atomic():
        put("test", key="k", body={})
        transaction.set_rollback(True)
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_one_message_is_open_for_one_thing_and_a_new_one_when_that_was_sent(receiver, kind):
    one()
    put("test", key="k", body={"account": "another"})
    assert Message.objects.get().body == {"account": "a"}
    (claimed,) = claim(kind, limit=9)
    assert deliver(claimed, kind)
    put("test", key="k", body={})
    assert receiver.got == ["k"]
    assert Message.objects.waiting().count() == 1
    with pytest.raises(RuntimeError, match="no messages of kind"):
        put("tset", key="k", body={})


@pytest.mark.django_db
def test_what_fails_is_tried_by_its_schedule_and_then_given_up_under_the_eyes_of_auditors(receiver, kind):
    receiver.error = OSError("mail server away, 身份证 11010519491231002X")
    one()
    for wait in WAITS:
        (claimed,) = claim(kind, limit=9)
        assert not deliver(claimed, kind)
        assert abs(Message.objects.get().due_at - clock.database_now() - wait) < timedelta(minutes=1)
        assert claim(kind, limit=9) == []
        due_now()
    assert receiver.given_up == []
    deliver(claim(kind, limit=9)[0], kind)
    row = Message.objects.get()
    assert row.failed_at is not None
    assert row.last_error.startswith("mail server away")
    assert "19491231002X" not in row.last_error
    assert receiver.given_up == ["k"]
    assert AuditEvent.objects.get(event="outbox:message:given_up").details["attempts"] == len(WAITS) + 1


@pytest.mark.django_db
def test_a_receiver_that_is_gone_for_good_is_not_asked_again(receiver, kind):
    receiver.error = GiveUpError("410")
    one()
    deliver(claim(kind, limit=9)[0], kind)
    due_now()
    assert claim(kind, limit=9) == []
    assert receiver.given_up == ["k"]


@pytest.mark.django_db
def test_a_message_of_a_process_that_died_while_sending_is_sent_after_its_lease_by_another(receiver, kind):
    one()
    (lost,) = claim(kind, limit=9)
    assert claim(kind, limit=9) == []
    assert lost.due_at - clock.database_now() > LEASE - timedelta(minutes=1)
    due_now()
    (again,) = claim(kind, limit=9)
    assert again.pk == lost.pk
    assert deliver(again, kind)
    receiver.error = OSError("late")
    deliver(lost, kind)  # the first one wakes up: what the second one did stands
    assert Message.objects.get().done_at is not None


@pytest.mark.django_db
def test_who_was_overtaken_by_an_operators_send_again_decides_nothing(receiver, kind):
    first = one()
    (slow,) = claim(kind, limit=9)
    send_again(message=first.pk, by=None, context=context())
    due_now()
    (quick,) = claim(kind, limit=9)
    assert slow.attempts == quick.attempts
    receiver.error = GiveUpError("gone")
    deliver(slow, kind)
    receiver.error = None
    assert deliver(quick, kind)
    row = Message.objects.get()
    assert (row.failed_at, receiver.given_up) == (None, [])
    assert row.done_at is not None


@pytest.mark.django_db(transaction=True)
def test_machines_share_the_messages_and_each_goes_out_once(receiver, kind):
    with transaction.atomic():
        for number in range(20):
            put("test", key=str(number), body={})
    machines = [Delivery() for _ in range(3)]

    def run(machine: Delivery) -> None:
        while machine.tick():
            machine.wait()

    assert in_parallel([lambda machine=machine: run(machine) for machine in machines]) == [None] * 3
    assert sorted(receiver.got, key=int) == [str(number) for number in range(20)]
    assert not Message.objects.waiting().exists()


@pytest.mark.django_db(transaction=True)
def test_a_machine_that_had_its_hands_full_goes_on_at_once(receiver, kind):
    """A thousand sessions that end together would wait for a turn of the job's clock with each 40 of them."""
    with transaction.atomic():
        for number in range(HELD + 5):
            put("test", key=str(number), body={})
    machine, asked = Delivery(), []
    while machine.tick():
        machine.wait()
        asked.append(machine.more.is_set())
        machine.more.clear()
    assert asked == [True, False]
    assert len(receiver.got) == HELD + 5


@pytest.mark.django_db(transaction=True)
def test_kinds_whose_receivers_hang_keep_another_kind_from_nothing(receiver, kind):
    over, arrived = threading.Event(), threading.Event()
    hanging = ("notice-mail", "code-mail", "reset-mail", "notice-phone", "code-phone", "reset-phone")
    for code in hanging:
        register_kind(Kind(code, "试验", lambda _message: over.wait(60)))
    register_kind(Kind("logout", "试验", lambda _message: arrived.set()))
    with transaction.atomic():
        for code in hanging:
            for number in range(OF_ONE + 1):
                put(code, key=str(number), body={})
        put("logout", key="one", body={})
    machine = Delivery()
    try:
        machine.tick()
        assert arrived.wait(20)
    finally:
        over.set()
        machine.wait()


@pytest.mark.django_db
def test_rows_that_were_sent_long_ago_go(receiver, kind):
    row = one(done_at=clock.database_now() - timedelta(days=31))
    put("test", key="new", body={})
    assert sweep_messages() == 1
    assert not Message.objects.filter(pk=row.pk).exists()
    assert Message.objects.count() == 1


@pytest.mark.django_db
def test_an_operator_sees_what_was_not_sent_and_has_it_tried_again(receiver, kind):
    operator = console_client(make_world().first)
    row = one(failed_at=clock.database_now(), attempts=3, last_error="mail server away")
    shown = operator.get("/console/outbox/").content.decode()
    assert "mail server away" in shown
    assert "试验" in shown
    again = {"step": "send_again", "message": str(row.pk)}
    operator.post("/console/outbox/", again)
    assert deliver(claim(kind, limit=9)[0], kind)
    for wrong in (again, {**again, "message": "x"}, {**again, "message": "0" * 32}):
        assert 'class="alert bad' in operator.post("/console/outbox/", wrong, follow=True).content.decode()
    assert receiver.got == ["k"]
