"""待激活绑定: what a list of another system says about locks, and how a verified certificate makes a binding of it.

A claim is text, and text logs nobody in. What the certificate itself says counts, signed by its CA: provider and CA锁ID. Where the
provider's rule takes the id from the device's serial, which nobody signed, the person's proof of the account is asked for once: the
lock is bound in the dialog like any other. Everything that a binding is refused for refuses a claim as well.
"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import QuerySet

from calock.core.masking import mask_person_ids
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import require_operator
from calock.server.accounts.models import Account, Role
from calock.server.accounts.sealed_rows import damaged
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.answers import Proof
from calock.server.locks.consent import awaited
from calock.server.locks.holder import DEVICE, ProvenCertificate, stored_lock_ids
from calock.server.locks.models import Awaits, Binding, Lock, PendingBinding
from calock.server.locks.own_organisation import require_own_organisation
from calock.server.locks.predecessors import RacedError
from calock.server.locks.put_back import claims_over
from calock.server.locks.versions import current_version, lock_of, require_not_expired_beside, take_turn, take_version
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify
from calock.server.providers.models import Provider
from calock.server.sessions.context import RequestContext


def claimed_ids(text: str) -> tuple[str, ...]:
    """The forms in which a lock may be known by a CA锁ID of a list; the last one as the serial of its device."""
    return (*stored_lock_ids(text), mask_person_ids(text)[-DEVICE:])


def kept_id(provider: Provider, text: str) -> str:
    """A CA锁ID as a claim keeps it: as the serial of a device where the provider's rules take it from nowhere else."""
    ids = claimed_ids(text)
    rules = Policy.from_json(provider.rules).identity.lock
    return ids[-1] if rules and all(rule.source == "device" for rule in rules) else ids[0]


def about(proven: ProvenCertificate) -> QuerySet[PendingBinding]:
    """Claims about this lock: by the id in its certificate, or only by the serial of its device (``is_signed`` tells which)."""
    ids = {*proven.lock_ids, *proven.devices} - {""}
    return PendingBinding.objects.filter(provider__code=proven.provider, lock_id__in=ids)


def claim_of(proven: ProvenCertificate) -> PendingBinding | None:
    """The one claim about this lock, when no binding goes before it."""
    found = list(about(proven).select_related("imported_by")[:2])
    if len(found) != 1:
        return None
    lock = lock_of(proven)
    bound = lock is not None and Binding.objects.live().filter(lock=lock).exists()
    return None if bound else found[0]


def is_signed(claim: PendingBinding, proven: ProvenCertificate) -> bool:
    """Whether the claim is about what the certificate's CA signed."""
    return proven.id_is_signed and claim.lock_id in proven.lock_ids


def activate(claim: PendingBinding, proof: Proof, proven: ProvenCertificate, *, context: RequestContext) -> Binding:
    """Make the binding that the claim speaks of, inside the caller's transaction, in which the lock has proven its key.

    It waits for consent where the site wants a member's consent to what others bind for them.

    Raises:
        Refusal: LOCK_NOT_ACTIVATED, LOCK_NOT_BOUND for a claim that has ended or names an operator, HOLDER_NOT_ORGANISATION,
            CERTIFICATE_SUPERSEDED, LOCK_HOLDER_CHANGED; RECORD_DAMAGED, also for one that was put back after its end.
        RacedError: the lock came to be bound, or known, at the same moment.
    """
    accounts = Account.objects.select_for_update(of=("self",), no_key=True).select_related("organisation")
    member = accounts.get(pk=claim.account_id)  # before the claim, as 离职 takes them
    row = PendingBinding.objects.select_for_update(of=("self",), no_key=True).filter(pk=claim.pk, account=member).first()
    if row is None:
        raise RacedError
    row.require_believed()
    if str(row.pk) in claims_over({member.pk}):
        raise damaged(row, operator=False)
    member.require_believed()
    if member.role == Role.OPERATOR or not member.is_active:
        raise Refusal(Reason.LOCK_NOT_BOUND, "claimed for an operator, or for a disabled account")
    if not is_signed(row, proven):
        raise Refusal(Reason.LOCK_NOT_ACTIVATED, "the claim names the serial of the device, which nobody signed")
    require_own_organisation(proof, member)
    lock = _lock_to_bind(proven)
    if Binding.objects.live().filter(lock=lock).exists():
        raise RacedError
    current = current_version(lock)
    if current is not None:
        require_not_expired_beside(current, proven, at=context.at)
    take_version(lock, proven, current, at=context.at)
    return _bind(row, lock, member, proven, context)


def _lock_to_bind(proven: ProvenCertificate) -> Lock:
    known = lock_of(proven)
    if known is not None:
        take_turn(known)
        return known
    lock = Lock(provider=Provider.objects.get(code=proven.provider), lock_id=proven.lock_ids[0], device=proven.devices[0])
    lock.save(force_insert=True)
    return lock


def _bind(claim: PendingBinding, lock: Lock, member: Account, proven: ProvenCertificate, context: RequestContext) -> Binding:
    awaits = awaited(member=member, by=claim.imported_by, ca=proven.ca_spki_sha256)
    binding = Binding(lock=lock, account=member, bound_at=context.at, site=context.site, awaits=awaits)
    binding.bound_by = claim.imported_by or member
    binding.save(force_insert=True)
    details = {"binding": str(binding.pk), "claim": str(claim.pk), "source": claim.source, "holder": proven.holder_kind or "none"}
    event = record(
        Event.BINDING_ADDED,
        context=context,
        actor=claim.imported_by,
        subject=member.pk,
        organisation=member.organisation_id,
        lock=lock.pk,
        provider=proven.provider,
        details={**details, "for_other": True, **proven.details},
    )
    claim.delete()
    if awaits != Awaits.ADMINISTRATOR:  # told when the other administrator consents
        kind = NoticeKind.LOCK_AWAITS if awaits else NoticeKind.LOCK_ACTIVATED
        notify(kind, account=member.pk, by=claim.imported_by, row=event, lock=lock.lock_id)
    return binding


def end_claims_on(proven: ProvenCertificate, member: Account, *, by: Account, context: RequestContext) -> None:
    """Whoever bound the lock with it in hand knows better than a list: claims about it end.

    By the serial of a device only those of ``member``: the serial is the client's word, and would end other people's.
    """
    for claim in about(proven).select_related("account", "provider"):
        if is_signed(claim, proven) or claim.account_id == member.pk:
            end_claim(claim, by=by, context=context)


def end_claim(claim: PendingBinding, *, by: Account, context: RequestContext) -> None:
    """Let go of a claim, with its audit row, inside the caller's transaction."""
    record(
        Event.BINDING_CLAIM_ENDED,
        context=context,
        actor=by,
        subject=claim.account_id,
        organisation=claim.account.organisation_id,
        provider=claim.provider.code,
        details={"claim": str(claim.pk)},
    )
    claim.delete()


def withdraw_claim(*, claim: uuid.UUID, by: Account, context: RequestContext) -> None:
    """End a claim: the person whose account it names, or one operator; both only take something away.

    Raises:
        Refusal: BINDING_NOT_FOUND, also for somebody else's.
    """
    with transaction.atomic():
        row = PendingBinding.objects.select_for_update(of=("self",)).select_related("account", "provider").filter(pk=claim).first()
        if row is not None and row.account_id != by.pk and by.role == Role.OPERATOR:
            require_operator(by.pk)
        elif row is None or row.account_id != by.pk:
            raise Refusal(Reason.BINDING_NOT_FOUND, "no claim about this account")
        end_claim(row, by=by, context=context)
