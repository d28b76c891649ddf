"""Bind practice locks as their holders would: a challenge, the lock's signature, the platform's own checks. No row is made up."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

import msgspec
from django.utils import timezone

from calock.agent.backends.soft import SoftBackend
from calock.agent.signing import prepare
from calock.core.certificates.certificate import Certificate
from calock.core.challenge import Purpose
from calock.demo.crl_source import CrlSource
from calock.demo.keyring import LockSpec, lock
from calock.demo.practice import Practice
from calock.server.accounts.models import Account, Role
from calock.server.accounts.operators import open_enrolment
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.jobs.crls import CrlSchedule
from calock.server.locks.services import bind_lock
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import SessionMethod
from calock.server.sessions.services import end_session, new_session
from calock.wire.token import FORMAT, AuthToken

ORIGIN = "http://shanxi.localhost"


def _fetch_crls(source: CrlSource) -> None:
    """Have the server fetch every CRL once from the practice source, which runs only for this moment."""
    thread = threading.Thread(target=source.serve_forever, daemon=True)
    thread.start()
    try:
        schedule = CrlSchedule()
        schedule.tick()
        schedule.wait()
    finally:
        source.shutdown()
        thread.join()


def _answer(practice: Practice, spec: LockSpec, challenge: str) -> bytes:
    """The token that this lock makes for ``challenge``."""
    backend = SoftBackend(practice.place.locks)
    found = next(found for found in backend.list_locks().locks if found.serial == spec.serial)
    signing_input = prepare(Certificate.parse(found.certificate), origin=ORIGIN, challenge=challenge)
    signature = backend.sign(
        found.key, certificate=found.certificate, pin=bytearray(spec.pin.encode()), signing_input=signing_input, consent="window"
    )
    token = AuthToken(
        format=FORMAT,
        unverified_certificate=b64encode(found.certificate).decode(),
        algorithm=signing_input.algorithm,
        signature=b64encode(signature).decode(),
    )
    return msgspec.json.encode(token)


def bind_samples(practice: Practice, whose: Mapping[str, str], *, source: CrlSource) -> None:
    """Bind practice locks, by name, to accounts, by username: each by its own person.

    Raises:
        Refusal: whatever the platform finds wrong with one.
    """
    _fetch_crls(source)
    for name, username in whose.items():
        _bind(practice, lock(name), Account.objects.get(username=username))


def _bind(practice: Practice, spec: LockSpec, member: Account) -> None:
    provider = practice.families[spec.family].spec.providers[0]
    if member.role == Role.OPERATOR:
        open_enrolment(operator=member, by=None, context=None)
        member.refresh_from_db()
    at = timezone.now()
    visit = RequestContext(
        site="shanxi", origin=ORIGIN, ip="127.0.0.1", user_agent="calock demo", browser="", session=None, at=at
    )  # fmt: skip
    session, _ = new_session(account_id=member.pk, method=SessionMethod.PASSWORD, context=visit)
    session.save(force_insert=True)
    context = replace(visit, session=session)
    aim = Aim(Purpose.BIND, member=member.pk, provider=provider)
    challenge = issue_challenge(aim=aim, context=context).text
    token = _answer(practice, spec, challenge)
    bind_lock(member=member, provider=provider, challenge=challenge, token=token, device=None, by=member, context=context)
    end_session(session=session, reason="demo", at=at)
