"""Operators who work at the same moment: accounts first, then the register, then the rest, so that nobody waits in a circle."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier, Thread

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from worlds.register import AT_START, World, make_world
from worlds.rows import ca_session, operator

from calock.core.refusals import Reason, Refusal
from calock.demo import pki
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve, reject, require_operator, take_back
from calock.server.audit.models import AuditEvent
from calock.server.providers import decisions
from calock.server.providers.anchors import CA_RESUME, CA_SUSPEND, propose_ca, propose_ca_state
from calock.server.providers.models import CaRecord, CaState, Provider, RevocationSource
from calock.server.providers.services import edit_provider, propose_emergency, propose_trust, suspend_provider
from calock.server.providers.sources import add_source, propose_private_source, remove_source
from calock.server.sessions.models import Session
from calock.server.tools import retry
from calock.server.tools.retry import TRIES, again_when_broken_off

ROUNDS = 12
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
ROOT = pki.make_root("新根 CA", "EC", not_before=AT_START, not_after=datetime(2046, 1, 1, tzinfo=UTC)).certificate


def agree(approval: Approval, by) -> None:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=by, context=None)


def ask_ca(world: World, *, by=None) -> Approval:
    ask = {"provider": world.provider, "certificate": ROOT, "anchor": True, "group": ""}
    return propose_ca(**ask, reason="新根", by=by or world.first, context=None)


def ask_state(world: World, record: CaRecord | None = None) -> Approval:
    row = CaRecord.objects.get(pk=(record or world.intermediate).pk)
    kind = CA_SUSPEND if row.state == CaState.RECOGNISED else CA_RESUME
    return propose_ca_state(record=row, version=row.version, kind=kind, reason="通报", by=world.first, context=None)


def ask_trust(world: World) -> Approval:
    row = Provider.objects.get()
    ask = {"state": row.state, "sites": ["zcy"], "rules": row.rules, "allow_expired_binding": False}
    return propose_trust(provider=row, version=row.version, **ask, reason="合同", by=world.first, context=None)


def ask_emergency(world: World) -> Approval:
    return propose_emergency(record=world.intermediate, hours=6, reason="停发", by=world.first, context=None)


SOURCE = {"kind": "crl", "reason": "专线", "context": None}


def ask_source(world: World) -> Approval:
    return propose_private_source(record=world.anchor, url="http://10.1.2.3/a.crl", by=world.first, **SOURCE)


# --- the order itself

FIRST = {"accounts_account": 0, "providers_registerstate": 1}
_WRITTEN = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"')
_LOCKED = re.compile(r'(?:FROM|JOIN) "(\w+)"')


def locked_by(act: Callable[[], object]) -> list[str]:
    """Tables in the order in which ``act`` first locked or wrote rows of them."""
    with CaptureQueriesContext(connection) as queries:
        act()
    found: list[str] = []
    for sql in (query["sql"] for query in queries):
        if " FOR " in sql:
            tables = _LOCKED.findall(sql.partition(" WHERE ")[0])  # PostgreSQL locks no rows of a subquery
            tables = tables[:1] if " OF " in sql else tables
            found += tables
            assert "accounts_account" not in tables or "FOR NO KEY UPDATE" in sql, "new sessions of the account would wait"
        else:
            found += _WRITTEN.findall(sql)
    return list(dict.fromkeys(found))


def settled(verb: Callable[..., Approval], ask: Callable[[World], Approval], world: World) -> Callable[[], object]:
    approval = ask(world)
    decided = {"approval_id": approval.pk, "version": approval.version, "context": None}
    if verb is approve:
        return partial(approve, **decided, sha256=approval.sha256, by=world.second)
    return (
        partial(reject, **decided, by=world.second, note="不") if verb is reject else partial(take_back, **decided, by=world.first)
    )


ASKS = [ask_ca, ask_state, ask_trust, ask_emergency, ask_source]


@on_postgresql
@pytest.mark.parametrize("verb", [None, approve, reject, take_back])
@pytest.mark.parametrize("ask", ASKS)
def test_decisions_lock_accounts_then_the_register_then_the_rest(world, ask, verb):
    require_order(locked_by(partial(ask, world) if verb is None else settled(verb, ask, world)))


@on_postgresql
def test_steps_of_one_operator_lock_in_the_same_order(world):
    by = {"by": world.first, "context": None}
    row, source = Provider.objects.get(), RevocationSource.objects.get()
    steps: list[Callable[[], object]] = [
        partial(edit_provider, provider=row, version=row.version, values={"short_name": "改名"}, **by),
        partial(add_source, record=world.anchor, kind="crl", url="http://a.example/", private_network=False, **by),
        partial(remove_source, source=source, **by),
        partial(suspend_provider, provider=row, reason="停", **by),
    ]
    for step in steps:
        require_order(locked_by(step))


def require_order(tables: list[str]) -> None:
    ranks = [FIRST.get(table, 2) for table in tables]
    assert ranks[0] == 0, tables
    assert ranks == sorted(ranks), tables


# --- and at once, on a real database


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What each act came to; nothing but refusals and results may come of it."""
    gate, outcomes = Barrier(len(acts)), [None] * len(acts)

    def run(place: int, act: Callable[[], object]) -> None:
        try:
            gate.wait(60)
            outcomes[place] = act()
        except Exception as error:  # noqa: BLE001 - the test's own thread looks at it
            outcomes[place] = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=item) for item in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return outcomes


@pytest.fixture
def crowd(transactional_db, monkeypatch) -> World:
    monkeypatch.setattr(retry, "TRIES", 1)  # what is broken off shows
    return make_world()


def other_anchor(world: World) -> object:
    return ask_state(world, world.anchor)


@on_postgresql
@pytest.mark.parametrize("other", [other_anchor, ask_trust, ask_emergency])
def test_approving_and_proposing_about_one_provider_do_not_wait_in_a_circle(crowd, other):
    for _ in range(ROUNDS):
        approval = ask_state(crowd)
        for outcome in at_once(partial(agree, approval, crowd.second), partial(other, crowd)):
            assert not isinstance(outcome, Exception) or isinstance(outcome, Refusal), outcome
        Approval.objects.filter(state="pending").update(state="cancelled")


@on_postgresql
@pytest.mark.parametrize("verb", [take_back, reject, approve])
def test_ending_a_proposal_and_proposing_the_same_key_do_not_wait_in_a_circle(crowd, verb):
    third = operator("bing")
    for _ in range(ROUNDS):
        Approval.objects.filter(state="pending").update(state="cancelled")
        for row in CaRecord.objects.filter(subject__contains="新根"):
            row.delete()
        for outcome in at_once(settled(verb, ask_ca, crowd), partial(ask_ca, crowd, by=third)):
            assert not isinstance(outcome, Exception) or isinstance(outcome, Refusal), outcome


@on_postgresql
def test_an_operator_logs_in_while_an_approval_holds_his_account(crowd):
    """A login ends the session that the browser had, which the approval may end as well: it must not wait for the account."""
    approval, session = ask_state(crowd), ca_session(crowd.intermediate)

    def log_in() -> str:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '10s'")
            now = timezone.now()
            fields = {"created_at": now, "last_seen_at": now, "authenticated_at": now, "expires_at": now + timedelta(hours=1)}
            digest = secrets.token_hex(32)
            Session.objects.create(digest=digest, account=crowd.first, site="shanxi", method=session.method, **fields)
        return "in"

    with transaction.atomic():
        agree(approval, crowd.second)
        require_operator(crowd.first.pk)
        (outcome,) = at_once(log_in)
    assert outcome == "in"


# --- what was broken off all the same


class BrokenOffError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def failing(times: int, sqlstate: str) -> tuple[Callable[[], str], list[None]]:
    tries: list[None] = []

    def verb() -> str:
        tries.append(None)
        if len(tries) <= times:
            raise OperationalError("broken off") from BrokenOffError(sqlstate)
        return "done"

    return verb, tries


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
def test_a_decision_that_the_database_broke_off_is_done_again(sqlstate):
    verb, tries = failing(TRIES - 1, sqlstate)
    assert again_when_broken_off(verb)() == "done"
    assert len(tries) == TRIES


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("times", "sqlstate", "tried"), [(TRIES, "40P01", TRIES), (1, "57014", 1), (1, "", 1)])
def test_it_is_not_tried_for_ever_nor_after_other_errors(times, sqlstate, tried):
    verb, tries = failing(times, sqlstate)
    with pytest.raises(OperationalError):
        again_when_broken_off(verb)()
    assert len(tries) == tried


@pytest.mark.django_db(transaction=True)
def test_inside_another_transaction_nothing_is_done_again():
    verb, tries = failing(1, "40P01")
    with pytest.raises(OperationalError), transaction.atomic():
        again_when_broken_off(verb)()
    assert len(tries) == 1


@pytest.mark.django_db(transaction=True)
def test_an_approval_done_again_is_done_once(monkeypatch):
    world = make_world()
    approval, real, calls = ask_state(world), decisions.enforce, []

    def settle(provider, at):
        calls.append(provider.pk)
        if len(calls) == 1:
            raise OperationalError("deadlock detected") from BrokenOffError("40P01")
        return real(provider, at)

    monkeypatch.setattr(decisions, "enforce", settle)
    agree(approval, world.second)
    assert len(calls) == 2
    assert CaRecord.objects.get(pk=world.intermediate.pk).state == CaState.SUSPENDED
    assert AuditEvent.objects.filter(event="approval:approved").count() == 1
    with pytest.raises(Refusal, match=f"^{Reason.APPROVAL_CLOSED}"):
        agree(approval, world.second)
