"""Passwords: what is acceptable, and checking one without telling a stranger anything.

Sources: NIST SP 800-63B-4 clause 3.1.1 (length, blocklist, whole password verified, normalised); GB/T 22239-2019 clause
8.1.4.1 b (lock-out).
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from functools import cache

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.sessions.context import RequestContext

MIN_LENGTH = 10
MAX_LENGTH = 1024
MAX_FAILURES = 5
LOCK_OUT = timedelta(minutes=15)
CONCURRENT_CHECKS = 2
"""Argon2 checks at once in one process: each takes 19 MiB and 20 ms of a core, a CA login a hundredth of that."""
PATIENCE = 5.0
"""Seconds to wait for a place before saying that the server is busy."""
_places = threading.BoundedSemaphore(CONCURRENT_CHECKS)


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
    if not _places.acquire(timeout=PATIENCE):
        raise Refusal(Reason.SERVER_BUSY, f"{CONCURRENT_CHECKS} password checks are running")
    try:
        yield
    finally:
        _places.release()


@cache
def _dummy_hash() -> str:
    return make_password("an account that does not exist costs the same")


def check_dummy(password: str) -> None:
    """Spend what a check costs, for an account that does not exist or may not be tried."""
    with _place():
        check_password(password, _dummy_hash())


class Attempt(StrEnum):
    """What came of one password."""

    RIGHT = "right"
    WRONG = "wrong"
    WRONG_AND_LOCKED = "wrong and locked"  # the fifth in a row
    NOT_TRIED = "not tried"  # password login is locked, or the account has no password


def try_password(account: Account, password: str, *, context: RequestContext, by: Account | None = None) -> Attempt:
    """Check a password and count failures: the fifth in a row locks password login for 15 minutes. The CA path is untouched.

    While locked nothing is checked, and the same time is spent. ``account`` gets the hash that was checked; ``by`` is whoever is
    logged in.

    Raises:
        Refusal: SERVER_BUSY.
    """
    if not account.has_usable_password():
        check_dummy(password)
        return Attempt.NOT_TRIED
    with _place():
        if not _take_turn(account, context=context, by=by):
            check_password(password, _dummy_hash())
            return Attempt.NOT_TRIED
        account.refresh_from_db(fields=["password"])
        if check_password(password, account.password):
            Account.objects.filter(pk=account.pk).update(failed_passwords=0, password_locked_until=None)
            return Attempt.RIGHT
    return Attempt.WRONG_AND_LOCKED if _lock_out(account, context=context, by=by) else Attempt.WRONG


def _take_turn(account: Account, *, context: RequestContext, by: Account | None) -> bool:
    """Count the try as a failure before it is judged: as many as may fail are judged, however many are sent at once."""
    rows = Account.objects.filter(pk=account.pk)
    unlocked = rows.filter(Q(password_locked_until__isnull=True) | Q(password_locked_until__lte=context.at))
    if unlocked.filter(failed_passwords__lt=MAX_FAILURES).update(failed_passwords=F("failed_passwords") + 1):
        return True
    if unlocked.exists():
        _lock_out(account, context=context, by=by)  # counted and not judged: under way, or of a process that died
    return False


def _lock_out(account: Account, *, context: RequestContext, by: Account | None) -> bool:
    """Lock password login when the count is full; the row says so. Whether it was."""
    with transaction.atomic():
        full = Account.objects.filter(pk=account.pk, failed_passwords__gte=MAX_FAILURES)
        if not full.update(failed_passwords=0, password_locked_until=context.at + LOCK_OUT):
            return False
        place = account.organisation_id
        record(Event.ACCOUNT_PASSWORD_LOCKED, context=context, actor=by, subject=account.pk, organisation=place)
    return True


def _is_common(password: str) -> bool:
    try:
        CommonPasswordValidator().validate(password)
    except ValidationError:
        return True
    return False


def _reason_against(account: Account, password: str) -> tuple[str, str]:
    """Why a new password is not acceptable, in Chinese and English; empty when it is."""
    lowered = password.casefold()
    own_words = [word.casefold() for word in (account.username, account.name) if len(word) >= 2]
    rules = (
        (len(password) < MIN_LENGTH, f"至少 {MIN_LENGTH} 个字符", f"at least {MIN_LENGTH} characters"),
        (len(password) > MAX_LENGTH, f"最多 {MAX_LENGTH} 个字符", f"at most {MAX_LENGTH} characters"),
        (any(word in lowered for word in own_words), "不能包含账户名或姓名", "it must not contain the account or the name"),
        (len(set(lowered)) < 4, "不同的字符太少", "too few different characters"),
        (_is_common(lowered), "过于常见", "it is too common"),
    )
    for broken, chinese, english in rules:
        if broken:
            return chinese, english
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
