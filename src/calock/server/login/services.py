"""Logging in: with a lock, or with a password. Nothing else makes a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.db import IntegrityError, transaction

from calock.core.challenge import Purpose
from calock.core.refusals import Reason, Refusal
from calock.server.accounts import passwords
from calock.server.accounts.models import Account, AccountState
from calock.server.accounts.sealed_rows import damaged
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import build, record, record_refusal
from calock.server.challenges.models import SpentChallenge
from calock.server.challenges.services import Aim, is_ours, spend
from calock.server.locks.answers import Proof, answering, judge, provider_facts
from calock.server.locks.claims import activate, claim_of
from calock.server.locks.holder import Found, ProvenCertificate
from calock.server.locks.known_drivers import note_new_driver
from calock.server.locks.known_places import is_new_place, tell_of_place
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.locks.own_organisation import require_own_organisation
from calock.server.locks.password_rules import is_lock_only
from calock.server.locks.predecessors import PredecessorStatus, RacedError
from calock.server.locks.renewals import probably_renewed
from calock.server.locks.revocations import require_not_revoked
from calock.server.locks.row_seals import require_intact
from calock.server.locks.versions import is_same, lock_of_key, predecessor_of, renew_at_login
from calock.server.login import store
from calock.server.organisations.models import OrganisationState
from calock.server.receipts.models import Receipt
from calock.server.receipts.services import receipt_of
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import end_session, new_session
from calock.server.tools import throttle
from calock.server.tools.insertion import insert_together
from calock.server.tools.retry import again_when_broken_off
from calock.wire.driver import ReportedDevice
from calock.wire.driver_key import DriverProof

AIM = Aim(Purpose.LOGIN)
ATTEMPTS = 3
"""Times that an unseen certificate is looked at: each lost race asks for one more look."""


class Renewal(NamedTuple):
    """An unseen certificate, the lock that it may be of, and how the one stands that it would succeed."""

    proven: ProvenCertificate
    lock: Lock
    predecessor: PredecessorStatus | None


class LoggedIn(NamedTuple):
    """A new session and the value its cookie must get: the only time the server has it."""

    session: Session
    cookie: str


class _Rows(NamedTuple):
    """What a login writes, unsaved, and the value of its cookie."""

    session: Session
    row: AuditEvent
    receipt: Receipt
    cookie: str


def login_with_lock(
    *,
    challenge: str,
    token: bytes,
    device: ReportedDevice | None,
    provider: str,
    context: RequestContext,
    driver: DriverProof | None = None,
) -> LoggedIn:
    """Let the account in to which the answering lock is bound.

    ``token``: the driver's answer as JSON text. ``provider``: the one chosen on the page, empty for any. ``driver``: which
    driver gave it.

    Raises:
        Refusal: whatever stands in the way, audited with its precise reason; the challenge is spent.
    """
    throttle.refuse_when_too_many("login", context.sender)
    try:
        with answering(challenge, token, aim=AIM, context=context) as attempt:
            proof = judge(attempt, context=context, device=device, provider=provider, driver=driver)
            return _enter_until_decided(proof, context)
    except Refusal as refusal:
        ours = is_ours(refusal, context)
        if ours:
            throttle.count_failure("login", context.sender)
        if ours or throttle.is_worth_a_row("request", context.ip):
            record_refusal(Event.LOGIN_CA_REFUSED, refusal, context=context, details={"chosen": provider} if provider else {})
        raise


def _enter_until_decided(proof: Proof, context: RequestContext) -> LoggedIn:
    entered = _enter(proof, context)
    if entered is not None:
        return entered
    for _ in range(ATTEMPTS):
        try:
            _activate_claim(proof, context)
            entered = _enter_renewed(proof, _renewal(proof, context), context)
        except (IntegrityError, RacedError):
            continue  # another login wrote the same renewed certificate between our look and our insert
        if entered is not None:
            return entered
    raise Refusal(Reason.SERVER_BUSY, "lost every race")


@again_when_broken_off
def _enter(proof: Proof, context: RequestContext) -> LoggedIn | None:
    """Find, decide, and write challenge, session, audit row and receipt together: two statements when nothing is unusual.

    None: the slow way decides, since nobody has seen this certificate or a list speaks of its lock. The challenge is spent then,
    and nothing else has happened.
    """
    found = store.find(proof.issuer.spki_sha256, proof.certificate.serial_hex, proof.driver_key, challenge=proof.challenge.digest)
    if found is not None and found.challenge_spent:
        raise Refusal(Reason.CHALLENGE_SPENT, "the challenge was used before")
    if found is None or _is_claimed(found, proof):
        spend(proof.challenge)
        return None
    rows = _rows_of(found, proof, context)
    try:
        return _write(rows, found, proof, context, along=[SpentChallenge(digest=proof.challenge.digest)])
    except IntegrityError as error:
        if store.is_spent(proof.challenge):
            raise Refusal(Reason.CHALLENGE_SPENT, "somebody was quicker") from error
        raise


@again_when_broken_off
def _enter_renewed(proof: Proof, renewal: Renewal, context: RequestContext) -> LoggedIn | None:
    """The slow way in of a certificate that was renewed over its old key; its challenge is spent.

    None: a list speaks of its lock since a moment ago.
    """
    with transaction.atomic():
        found = store.find(proof.issuer.spki_sha256, proof.certificate.serial_hex, proof.driver_key)
        found = found or _renewed(proof, renewal, context)
        if _is_claimed(found, proof):
            return None
        return _write(_rows_of(found, proof, context), found, proof, context)


def _rows_of(found: Found, proof: Proof, context: RequestContext) -> _Rows:
    """What is written of the login of a certificate that is in the tables.

    Raises:
        Refusal: as ``_require_open``.
    """
    _require_open(found, proof)
    assert found.account_id is not None
    session, cookie = new_session(account_id=found.account_id, method=SessionMethod.CA, context=context, lock_id=found.lock_id)
    row = build(
        Event.LOGIN_CA_SUCCEEDED,
        context=context,
        actor=found.account_id,
        subject=found.binding_id,
        organisation=found.organisation_id,
        lock=found.lock_id,
        provider=proof.provider.code,
        details=proof.details,
    )
    return _Rows(session, row, receipt_of(proof.draft, row, binding=found.binding_id, session=session.digest), cookie)


def _write(rows: _Rows, found: Found, proof: Proof, context: RequestContext, *, along: Sequence[SpentChallenge] = ()) -> LoggedIn:
    """These rows and ``along``, the end of the browser's older session, word of a new driver or place: all of it or nothing."""
    assert found.account_id is not None
    together = [*along, rows.session, rows.row, rows.receipt]
    new_driver = bool(proof.driver_key) and not found.driver_known
    new_place = not found.driver_known and is_new_place(found.account_id, context)  # a driver that is known makes no place new
    if context.session is None and not new_driver and not new_place:
        insert_together(together)
        return LoggedIn(rows.session, rows.cookie)
    with transaction.atomic():
        if context.session is not None:
            end_session(session=context.session, reason="new login", at=context.at)
        insert_together(together)
        told = new_driver and note_new_driver(found.account_id, proof.driver_key, row=rows.row, context=context)
        if new_place and not told:
            tell_of_place(found.account_id, row=rows.row, context=context)
    return LoggedIn(rows.session, rows.cookie)


def _is_claimed(found: Found, proof: Proof) -> bool:
    """Whether a list speaks of a lock that is known and not bound; nothing is asked about one that is."""
    return found.binding_id is None and claim_of(ProvenCertificate.of(proof)) is not None


@again_when_broken_off
def _activate_claim(proof: Proof, context: RequestContext) -> None:
    """Make a binding of what a list says about this lock; it stays, though the login may then wait for consent.

    Raises:
        Refusal: CERTIFICATE_REVOKED, and as ``claims.activate``.
    """
    proven = ProvenCertificate.of(proof)
    claim = claim_of(proven)
    if claim is None:
        return
    require_not_revoked(proof.issuer.spki_sha256, proof.certificate.serial_hex)
    try:
        with transaction.atomic():
            activate(claim, proof, proven, context=context)
    except Refusal as refusal:
        refusal.facts.update(provider_facts(proven.provider))
        raise


def _renewal(proof: Proof, context: RequestContext) -> Renewal:
    """What must be known of an unseen certificate before the transaction that may take it for a renewal.

    Raises:
        Refusal: CERTIFICATE_REVOKED, KEY_ALREADY_KNOWN, LOCK_NOT_BOUND, RENEWAL_NEEDS_STEP_UP.
    """
    require_not_revoked(proof.issuer.spki_sha256, proof.certificate.serial_hex)
    proven = ProvenCertificate.of(proof)
    lock = lock_of_key(proven)
    if lock is None:
        renewed = probably_renewed(proven)
        reason = Reason.RENEWAL_NEEDS_STEP_UP if renewed else Reason.LOCK_NOT_BOUND
        about = {"lock": renewed} if renewed else {}
        raise Refusal(reason, "no lock has this key", provider_facts(proven.provider), about=about)
    return Renewal(proven, lock, predecessor_of(proven, lock, at=context.at))


def _renewed(proof: Proof, renewal: Renewal, context: RequestContext) -> Found:
    try:
        version = renew_at_login(renewal.proven, renewal.lock, renewal.predecessor, at=context.at)
    except Refusal as refusal:
        refusal.facts.update(provider_facts(proof.provider.code))
        raise
    record(
        Event.CERTIFICATE_RENEWED,
        context=context,
        lock=renewal.lock.pk,
        provider=proof.provider.code,
        details={"certificate": version.cert_sha256, "how": "same key, at login"},
    )
    found = store.find(proof.issuer.spki_sha256, proof.certificate.serial_hex, proof.driver_key)
    assert found is not None
    return found


def _require_open(found: Found, proof: Proof) -> None:
    """The very certificate, then binding, account and organisation.

    Raises:
        Refusal: LOCK_HOLDER_CHANGED, CERTIFICATE_REVOKED, CERTIFICATE_SUPERSEDED, RECORD_DAMAGED, OPERATOR_DAMAGED,
            ACCOUNT_DISABLED, ORGANISATION_DISABLED, HOLDER_NOT_ORGANISATION, and as ``_require_binding``.
    """
    about = {"lock": found.lock_id}
    if found.cert_sha256 != proof.certificate.sha256 and not _is_stored(found, proof):
        raise Refusal(Reason.LOCK_HOLDER_CHANGED, "another certificate with the serial number of a known one", about=about)
    if found.revoked:
        detail = "it, or the lock's current certificate, was found revoked before, whatever today's data say"
        raise Refusal(Reason.CERTIFICATE_REVOKED, detail, provider_facts(proof.provider.code), about=about)
    if found.superseded_by_other_key:
        raise Refusal(Reason.CERTIFICATE_SUPERSEDED, "a renewed certificate with another key took its place", about=about)
    _require_binding(found, proof)
    if not found.sealed:
        _require_as_found(found)
    if found.account_state != AccountState.ACTIVE:
        raise Refusal(Reason.ACCOUNT_DISABLED, "the bound account is disabled", about=about)
    if found.organisation_id is not None and found.organisation_state != OrganisationState.ACTIVE:
        raise Refusal(Reason.ORGANISATION_DISABLED, "the bound account's organisation is disabled", about=about)
    if found.provider != proof.provider.code:  # another provider has this CA on this site, and reads the holder by its own rules
        require_own_organisation(proof, Account.objects.select_related("organisation").get(pk=found.account_id))


def _require_as_found(found: Found) -> None:
    """The rows are believed, and say what the look-up found: somebody may have changed them back before they are read anew.

    Raises:
        Refusal: RECORD_DAMAGED, OPERATOR_DAMAGED.
    """
    binding = Binding.objects.select_related("account").get(pk=found.binding_id)
    certificate, account = LockCertificate.objects.get(pk=found.certificate_id), binding.account
    require_intact(binding, certificate)
    read = found._replace(
        lock_id=certificate.lock_id,
        cert_sha256=certificate.cert_sha256,
        binding_awaits=binding.awaits,
        reported_lost=binding.suspended_at is not None,
        account_id=account.pk,
        account_state=account.state,
        account_role=account.role,
        organisation_id=account.organisation_id,
    )
    if read != found or binding.lock_id != found.lock_id:
        raise damaged(binding, operator=binding.is_an_operators(), lock=found.lock_id)


def _require_binding(found: Found, proof: Proof) -> None:
    """A live binding that waits for nobody and whose lock is where it belongs.

    Raises:
        Refusal: LOCK_NOT_BOUND, LOCK_REPORTED_LOST, LOCK_NOT_CONFIRMED.
    """
    about = {"lock": found.lock_id}
    if found.binding_id is None:
        raise Refusal(Reason.LOCK_NOT_BOUND, "the lock is known but not bound", provider_facts(proof.provider.code), about=about)
    if found.reported_lost:
        raise Refusal(Reason.LOCK_REPORTED_LOST, "reported lost", provider_facts(proof.provider.code), about=about)
    if found.binding_awaits:
        raise Refusal(Reason.LOCK_NOT_CONFIRMED, f"the binding waits for the {found.binding_awaits}", about=about)


def _is_stored(found: Found, proof: Proof) -> bool:
    return is_same(LockCertificate.objects.get(pk=found.certificate_id), proof.certificate)


def login_with_password(*, username: str, password: str, context: RequestContext) -> LoggedIn:
    """Let an account in by its password.

    An unknown account and a wrong password look and cost the same. Failures never touch the CA path.

    Raises:
        Refusal: CREDENTIALS_WRONG, PASSWORD_TRIES_USED_UP, TOO_MANY_ATTEMPTS, SERVER_BUSY; only after the right password
            ACCOUNT_DISABLED, ORGANISATION_DISABLED, PASSWORD_LOGIN_OFF, RECORD_DAMAGED, OPERATOR_DAMAGED.
    """
    throttle.refuse_when_too_many("password", context.sender)
    name = username[:64].replace("\0", "")
    account: Account | None = None
    try:
        normal = passwords.normalised(password)
        account = Account.objects.filter(username=name).first()
        passwords.require_right(name, account, normal, context=context)
        assert account is not None
        return _enter_by_password(account, context)
    except Refusal as refusal:
        throttle.count_failure("password", context.sender)
        record_refusal(
            Event.LOGIN_PASSWORD_REFUSED, refusal, context=context, actor=account, subject=account.pk if account else None
        )
        raise


def _require_still_right(account: Account, context: RequestContext) -> None:
    """The password that was right is the account's now, and the account is open; its row is held, so that both stay so.

    A change of the password ends every session there is: one of the old password, written a moment later, would outlive it.
    """
    now = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    if now.password != account.password:
        raise Refusal(Reason.CREDENTIALS_WRONG, "the password was changed meanwhile")
    if not now.is_active:
        raise Refusal(Reason.ACCOUNT_DISABLED, "the account is disabled")
    if now.organisation is not None and now.organisation.state != OrganisationState.ACTIVE:
        raise Refusal(Reason.ORGANISATION_DISABLED, "the account's organisation is disabled")
    now.require_believed()
    if is_lock_only(now, site=context.site, at=context.at):
        raise Refusal(Reason.PASSWORD_LOGIN_OFF, "a lock is bound, and the account goes by it alone")


@again_when_broken_off
def _enter_by_password(account: Account, context: RequestContext) -> LoggedIn:
    with transaction.atomic():
        _require_still_right(account, context)
        if context.session is not None:
            end_session(session=context.session, reason="new login", at=context.at)
        session, cookie = new_session(account_id=account.pk, method=SessionMethod.PASSWORD, context=context)
        new_place = is_new_place(account.pk, context)
        session.save(force_insert=True)
        row = record(Event.LOGIN_PASSWORD_SUCCEEDED, context=context, actor=account, subject=account.pk)
        if new_place:
            tell_of_place(account.pk, row=row, context=context)
    return LoggedIn(session, cookie)


def logout(*, session: Session, context: RequestContext) -> None:
    """End a session because its person says so."""
    with transaction.atomic():
        end_session(session=session, reason="logout", at=context.at)
        record(Event.SESSION_ENDED, context=context, actor=session.account, subject=session.account_id)
