"""Passwords: what is acceptable, and checking one without telling a stranger anything.

Source: NIST SP 800-63B-4 clause 3.1.1 (length, blocklist, whole password verified, normalised).
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from django.contrib.auth.hashers import check_password, is_password_usable, make_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.foreign_passwords import is_foreign
from calock.server.accounts.hashers import CONCURRENT
from calock.server.accounts.models import Account, Role
from calock.server.accounts.password_tries import NOBODY, Count, counts_of
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.sessions.context import RequestContext

MIN_LENGTH = 10
MAX_LENGTH = 1024
WAITING = 2
"""Checks that may wait for a place; later ones are refused at once, and hold no thread."""
_places = threading.BoundedSemaphore(CONCURRENT)
_present = threading.BoundedSemaphore(CONCURRENT + WAITING)


def normalised(password: str) -> str:
    """NFC, so that one password typed on two systems is one password. Nothing is cut off.

    Raises:
        Refusal: CREDENTIALS_WRONG above 1024 characters: refused, never truncated.
    """
    if len(password) > MAX_LENGTH:
        raise Refusal(Reason.CREDENTIALS_WRONG, f"password of {len(password)} characters")
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise Refusal(Reason.CREDENTIALS_WRONG, "not text") from error
    return unicodedata.normalize("NFC", password)


@contextmanager
def _place() -> Iterator[None]:
    if not _present.acquire(blocking=False):
        raise Refusal(Reason.SERVER_BUSY, f"{CONCURRENT} password checks are running, {WAITING} are waiting")
    try:
        with _places:
            yield
    finally:
        _present.release()


@cache
def _dummy_hash() -> str:
    return make_password("an account that does not exist costs the same")


def require_right(name: str, account: Account | None, password: str, *, context: RequestContext, by: Account | None = None) -> None:
    """Return when ``password`` is the one of ``account``; ``name`` is the name that was typed, whether an account has it or not.

    Wrong ones are counted (:mod:`calock.server.accounts.password_tries`); the CA path is untouched. An account that does not exist
    costs the same hash and the same statements. ``by``: the account itself, when it proves in its session who it is. ``account``
    gets the hash that was checked.

    Raises:
        Refusal: CREDENTIALS_WRONG; PASSWORD_TRIES_USED_UP, whatever the password is; SERVER_BUSY; RECORD_DAMAGED, OPERATOR_DAMAGED.
    """
    counts = counts_of(name, account, context, proof=by is not None)
    with _place():
        _take_turn(counts, context)
        now: Account | None = Account.objects.filter(pk=account.pk if account else NOBODY).first()
        stored = now.password if now else ""
        usable = is_password_usable(stored) and bool(stored)
        if check_password(password, stored if usable else _dummy_hash()) and usable:
            for count, end in zip(counts, (Count.forget, Count.take_back), strict=False):
                end(count)
            assert account is not None
            assert now is not None
            now.require_believed()
            account.password = _in_our_form(account, stored, password)
            return
    _note_full(counts, account, context=context, by=by)
    raise Refusal(Reason.CREDENTIALS_WRONG, "wrong password" if usable else "no such account, or one without a password")


def _in_our_form(account: Account, stored: str, password: str) -> str:
    """The hash that the account has from now on: its own, or a new one in place of another system's, which served this once.

    A password that would not be acceptable here is to be changed; who logs in is told so.
    """
    if account.role == Role.OPERATOR or not is_foreign(stored):  # an operator's never was another system's
        return stored
    made = make_password(password)
    broken = _broken_rule(account, password) is not None
    with transaction.atomic():
        now: Account | None = Account.objects.select_for_update(no_key=True).filter(pk=account.pk, password=stored).first()
        if now is None:
            return stored
        now.password, now.must_change_password = made, now.must_change_password or broken
        now.save(update_fields=["password", "must_change_password"])
    return made


def _take_turn(counts: Sequence[Count], context: RequestContext) -> None:
    own = counts[0]
    for count in counts:
        if not count.take(context.at):
            if count is not own:
                own.take_back()
            detail = f"{count.most} wrong ones in a row, counted by {count.who}"
            raise Refusal(Reason.PASSWORD_TRIES_USED_UP, detail, {"minutes": count.minutes_left(context.at)})


def _note_full(counts: Sequence[Count], account: Account | None, *, context: RequestContext, by: Account | None) -> None:
    """Write down, once, that a count is full; for a name that no account has as well."""
    subject, place = (account.pk, account.organisation_id) if account else (None, None)
    for count in counts:
        with transaction.atomic():
            if count.became_full():
                details = {"counted": count.who}
                record(
                    Event.ACCOUNT_PASSWORD_LOCKED, context=context, actor=by, subject=subject, organisation=place, details=details
                )


@cache
def _common_passwords() -> CommonPasswordValidator:
    """Made once: it unpacks and reads twenty thousand words."""
    return CommonPasswordValidator()


def _is_common(password: str) -> bool:
    try:
        _common_passwords().validate(password)
    except ValidationError:
        return True
    return False


def _broken_rule(account: Account, password: str) -> tuple[str, str] | None:
    """Why no account like this may have such a password, in Chinese and English."""
    lowered = password.casefold()
    own_words = [word.casefold() for word in (account.username, account.name) if len(word) >= 2]
    rules = (
        (len(password) < MIN_LENGTH, f"至少 {MIN_LENGTH} 个字符", f"at least {MIN_LENGTH} characters"),
        (len(password) > MAX_LENGTH, f"最多 {MAX_LENGTH} 个字符", f"at most {MAX_LENGTH} characters"),
        (any(word in lowered for word in own_words), "不能包含账户名或姓名", "it must not contain the account or the name"),
        (len(set(lowered)) < 4, "不同的字符太少", "too few different characters"),
        (_is_common(lowered), "过于常见", "it is too common"),
    )
    return next(((chinese, english) for broken, chinese, english in rules if broken), None)


def _reason_against(account: Account, password: str) -> tuple[str, str]:
    """Why a new password is not acceptable, in Chinese and English; empty when it is."""
    broken = _broken_rule(account, password)
    if broken is not None:
        return broken
    if account.has_usable_password() and check_password(password, account.password):
        return "不能与当前密码相同", "it must differ from the current one"
    return "", ""


def require_acceptable(account: Account, password: str, *, english: bool = False) -> str:
    """The normalised new password.

    Raises:
        Refusal: PASSWORD_UNACCEPTABLE with ``why``; SERVER_BUSY.
    """
    chosen = unicodedata.normalize("NFC", password[: MAX_LENGTH + 1])
    with _place():
        chinese_why, english_why = _reason_against(account, chosen)
    if chinese_why:
        raise Refusal(Reason.PASSWORD_UNACCEPTABLE, english_why, {"why": english_why if english else chinese_why})
    return chosen
