"""Logging in: with a lock, or with a password. Nothing else makes a session."""

from __future__ import annotations

from typing import NamedTuple

from django.db import IntegrityError, transaction

from calock.core.challenge import Challenge, Purpose
from calock.core.refusals import Reason, Refusal
from calock.server import throttle
from calock.server.accounts import passwords
from calock.server.accounts.models import Account, AccountState
from calock.server.accounts.passwords import Attempt
from calock.server.audit.events import Event
from calock.server.audit.services import build, record, record_refusal
from calock.server.challenges.answers import Proof, judge, open_answer, provider_facts, spent_if_refused
from calock.server.challenges.services import Aim
from calock.server.context import RequestContext
from calock.server.locks.holder import Found, Seen
from calock.server.locks.versions import renew_at_login
from calock.server.login import store
from calock.server.organisations.models import OrganisationState
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import end_session, new_session
from calock.wire.driver import Device

AIM = Aim(Purpose.LOGIN)
ATTEMPTS = 3


class LoggedIn(NamedTuple):
    """A new session and the value its cookie must get: the only time the server has it."""

    session: Session
    cookie: str


def login_with_lock(*, challenge: str, token: bytes, device: Device | None, provider: str, context: RequestContext) -> LoggedIn:
    """Let the account in to which the answering lock is bound.

    ``token``: the driver's answer as JSON text. ``provider``: the one chosen on the page, empty for any.

    Raises:
        Refusal: whatever stands in the way, audited with its precise reason; the challenge is spent.
    """
    throttle.refuse_when_too_many("login", context.ip)
    try:
        opened, answer = open_answer(challenge, token, aim=AIM, context=context)
        with spent_if_refused(opened):
            proof = judge(opened, challenge, answer, context=context, device=device, provider=provider)
            return _enter_until_decided(opened, proof, context)
    except Refusal as refusal:
        throttle.count_failure("login", context.ip)
        record_refusal(Event.LOGIN_CA_REFUSED, refusal, context=context, provider=provider)
        raise


def _enter_until_decided(challenge: Challenge, proof: Proof, context: RequestContext) -> LoggedIn:
    for _ in range(ATTEMPTS):
        try:
            return _enter(challenge, proof, context)
        except IntegrityError:
            continue  # another login wrote the same renewed certificate between our look and our insert
    raise Refusal(Reason.SERVER_BUSY, "lost every race")


def _enter(challenge: Challenge, proof: Proof, context: RequestContext) -> LoggedIn:
    """Spend, find, decide, and write session and audit row: one transaction, four statements when nothing is unusual."""
    with transaction.atomic():
        store.spend(challenge)
        found = store.find(proof.issuer.spki_sha256, proof.certificate.serial_hex)
        if found is None:
            found = _renewed(proof, context)
        elif found.cert_sha256 != proof.certificate.sha256:
            raise Refusal(Reason.LOCK_HOLDER_CHANGED, "another certificate with the serial number of a known one")
        _require_open(found, proof)
        assert found.account_id is not None
        if context.session is not None:
            end_session(session=context.session, reason="new login", at=context.at)
        session, cookie = new_session(account_id=found.account_id, method=SessionMethod.CA, context=context, lock_id=found.lock_id)
        store.insert_session(session)
        store.insert_audit(
            build(
                Event.LOGIN_CA_SUCCEEDED,
                context=context,
                actor=found.account_id,
                subject=found.binding_id,
                organisation=found.organisation_id,
                lock=found.lock_id,
                provider=proof.provider.code,
                details={"certificate": found.cert_sha256, "algorithm": proof.certificate.algorithm},
            )
        )
    return LoggedIn(session, cookie)


def _renewed(proof: Proof, context: RequestContext) -> Found:
    """The slow way in of a certificate that was renewed over its old key."""
    try:
        lock, version = renew_at_login(Seen.of(proof), at=context.at)
    except Refusal as refusal:
        refusal.facts.update(provider_facts(proof.provider.code))
        raise
    record(
        Event.CERTIFICATE_RENEWED,
        context=context,
        lock=lock.pk,
        provider=proof.provider.code,
        details={"certificate": version.cert_sha256, "how": "same key, at login"},
    )
    found = store.find(proof.issuer.spki_sha256, proof.certificate.serial_hex)
    assert found is not None
    return found


def _require_open(found: Found, proof: Proof) -> None:
    """Binding, then account, then organisation.

    Raises:
        Refusal: CERTIFICATE_SUPERSEDED, LOCK_NOT_BOUND, ACCOUNT_DISABLED, ORGANISATION_DISABLED.
    """
    if found.superseded_by_other_key:
        raise Refusal(Reason.CERTIFICATE_SUPERSEDED, "a renewed certificate with another key took its place")
    if found.binding_id is None:
        raise Refusal(Reason.LOCK_NOT_BOUND, "the lock is known but not bound", provider_facts(proof.provider.code))
    if found.account_state != AccountState.ACTIVE:
        raise Refusal(Reason.ACCOUNT_DISABLED, "the bound account is disabled")
    if found.organisation_id is not None and found.organisation_state != OrganisationState.ACTIVE:
        raise Refusal(Reason.ORGANISATION_DISABLED, "the bound account's organisation is disabled")


def login_with_password(*, username: str, password: str, context: RequestContext) -> LoggedIn:
    """Let an account in by its password.

    An unknown account, a wrong password and a locked account look and cost the same. Failures never touch the CA path.

    Raises:
        Refusal: CREDENTIALS_WRONG, TOO_MANY_ATTEMPTS, SERVER_BUSY; only after the right password ACCOUNT_DISABLED and
            ORGANISATION_DISABLED.
    """
    throttle.refuse_when_too_many("password", context.ip)
    account: Account | None = None
    try:
        normal = passwords.normalised(password)
        account = Account.objects.select_related("organisation").filter(username=username[:64].replace("\0", "")).first()
        _require_right(account, normal, context)
        assert account is not None
        return _enter_by_password(account, context)
    except Refusal as refusal:
        throttle.count_failure("password", context.ip)
        record_refusal(
            Event.LOGIN_PASSWORD_REFUSED, refusal, context=context, actor=account, subject=account.pk if account else None
        )
        raise


def _require_right(account: Account | None, password: str, context: RequestContext) -> None:
    if account is None:
        passwords.check_dummy(password)
        raise Refusal(Reason.CREDENTIALS_WRONG, "no such account")
    attempt = passwords.try_password(account, password, at=context.at)
    if attempt == Attempt.WRONG_AND_LOCKED:
        record(Event.ACCOUNT_PASSWORD_LOCKED, context=context, subject=account.pk, organisation=account.organisation_id)
    if attempt != Attempt.RIGHT:
        raise Refusal(Reason.CREDENTIALS_WRONG, f"password {attempt}")
    if not account.is_active:
        raise Refusal(Reason.ACCOUNT_DISABLED, "the account is disabled")
    if account.organisation is not None and account.organisation.state != OrganisationState.ACTIVE:
        raise Refusal(Reason.ORGANISATION_DISABLED, "the account's organisation is disabled")


def _enter_by_password(account: Account, context: RequestContext) -> LoggedIn:
    with transaction.atomic():
        if context.session is not None:
            end_session(session=context.session, reason="new login", at=context.at)
        session, cookie = new_session(account_id=account.pk, method=SessionMethod.PASSWORD, context=context)
        session.save(force_insert=True)
        record(Event.LOGIN_PASSWORD_SUCCEEDED, context=context, actor=account, subject=account.pk)
    return LoggedIn(session, cookie)


def logout(*, session: Session, context: RequestContext) -> None:
    """End a session because its person says so."""
    with transaction.atomic():
        end_session(session=session, reason="logout", at=context.at)
        record(Event.SESSION_ENDED, context=context, actor=session.account, subject=session.account_id)
