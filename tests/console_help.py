"""A test client with a live session of an account, sending what browsers send."""

from __future__ import annotations

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from calock.server.accounts.models import Account
from calock.server.sessions import cookies
from calock.server.sessions.models import Session, SessionMethod

HOST = "127.0.0.1"
ORIGIN = f"http://{HOST}"


def browser_of(account: Account | None, *, proof_age: timedelta = timedelta()) -> Client:
    """A browser in which ``account`` is logged in; None: nobody is. ``proof_age``: how long ago he proved himself."""
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
        client.cookies[cookies.session_cookie()] = value
    return client
