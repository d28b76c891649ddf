"""Asking what a lock with an unknown key is when its holder has bound locks: one more, or the successor of one of them.

Nothing in the certificate says so, and the device's serial number is the client's word. So the person is asked, in the binding
dialog, with a fresh proof of the account (docs/decisions/binding.md).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import QuerySet

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.locks.consent import awaited
from calock.server.locks.holder import ProvenCertificate
from calock.server.locks.models import Binding, BindingQuerySet, LockCertificate
from calock.server.providers.models import CaRecord

MOST = 20
"""Bound locks that the question lists."""


class Act(StrEnum):
    """What the person says the new lock is."""

    RENEW = "renew"
    """The same device with a new key: the binding stays, the lock gets the certificate."""
    REPLACE = "replace"
    """Another device instead of the bound one: that binding ends, a new one begins."""
    ANOTHER = "another"
    """One more lock of the holder."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The answer to the question: ``binding`` is the one that is renewed or replaced; None for one more lock."""

    act: Act
    binding: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bound lock of the same holder that the new one may come after."""

    binding: Binding
    certificate: LockCertificate
    same_device: bool

    @property
    def act(self) -> Act:
        """A revoked certificate passes nothing on, so a lock that has one is replaced, on the same device too; so is a lost one."""
        sound = self.certificate.revoked_at is None and self.binding.suspended_at is None
        return Act.RENEW if self.same_device and sound else Act.REPLACE


@dataclass(frozen=True, slots=True)
class BindingQuestion:
    """What must be answered before the lock is bound. The challenge is not used up: the same answer comes again with a choice."""

    proven: ProvenCertificate
    candidates: list[Candidate]


def candidates(proven: ProvenCertificate, *, member: Account, by: Account) -> list[Candidate]:
    """Locks bound to ``member`` that the proven one may come after; the same device first.

    None for a certificate without a holder id, and none where the binding waits for consent: who binds for somebody else cannot
    renew or end what that person's consent rests on.
    """
    if not proven.holder_id or awaited(member=member, by=by, ca=proven.ca_spki_sha256):
        return []
    rows = _bound_to_holder(proven).filter(account=member).select_related("account", "lock__provider").newest_first()[:MOST]
    current = LockCertificate.objects.select_related("ca_record__provider").filter(
        superseded_at__isnull=True, lock__in={row.lock_id for row in rows}
    )
    by_lock = {certificate.lock_id: certificate for certificate in current}
    devices = _devices_of(proven)
    found = [Candidate(row, by_lock[row.lock_id], row.lock.device in devices) for row in rows]
    return sorted(found, key=lambda candidate: not candidate.same_device)


def chosen(choice: Choice, proven: ProvenCertificate, *, member: Account, by: Account) -> Binding:
    """The binding that the choice names.

    Raises:
        Refusal: BINDING_NOT_FOUND: it is none that the question offered for this act, or it has ended since.
    """
    for candidate in candidates(proven, member=member, by=by):
        if candidate.binding.pk == choice.binding and candidate.act == choice.act:
            return candidate.binding
    raise Refusal(Reason.BINDING_NOT_FOUND, f"no bound lock of this holder to {choice.act}")


def probably_renewed(proven: ProvenCertificate) -> uuid.UUID | None:
    """The bound lock that a login's unknown key probably renews: same holder, same device. The person is told to confirm it."""
    devices = _devices_of(proven) if proven.holder_id else ()
    if not devices:
        return None
    return _bound_to_holder(proven).filter(lock__device__in=devices).values_list("lock_id", flat=True).first()


def _bound_to_holder(proven: ProvenCertificate) -> BindingQuerySet:
    named = _of_provider(proven).filter(holder_hmac__in=proven.holder_hmacs)
    rows: BindingQuerySet = Binding.objects.live().filter(awaits="", lock__in=named.values("lock"))
    return rows


def _of_provider(proven: ProvenCertificate) -> QuerySet[LockCertificate]:
    """Current certificates of its provider's CAs, also where the lock was bound on a site on which another provider has them."""
    cas = CaRecord.objects.filter(provider__code=proven.provider).values("spki_sha256")
    return LockCertificate.objects.filter(superseded_at__isnull=True, ca_record__spki_sha256__in=cas)


def _devices_of(proven: ProvenCertificate) -> tuple[str, ...]:
    """What the certificate or the driver says of the device; nothing for a value that several bound locks share."""
    shown = Binding.objects.live().filter(lock__in=_of_provider(proven).values("lock"), lock__device__in=proven.devices)
    return proven.devices if proven.devices[0] and len(shown[:2]) < 2 else ()
