"""Browsers of Django's test client: with cookies, the Host of a site, and the calls a page makes."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone
from worlds.practice import HOST, ORIGIN, PracticeLock

from calock.server.accounts.models import Account, Role
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding, Lock
from calock.server.providers.models import Provider, ProviderState
from calock.server.sessions import cookies
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import new_session
from calock.server.sites.registry import sites

HOSTS = {code: f"{profile.hosts[0]}:8000" for code, profile in sites().items()}
CONSOLE_HOST = "127.0.0.1"
CONSOLE_ORIGIN = f"http://{CONSOLE_HOST}"
LINUX = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"


def context(*, account: Account | None = None, at: datetime | None = None, ip: str = "192.0.2.7", **changed: Any) -> RequestContext:
    """A request's context without HTTP; with ``account`` it has a fresh session."""
    moment = at or timezone.now()
    values: dict[str, Any] = {
        "site": "shanxi",
        "origin": ORIGIN,
        "ip": ip,
        "user_agent": "pytest",
        "browser": "b" * 64,
        "session": None,
        "at": moment,
    }
    made = RequestContext(**{**values, **changed})
    if account is None:
        return made
    return RequestContext(**{**values, **changed, "session": session_of(account, made)[0]})


def session_of(account: Account, made: RequestContext) -> tuple[Session, str]:
    session, value = new_session(account_id=account.pk, method=SessionMethod.PASSWORD, context=made)
    session.save(force_insert=True)
    return session, value


class Browser:
    """One browser: cookies, the Host of a site, and the calls a page makes."""

    def __init__(self, *, host: str = HOST, ip: str = "192.0.2.7", **kwargs: Any) -> None:
        self.client = Client(headers={"host": host, "user-agent": "pytest"}, REMOTE_ADDR=ip, **kwargs)
        self.host = host
        self.ip = ip

    def enter(self, account: Account, *, at: datetime | None = None, site: str = "shanxi") -> Session:
        session, value = session_of(account, context(at=at, ip=self.ip, site=site))
        self.client.cookies[cookies.session_cookie()] = value
        return session

    def post(self, path: str, body: Any, **kwargs: Any) -> Any:
        text = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.client.post(path, text, content_type=kwargs.pop("content_type", "application/json"), **kwargs)

    def challenge(self, purpose: str = "login", **fields: Any) -> str:
        answer = self.post("/api/challenge", {"purpose": purpose, **fields})
        assert answer.status_code == 200, answer.content
        return answer.json()["challenge"]

    def _signed(self, lock: PracticeLock, challenge: str) -> dict[str, Any]:
        return lock.sign(challenge, origin=f"http://{self.host}")

    def log_in(self, lock: PracticeLock, **fields: Any) -> Any:
        challenge = self.challenge()
        return self.post("/api/login", {"challenge": challenge, "token": self._signed(lock, challenge), **fields})

    def bind(self, lock: PracticeLock, member: Account, *, provider: str = "", choose: str = "", **fields: Any) -> Any:
        """``choose``: what to answer when the server asks what the lock is, about the first bound lock it names."""
        aim = {"member": str(member.pk), "provider": provider or lock.family.provider}
        challenge = self.challenge("bind", **aim)
        sent = {"challenge": challenge, "token": self._signed(lock, challenge), **aim, **fields}
        answer = self.post("/api/bindings", sent)
        if choose and "question" in answer.json():
            first = answer.json()["question"]["candidates"][0]["binding"]
            answer = self.post("/api/bindings", {**sent, "choice": {"act": choose, "binding": first}})
        return answer

    def step_up(self, lock: PracticeLock) -> Any:
        challenge = self.challenge("stepup")
        return self.post("/api/step-up", {"challenge": challenge, "token": self._signed(lock, challenge)})


def logged_in(account: Account, *, site: str = "shanxi", **kwargs: Any) -> Browser:
    browser = Browser(host=HOSTS[site], **kwargs)
    browser.enter(account, site=site)
    return browser


def bound(lock: PracticeLock, member: Account) -> Binding:
    """The binding that the member made for themselves."""
    answer = logged_in(member).bind(lock, member)
    assert answer.status_code == 200, answer.content.decode()
    return Binding.objects.get(pk=answer.json()["binding"]["id"])


def refusal_row(answer: Any, reason: str) -> AuditEvent:
    """The row an auditor finds of a refusal that a person was told with a 4xx and a number."""
    assert 400 <= answer.status_code < 500, answer.content.decode()
    assert reason_of(answer) == reason
    row = AuditEvent.objects.get(number=answer.json()["error"]["number"])
    assert row.reason == reason
    return row


def reason_of(answer: Any) -> str:
    return answer.json()["error"]["reason"]


def lock_of_operator(account: Account) -> Lock:
    """The lock that an operator proves themselves with: one is bound when there is none."""
    live = Binding.objects.live().filter(account=account).first()
    if live is not None:
        return live.lock
    provider = Provider.objects.first() or Provider.objects.create(
        code="yunying", name="运营 CA", short_name="运营 CA", state=ProviderState.SUSPENDED
    )
    lock = Lock.objects.create(provider=provider, lock_id=f"YY-{secrets.token_hex(8)}")
    Binding.objects.create(lock=lock, account=account, bound_by=account, bound_at=timezone.now(), site="shanxi")
    return lock


def prove(session: Session, *, age: timedelta = timedelta()) -> None:
    """As if the operator had answered with their lock ``age`` ago, in this session."""
    at = timezone.now() - age
    session.proved_lock = lock_of_operator(session.account)
    session.lock_proved_at = session.authenticated_at = at
    session.seal()
    session.save()


def page_client(site: str, account: Account | None = None, *, english: bool = False) -> Client:
    """A browser that opens pages of a site, logged in when ``account`` is given."""
    client = Client(headers={"host": HOSTS[site], "user-agent": LINUX, "origin": f"http://{HOSTS[site]}"})
    if account is not None:
        enter_page(client, account, context(site=site, ip="127.0.0.1", user_agent=LINUX))
    if english:
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    return client


def console_client(account: Account | None, *, proof_age: timedelta = timedelta()) -> Client:
    """A browser before the console, logged in as ``account``. ``proof_age``: how long ago they proved who they are."""
    client = Client(headers={"Host": CONSOLE_HOST, "Origin": CONSOLE_ORIGIN}, raise_request_exception=True)
    if account is not None:
        enter_page(client, account, context(at=timezone.now() - proof_age), proof_age)
    return client


def enter_page(client: Client, account: Account, made: RequestContext, age: timedelta = timedelta()) -> None:
    """Give a browser a session that is in use now, though its proof may be old; an operator's proof is by lock."""
    session, client.cookies[cookies.session_cookie()] = session_of(account, made)
    session.last_seen_at = timezone.now()
    session.save()
    if account.role == Role.OPERATOR:
        prove(session, age=age)
    client.session_row = session
