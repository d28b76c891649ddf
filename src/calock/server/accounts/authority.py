"""Who may act on whose account."""

from __future__ import annotations

import uuid

from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role

OWNER_ONLY = "only the server's owner creates operators and resets their passwords: an operator who could would hold both votes"


def require_operator(account_id: uuid.UUID) -> Account:
    """The account as it stands in the database now, when it is an active operator's; locked, the first lock of a transaction.

    ``no_key``: neither role nor state changes meanwhile, but inserting a row that names the account, a session, need not wait.

    Raises:
        Refusal: NOT_ALLOWED; a role that was taken away a moment ago counts at once.
    """
    account: Account | None = Account.objects.select_for_update(no_key=True).filter(pk=account_id).first()
    if account is None or not account.is_active or not account.is_operator:
        raise Refusal(Reason.NOT_ALLOWED, "only an active operator may do this")
    return account


def acting(by: Account) -> Account:
    """``by`` as the database has it now, locked: the first lock of a transaction, before the rows it acts on.

    Raises:
        Refusal: NOT_ALLOWED when it was disabled a moment ago; RECORD_DAMAGED, OPERATOR_DAMAGED.
    """
    account: Account = Account.objects.select_for_update(no_key=True).get(pk=by.pk)
    if not account.is_active:
        raise Refusal(Reason.NOT_ALLOWED, "the acting account is disabled")
    account.require_believed()
    return account


def has_authority(by: Account, member: Account) -> bool:
    """Operators over every account but their own, administrators over the ordinary members of their organisation."""
    if by.is_operator:
        return by.pk != member.pk
    same = by.organisation_id is not None and by.organisation_id == member.organisation_id
    return by.administers is not None and same and member.role == Role.MEMBER


def require_authority(by: Account, member: Account) -> None:
    """Raise unless ``by`` has authority over ``member``.

    Raises:
        Refusal: NOT_FOUND, so that a guessed id does not tell whether it exists.
    """
    if not has_authority(by, member):
        raise Refusal(Reason.NOT_FOUND, "outside this account's authority")


def clean_reason(reason: str) -> str:
    """The reason as kept: one line, personal ids in it masked.

    Raises:
        Refusal: REASON_MISSING, empty or longer than 200 characters.
    """
    text = " ".join(reason.split())
    if not text or len(text) > 200 or not text.isprintable():
        raise Refusal(Reason.REASON_MISSING, "a reason of 1 to 200 printable characters is wanted")
    return mask_person_ids(text)
