"""Accounts, bindings and what names a lock under seal, together (:mod:`calock.server.accounts.sealed_rows`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import methodcaller
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, PasswordCode, Role
from calock.server.accounts.sealed_rows import SealedRow, SealedSince, all_sealed, damaged
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.contacts.models import ContactCode
from calock.server.locks.holder import HASHED_ID
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey, PendingBinding
from calock.server.tools import clock
from calock.server.tools.keys import key_ids
from calock.server.tools.rekeying import Rekeyed, batches, seal_anew


def require_intact(binding: Binding, *rows: LockCertificate | LockKey) -> None:
    """Raise when the binding, its account or one of the lock's ``rows`` is not the one that was sealed.

    Raises:
        Refusal: RECORD_DAMAGED, OPERATOR_DAMAGED.
    """
    for row in (binding.account, binding, *rows):
        if not row.is_believed():
            raise damaged(row, operator=binding.is_an_operators(), lock=binding.lock_id)


def is_believed(row: SealedRow | ContactCode) -> bool:
    """Whether it may be used. A contact's code knows its seal alone, not whether the version before may still write."""
    return row.is_believed() if isinstance(row, SealedRow) else row.is_intact() or not all_sealed()


def require_believed(code: ContactCode) -> None:
    """Raise when the code may not be used.

    Raises:
        Refusal: RECORD_DAMAGED.
    """
    if not is_believed(code):
        raise Refusal(Reason.RECORD_DAMAGED, f"contactcode {code.pk} is not the one that was sealed")


def seal_as_before(binding: Binding) -> None:
    """Seal an operator's binding anew when its lock's certificates changed: as the version before sealed it, it covers them."""
    if binding.is_an_operators():
        Binding.objects.filter(pk=binding.pk).update(mac=binding.expected_mac())


def live_binding(lock: Lock, account: Account) -> Binding | None:
    found: Binding | None = Binding.objects.live().select_related("account").filter(lock=lock, account=account).first()
    return found


KINDS: dict[str, tuple[str, QuerySet[Any]]] = {
    "account": ("username", Account.objects.all()),
    "certificate": ("pk", LockCertificate.objects.defer("sealed_der")),
    "key": ("pk", LockKey.objects.all()),
    "claim": ("pk", PendingBinding.objects.all()),
    "code": ("pk", PasswordCode.objects.filter(used_at=None)),
    "contact-code": ("pk", ContactCode.objects.filter(used_at=None)),
    "binding": ("pk", Binding.objects.live().select_related("account")),
}
"""All that is sealed, by kind, and by what people name one. What has ended or was used has no seal."""


def seal_all() -> int:
    """Seal every row as it is, and from then on believe no other: for the owner's command alone. How many were sealed.

    Meanwhile people log in: what they change is sealed by that. No machine of the version before may run any more.
    """
    count = sum(_seal_anew(rows.filter(pk__in=[row.pk for row in batch])) for _, rows in KINDS.values() for batch in batches(rows))
    with transaction.atomic():
        SealedSince.objects.get_or_create(defaults={"at": clock.now()})
        # from here on operators' bindings are sealed as others are; some were as before meanwhile
        count += _seal_anew(KINDS["binding"][1].filter(account__role=Role.OPERATOR))
        record(Event.ROWS_SEALED, details={"rows": count})
    all_sealed()  # this machine notes it
    return count


def seal_one(kind: str, key: str) -> bool:
    """The same for one row that somebody changed, and the owner looked at; whether there was one."""
    column, rows = KINDS[kind]
    with transaction.atomic():
        found = _seal(rows.filter(**{column: key}), methodcaller("is_intact"), methodcaller("expected_mac"))
        if found:
            record(Event.ROWS_SEALED, details={"rows": found, "row": f"{kind} {key}"})
    return bool(found)


def _seal_anew(rows: QuerySet[Any]) -> int:
    """In the one form that stays: a binding's own methods know two."""
    kind: Any = SealedRow if rows.model is Binding else rows.model
    return _seal(rows, kind.is_intact, kind.expected_mac)


def _seal(rows: QuerySet[Any], is_intact: Callable[[Any], bool], expected: Callable[[Any], str]) -> int:
    """Those of ``rows`` whose seal does not fit; nobody changes them meanwhile."""
    with transaction.atomic():
        held = rows.select_for_update(of=("self",), no_key=True).order_by("pk")
        wrong = [row for row in held if not is_intact(row)]
        for row in wrong:
            row.mac = expected(row)
        rows.model._base_manager.bulk_update(wrong, ["mac"])  # noqa: SLF001 - Django's public name for it
    return len(wrong)


_NOT_REKEYED = "a keyed hash stands for the number in it; until the lock answers, or the claim is withdrawn and imported again"


def rekey_rows() -> Iterator[Rekeyed]:
    """Seal all of them under the newest key; not those that are damaged, nor claims that the former key is needed for."""
    newest, *older = key_ids()
    hashed = Q(lock_id__regex=HASHED_ID)
    for kind, (_, rows) in KINDS.items():
        is_claim = kind == "claim"
        ready = rows.exclude(hashed) if is_claim and older else rows
        found = seal_anew(f"{kind}s", ready, is_intact=methodcaller("is_intact"), expected=methodcaller("expected_mac"))
        if is_claim and older:
            kept = rows.filter(hashed).exclude(mac__startswith=newest).select_related("account")
            found.failed += [f"{row.lock_id} of {row.account.username}: {_NOT_REKEYED}" for row in kept]
        yield found


def damaged_rows() -> Iterator[str]:
    """What somebody changed behind the server's back, one line each; of a large platform it takes minutes."""
    return (line for kind, (_, rows) in KINDS.items() for line in _damaged(kind, rows))


def damaged_operators() -> list[str]:
    """The same of operators and their locks alone."""
    bindings = KINDS["binding"][1].filter(account__role=Role.OPERATOR)
    locks = {"lock__in": bindings.order_by().values("lock")}
    among: dict[str, dict[str, Any]] = {"account": {"role": Role.OPERATOR}, "certificate": locks, "key": locks}
    found = [line for kind, only in among.items() for line in _damaged(kind, KINDS[kind][1].filter(**only))]
    return [*found, *_damaged("binding", bindings)]


def _damaged(kind: str, rows: QuerySet[Any]) -> Iterator[str]:
    column = KINDS[kind][0]
    for batch in batches(rows):
        for row in batch:
            if not is_believed(row):
                whose = f" of {row.account.username}" if kind == "binding" else ""
                yield f"{kind} {getattr(row, column)}{whose}"
