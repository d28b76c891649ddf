"""A test client with a live session of an account, sending what browsers send."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Binding, Lock
from calock.server.locks.operator_seals import seal_binding
from calock.server.providers.models import Provider, ProviderState
from calock.server.sessions import cookies
from calock.server.sessions.models import Session, SessionMethod

HOST = "127.0.0.1"
ORIGIN = f"http://{HOST}"


def lock_of_operator(account: Account) -> Lock:
    """The lock that an operator proves themselves with: one is bound when there is none."""
    live = Binding.objects.live().filter(account=account).first()
    if live is not None:
        return live.lock
    provider = Provider.objects.first() or Provider.objects.create(
        code="yunying", name="运营 CA", short_name="运营 CA", state=ProviderState.SUSPENDED
    )
    lock = Lock.objects.create(provider=provider, lock_id=f"YY-{secrets.token_hex(8)}")
    binding = Binding.objects.create(lock=lock, account=account, bound_by=account, bound_at=timezone.now(), site="shanxi")
    seal_binding(binding)
    return lock


def prove(session: Session, *, age: timedelta = timedelta()) -> None:
    """As if the operator had answered with their lock ``age`` ago, in this session."""
    at = timezone.now() - age
    session.proved_lock = lock_of_operator(session.account)
    session.lock_proved_at = session.authenticated_at = at
    session.seal()
    session.save()


def browser_of(account: Account | None, *, proof_age: timedelta = timedelta()) -> Client:
    """A browser in which ``account`` is logged in; None: nobody is. ``proof_age``: how long ago they proved who they are."""
    client = Client(headers={"Host": HOST, "Origin": ORIGIN}, raise_request_exception=True)
    if account is not None:
        value, now = cookies.new_value(), timezone.now()
        client.session_row = Session.objects.create(
            digest=cookies.digest(value),
            account=account,
            site="shanxi",
            method=SessionMethod.PASSWORD,
            ip="192.0.2.7",
            created_at=now - proof_age,
            last_seen_at=now,
            expires_at=now + timedelta(hours=1),
            authenticated_at=now - proof_age,
        )
        if account.role == Role.OPERATOR:
            prove(client.session_row, age=proof_age)
        client.cookies[cookies.session_cookie()] = value
    return client
