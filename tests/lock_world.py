"""Real practice CAs, locks that really sign, people, and a browser that talks to the JSON interface: for the server's tests."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from django.db import connections
from django.test import Client
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.signatures import signed_message
from calock.core.challenge import Purpose
from calock.core.refusals import Refusal
from calock.core.revocation.evidence import InMemoryEvidence
from calock.demo import pki
from calock.demo.people import organisation_code, uscc
from calock.server.accounts.models import Account, Role
from calock.server.audit.models import AuditEvent
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.locks.models import Binding
from calock.server.locks.services import bind_lock
from calock.server.organisations.models import Organisation, OrganisationKind
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.sessions import cookies
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import new_session

HOST = "shanxi.localhost:8000"
ORIGIN = f"http://{HOST}"
PASSWORD = "Chang-Cheng-7-Li"
NOW = datetime.now(UTC).replace(microsecond=0)
YEARS = timedelta(days=3650)
USCC = uscc("91140100" + organisation_code("MA0TEAC1"))
OTHER_USCC = uscc("91330100" + organisation_code("MA2PRAC2"))
RULES = {"identity": {"lock": [{"source": "oid", "oid": pki.LOCK_ID_OID}]}}
NAMES = {"SM2": "SM2", "EC": "ES256", "RSA": "RS256"}


@dataclass(frozen=True)
class Family:
    provider: str
    root: pki.Authority
    issuing: pki.Authority


def family(algorithm: str, provider: str = "") -> Family:
    return _family(algorithm, provider)


@cache
def _family(algorithm: str, provider: str) -> Family:
    root = pki.make_root(f"{provider}{algorithm} root", algorithm, not_before=NOW - YEARS, not_after=NOW + YEARS)
    return Family(
        provider or f"lianxi-{algorithm.lower()}",
        root,
        root.intermediate(f"{provider}{algorithm} issuing", not_before=NOW - YEARS, not_after=NOW + YEARS),
    )


@cache
def spare_key(algorithm: str, number: int) -> pki.Key:
    """Keys are slow to make, RSA above all: the same few are used by every test."""
    return pki.make_key(algorithm)


@dataclass
class PracticeLock:
    """A key with its certificate: what stands in a real lock."""

    key: pki.Key
    certificate: bytes
    family: Family

    def sign(self, challenge: str, *, origin: str = ORIGIN, algorithm: str = "", message: bytes | None = None) -> dict[str, Any]:
        """The Web eID token for a challenge."""
        name = algorithm or NAMES[self.key.algorithm]
        text = message if message is not None else signed_message(NAMES[self.key.algorithm], origin, challenge)
        return {
            "format": "web-eid:1.0",
            "unverifiedCertificate": base64.b64encode(self.certificate).decode(),
            "algorithm": name,
            "signature": base64.b64encode(_raw(self.key, text)).decode(),
        }


def _raw(key: pki.Key, message: bytes) -> bytes:
    if key.algorithm == "RSA":
        private = serialization.load_der_private_key(key.private_pkcs8, None)
        return private.sign(message, padding.PKCS1v15(), hashes.SHA256())
    if key.algorithm == "EC":
        private = serialization.load_der_private_key(key.private_pkcs8, None)
        der = private.sign(message, ec.ECDSA(hashes.SHA256()))
    else:
        der = key.sign(message)
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def make_lock(
    algorithm: str = "SM2",
    *,
    number: int = 0,
    lock_id: str = "SX-0001",
    provider: str = "",
    name: str = "测试单位_张三",
    not_before: datetime = NOW - timedelta(days=100),
    not_after: datetime = NOW + timedelta(days=300),
    **fields: Any,
) -> PracticeLock:
    owner = family(algorithm, provider)
    key = spare_key(algorithm, number)
    certificate = owner.issuing.issue_lock(name, key, not_before=not_before, not_after=not_after, lock_id=lock_id, **fields)
    return PracticeLock(key, certificate, owner)


@dataclass
class LockWorld:
    """What every test of locks and logins stands on. Revoke with ``revoke``; evidence is real and current."""

    families: list[Family]
    organisation: Organisation
    other_organisation: Organisation
    admin: Account
    member: Account
    colleague: Account
    outsider: Account
    outside_admin: Account
    operator: Account
    expert: Account
    revoked: dict[int, str] = field(default_factory=dict)
    without_evidence: bool = False
    _evidence: dict[Any, InMemoryEvidence] = field(default_factory=dict)

    def revoke(self, lock: PracticeLock, reason: str = "keyCompromise") -> None:
        self.revoked[Certificate.parse(lock.certificate).serial] = reason

    def evidence(self) -> InMemoryEvidence:
        key = (self.without_evidence, len(self.families), *sorted(self.revoked.items()))
        if key not in self._evidence:
            self._evidence[key] = self._fresh_evidence()
        return self._evidence[key]

    def _fresh_evidence(self) -> InMemoryEvidence:
        at = timezone.now()
        crls, anchors, others = [], [], []
        for item in self.families:
            anchors.append(Certificate.parse(item.root.certificate))
            others.append(Certificate.parse(item.issuing.certificate))
            entries = [(serial, NOW - timedelta(days=1), reason) for serial, reason in self.revoked.items()]
            for authority, revoked in ((item.root, []), (item.issuing, entries)):
                crls.append(authority.crl(revoked, this_update=at - timedelta(minutes=5), next_update=at + timedelta(hours=6)))
        return InMemoryEvidence([] if self.without_evidence else crls, anchors=anchors, others=others, at=at)


def id_card(body: str) -> str:
    """Complete 17 digits of a citizen identity number with the check digit (GB 11643)."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def install(item: Family, **values: Any) -> None:
    install_provider(
        code=item.provider,
        values={
            "name": f"{item.provider} 平台",
            "short_name": item.provider,
            "hotline": "0351-1234567",
            **values.pop("values", {}),
        },
        rules=values.pop("rules", RULES),
        sites=values.pop("sites", ["shanxi"]),
        cas=[
            CaToInstall(item.root.certificate, anchor=True, group=f"{item.provider}-root"),
            CaToInstall(item.issuing.certificate, anchor=False, group=f"{item.provider}-issuing"),
        ],
        **values,
    )


def make_lock_world(*algorithms: str) -> LockWorld:
    families = [family(algorithm) for algorithm in algorithms or ("SM2",)]
    for item in families:
        install(item)
    own = Organisation.objects.create(kind=OrganisationKind.SUPPLIER, name="测试供应商有限公司", uscc=USCC)
    other = Organisation.objects.create(kind=OrganisationKind.SUPPLIER, name="别家有限公司", uscc=OTHER_USCC)

    def account(username: str, name: str, role: Role = Role.MEMBER, organisation: Organisation | None = None) -> Account:
        return Account.objects.create_account(username=username, name=name, role=role, organisation=organisation)

    return LockWorld(
        families=families,
        organisation=own,
        other_organisation=other,
        admin=account("guanli", "王管理", Role.ORGANISATION_ADMIN, own),
        member=account("zhangsan", "张三", organisation=own),
        colleague=account("lisi", "李四", organisation=own),
        outsider=account("waibu", "钱外", organisation=other),
        outside_admin=account("waiguan", "孙外管", Role.ORGANISATION_ADMIN, other),
        operator=account("yunying", "运营", Role.OPERATOR),
        expert=account("zhuanjia", "赵安"),
    )


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

    def log_in(self, lock: PracticeLock, **fields: Any) -> Any:
        challenge = self.challenge()
        return self.post("/api/login", {"challenge": challenge, "token": lock.sign(challenge), **fields})

    def bind(self, lock: PracticeLock, member: Account, *, provider: str = "", **fields: Any) -> Any:
        aim = {"member": str(member.pk), "provider": provider or lock.family.provider}
        challenge = self.challenge("bind", **aim)
        return self.post("/api/bindings", {"challenge": challenge, "token": lock.sign(challenge), **aim, **fields})

    def step_up(self, lock: PracticeLock) -> Any:
        challenge = self.challenge("stepup")
        return self.post("/api/step-up", {"challenge": challenge, "token": lock.sign(challenge)})


def logged_in(account: Account, **kwargs: Any) -> Browser:
    browser = Browser(**kwargs)
    browser.enter(account)
    return browser


def bound(lock: PracticeLock, member: Account) -> Binding:
    """The binding that the member made for himself."""
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


def in_parallel(acts: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start every act at the same moment, each with a database connection of its own; their results."""
    gate = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(number: int, act: Callable[[], Any]) -> None:
        gate.wait(timeout=60)
        try:
            results[number] = act()
        except Exception as error:  # noqa: BLE001 - whatever an act ends with is its result; the test says what it may be
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return results


def meanwhile(act: Callable[[], Any]) -> Any:
    """What somebody else does, whole and committed, while the caller stands in a transaction of his own. Not on SQLite."""
    return in_parallel([act])[0]


def binding_of(lock: PracticeLock, person: Account) -> Callable[[], str]:
    """An answer that is ready: the act that binds the lock to the person himself. ``bound``, or the refusal's reason."""
    made = context(account=person)
    text, _ = issue_challenge(aim=Aim(Purpose.BIND, member=person.pk, provider=lock.family.provider), context=made)
    token = json.dumps(lock.sign(text)).encode()

    def act() -> str:
        try:
            bind_lock(
                member=person, provider=lock.family.provider, challenge=text, token=token, device=None, by=person, context=made
            )
        except Refusal as refusal:
            return refusal.reason.value
        return "bound"

    return act
