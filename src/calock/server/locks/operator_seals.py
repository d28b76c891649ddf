"""Bindings of operators under seal: writing to the database without the server's secret gives no operator another lock.

The seal of a live binding covers the certificates and keys of its lock: moving a certificate to the lock is as good as a binding.
It is checked where an operator logs in or proves themselves, and before it is made anew (GB/T 22239-2019, 8.1.4.7: integrity).
"""

from __future__ import annotations

from datetime import UTC

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey
from calock.server.tools import seals
from calock.server.tools.rekeying import Rekeyed, seal_anew


def _content(binding: Binding) -> bytes:
    certificates = LockCertificate.objects.filter(lock=binding.lock_id).order_by("cert_sha256")
    keys = LockKey.objects.filter(lock=binding.lock_id).order_by("key_sha256")
    return seals.canonical([
        "binding", str(binding.pk), str(binding.lock_id), str(binding.account_id),
        binding.bound_at.astimezone(UTC).isoformat(timespec="microseconds"),
        list(certificates.values_list("cert_sha256", flat=True)), list(keys.values_list("key_sha256", flat=True)),
        *(["suspended"] if binding.suspended_at else []),
    ])  # fmt: skip


def _expected_mac(binding: Binding) -> str:
    return seals.mac("operators", _content(binding))


def is_intact(binding: Binding) -> bool:
    return seals.fits(binding.mac, "operators", _content(binding))


def seal_binding(binding: Binding) -> None:
    """Seal an operator's live binding as it stands now, inside the transaction that changed it; of others nothing is sealed."""
    if binding.account.role == Role.OPERATOR:
        binding.mac = _expected_mac(binding)
        binding.save(update_fields=["mac"])


def require_intact(binding: Binding) -> None:
    """Raise when an operator's row or binding is not the one that was sealed; of other accounts nothing is asked.

    Raises:
        Refusal: OPERATOR_DAMAGED.
    """
    if binding.account.role == Role.OPERATOR and not (binding.account.is_intact() and is_intact(binding)):
        detail = f"operator {binding.account_id}: account or binding {binding.pk} is not the one that was sealed"
        raise Refusal(Reason.OPERATOR_DAMAGED, detail, about={"lock": binding.lock_id})


def live_binding(lock: Lock, account: Account) -> Binding | None:
    found: Binding | None = Binding.objects.live().select_related("account").filter(lock=lock, account=account).first()
    return found


def seal_all() -> int:
    """Seal every operator's row and live binding as they are: for the owner's command alone, who compared the list. How many."""
    accounts = Account.objects.filter(role=Role.OPERATOR)
    bindings = Binding.objects.live().filter(account__role=Role.OPERATOR).select_related("account")
    with transaction.atomic():
        for account in accounts.select_for_update(no_key=True):
            Account.objects.filter(pk=account.pk).update(mac=account.expected_mac())
        for binding in bindings:
            Binding.objects.filter(pk=binding.pk).update(mac=_expected_mac(binding))
        count: int = accounts.count() + bindings.count()
        record(Event.OPERATORS_RESEALED, details={"rows": count})
    return count


def rekey_operators() -> list[Rekeyed]:
    """Seal operators' rows and live bindings under the newest key; not those that are damaged."""
    accounts = Account.objects.filter(role=Role.OPERATOR)
    bindings = Binding.objects.live().filter(account__role=Role.OPERATOR)
    return [
        seal_anew("operators", accounts, is_intact=Account.is_intact, expected=Account.expected_mac),
        seal_anew("operators' bindings", bindings, is_intact=is_intact, expected=_expected_mac),
    ]


def damaged() -> list[str]:
    """Operators whose row, and operators' bindings that, somebody changed behind the server's back: one line each."""
    found = [f"account {row.username}" for row in Account.objects.filter(role=Role.OPERATOR) if not row.is_intact()]
    live = Binding.objects.live().filter(account__role=Role.OPERATOR).select_related("account", "lock")
    return found + [f"binding of {row.account.username} to lock {row.lock.lock_id}" for row in live if not is_intact(row)]
