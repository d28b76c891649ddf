"""A lock's certificates over time: adding one, and deciding whether an unknown one continues a known lock.

docs/decisions/binding.md has the table. At a login only the same key continues a lock; in the binding dialog, with a fresh proof of
the account, also a new key of the same holder on the same device (``renewals``). A revoked predecessor passes nothing on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.server.locks.ending_notices import withdraw_reminders
from calock.server.locks.holder import ProvenCertificate
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey
from calock.server.locks.predecessors import PredecessorStatus, RacedError, predecessor_status
from calock.server.locks.row_seals import require_intact, seal_as_before
from calock.server.providers.models import CaRecord, Provider
from calock.server.tools.prepared import prepared


def take_turn(lock: Lock) -> None:
    """Wait until nobody else decides about this lock, and let nobody until the caller's transaction ends.

    Who binds, renews or unbinds calls it before they read what they decide by: binding and current certificate stay as they judged
    them. Whoever also locks an account does that first. Logins with a known certificate do not come by here.
    """
    Lock.objects.select_for_update(no_key=True).get(pk=lock.pk)


@prepared
def _current(lock: Any) -> QuerySet[LockCertificate]:
    return LockCertificate.objects.select_related("ca_record__provider").filter(lock=lock, superseded_at__isnull=True)


@prepared
def _known(ca: Any, serial: Any) -> QuerySet[LockCertificate]:
    rows = LockCertificate.objects.select_related("lock__provider")
    return rows.filter(ca_record__spki_sha256=ca, serial=serial).order_by("pk")[:1]


@prepared
def _key(key: Any) -> QuerySet[LockKey]:
    return LockKey.objects.select_related("lock__provider").filter(pk=key)


def current_version(lock: Lock) -> LockCertificate | None:
    return _current.first(lock.pk)


def known_version(proven: ProvenCertificate) -> LockCertificate | None:
    """The row of its issuing key and serial number, current or not; ``is_same`` says whether it is this certificate."""
    return _known.first(proven.ca_spki_sha256, proven.serial)


def is_same(version: LockCertificate, certificate: Certificate) -> bool:
    """Whether this is the stored certificate: what its CA signed is the same.

    Not the whole file: from an ECDSA signature (r, s) anybody makes the equally valid (r, n - s), and whoever showed such a twin
    first would keep the real one out.
    """
    if version.cert_sha256 == certificate.sha256:
        return True
    try:
        return Certificate.parse(version.der).tbs == certificate.tbs
    except Refusal:
        return False


def lock_of(proven: ProvenCertificate) -> Lock | None:
    """The lock that this certificate or its key belongs to.

    Raises:
        Refusal: KEY_ALREADY_KNOWN when the key stands under a lock of another provider, to which this certificate's CA is none;
            RECORD_DAMAGED.
    """
    certificate = known_version(proven)
    if certificate is None:
        return lock_of_key(proven)
    certificate.require_believed()
    return certificate.lock


def lock_of_key(proven: ProvenCertificate) -> Lock | None:
    """The lock of a certificate that is in no row, by its key.

    Raises:
        Refusal: KEY_ALREADY_KNOWN, RECORD_DAMAGED, as ``lock_of``.
    """
    key = _key.first(proven.key_sha256)
    if key is None:
        return None
    key.require_believed()
    if not _is_of(key.lock.provider, proven):
        raise Refusal(Reason.KEY_ALREADY_KNOWN, "the key stands under a lock of another provider", about={"lock": key.lock_id})
    return key.lock


def _is_of(provider: Provider, proven: ProvenCertificate) -> bool:
    """Whether it is a certificate of this provider: judged by its rules, or of a CA that it has as well, on another site."""
    return provider.code == proven.provider or provider.ca_records.filter(spki_sha256=proven.ca_spki_sha256).exists()


def predecessor_of(proven: ProvenCertificate, lock: Lock | None, *, at: datetime) -> PredecessorStatus | None:
    """How the certificate of ``lock`` stands whose place ``proven`` would take; None when there is none. Not inside a transaction.

    Raises:
        Refusal: REGISTER_DAMAGED.
    """
    current = current_version(lock) if lock is not None else None
    if current is None or is_same(current, proven.certificate) or not continues(current, proven):
        return None
    return predecessor_status(current, at=at)


def continues(version: LockCertificate, proven: ProvenCertificate) -> bool:
    """Whether ``proven`` names the same holder. The caller knows that both are of one provider, whichever of its CAs issued them.

    Certificates that name no holder id continue one another only over the same key and the same subject.
    """
    if version.holder_hmac or proven.holder_id:
        return version.holder_hmac in proven.holder_hmacs
    return version.spki_sha256 == proven.spki_sha256 and proven.has_stored_name(version.subject_cn)


def _needs_no_person(version: LockCertificate, proven: ProvenCertificate) -> bool:
    """A renewal is believed at a login only over the same key, from the CA that issued ``version`` or its successor."""
    before = version.ca_record
    successor = before.provider.code == proven.provider and before.group == proven.ca_group
    return version.spki_sha256 == proven.spki_sha256 and (successor or before.spki_sha256 == proven.ca_spki_sha256)


def _is_older(proven: ProvenCertificate, current: LockCertificate) -> bool:
    """By the day it begins, then by the day it ends. Of two with the same dates the one that came first stays behind."""
    its, currents = (proven.not_before, proven.not_after), (current.not_before, current.not_after)
    return its < currents or (its == currents and known_version(proven) is not None)


def require_not_expired_beside(current: LockCertificate, proven: ProvenCertificate, *, at: datetime) -> None:
    """An expired certificate, which some providers let be bound, takes no place that one in its dates holds.

    Raises:
        Refusal: CERTIFICATE_SUPERSEDED.
    """
    if proven.not_after < at <= current.not_after and current.revoked_at is None:
        detail = "it has expired, and the lock's current certificate has not"
        raise Refusal(Reason.CERTIFICATE_SUPERSEDED, detail, about={"lock": current.lock_id})


def require_heir(current: LockCertificate, proven: ProvenCertificate, standing: PredecessorStatus | None, *, at: datetime) -> None:
    """Return when ``proven`` may take the place of the lock's ``current`` certificate, given a fresh proof of the person.

    Raises:
        Refusal: LOCK_HOLDER_CHANGED, PREDECESSOR_REVOKED, CERTIFICATE_SUPERSEDED for one that is older; RECORD_DAMAGED.
        RacedError: ``standing`` is not about ``current``.
    """
    about = {"lock": current.lock_id}
    current.require_believed()
    if not continues(current, proven):
        raise Refusal(Reason.LOCK_HOLDER_CHANGED, "another holder's certificate on a bound lock", about=about)
    if standing is None or standing.version != current.pk:
        raise RacedError
    if standing.revoked or current.revoked_at is not None:
        raise Refusal(Reason.PREDECESSOR_REVOKED, "the certificate that was bound is revoked: it passes nothing on", about=about)
    if _is_older(proven, current):
        raise Refusal(Reason.CERTIFICATE_SUPERSEDED, "older than the lock's current certificate", about=about)
    require_not_expired_beside(current, proven, at=at)


def stands_for(lock: Lock, proven: ProvenCertificate, *, at: datetime) -> bool:
    """Whether this certificate would log in with ``lock`` as it is bound now, or after a renewal that needs no confirmation.

    A lock is also found by its earlier keys, and its key may have come into another holder's certificate.
    """
    current = current_version(lock)
    if current is not None:
        current.require_believed()
    if current is None or is_same(current, proven.certificate):
        return current is not None
    if not _needs_no_person(current, proven) or not continues(current, proven):
        return False
    if known_version(proven) is None and _is_older(proven, current):
        return False
    standing = predecessor_status(current, at=at)
    return not standing.revoked and not standing.doubt


def take_version(lock: Lock, proven: ProvenCertificate, current: LockCertificate | None, *, at: datetime) -> None:
    """Put the proven certificate in the place of ``current``: a new one, or one that the lock had left behind.

    Raises:
        Refusal: LOCK_HOLDER_CHANGED, CERTIFICATE_REVOKED.
        RacedError: as ``add_version``; somebody else bound it since ``lock_of`` looked, and it stands under their lock.
    """
    known = known_version(proven)
    if known is None:
        add_version(lock, proven, current, at=at)
        return
    if known.lock_id != lock.pk:
        raise RacedError
    about = {"lock": lock.pk}
    if not is_same(known, proven.certificate):
        detail = "another certificate with the serial number of a known one"
        raise Refusal(Reason.LOCK_HOLDER_CHANGED, detail, about=about)
    if known.revoked_at is not None:
        raise Refusal(Reason.CERTIFICATE_REVOKED, "its row says that it is revoked", about=about)
    if known.superseded_at is not None:
        _leave_behind(current, at=at)
        LockCertificate.objects.filter(pk=known.pk).update(superseded_at=None, current_since=at)


def _leave_behind(version: LockCertificate | None, *, at: datetime) -> None:
    if version is None:
        return
    as_judged = LockCertificate.objects.filter(superseded_at__isnull=True, revoked_at__isnull=version.revoked_at is None)
    if not as_judged.filter(pk=version.pk).update(superseded_at=at):
        raise RacedError  # whoever learns of a revocation takes no turn
    for binding in Binding.objects.live().filter(lock=version.lock_id):
        withdraw_reminders(binding, at=at)


def add_version(lock: Lock, proven: ProvenCertificate, previous: LockCertificate | None, *, at: datetime) -> LockCertificate:
    """Make ``proven`` the current certificate of ``lock`` after ``previous``, the one that was judged; inside the caller's turn.

    Raises:
        RacedError: its key has come to stand under another lock since ``lock_of`` looked; ``previous`` was found revoked.
    """
    key, _ = LockKey.objects.get_or_create(key_sha256=proven.key_sha256, defaults={"lock": lock})
    if key.lock_id != lock.pk:
        raise RacedError
    _leave_behind(previous, at=at)
    version = LockCertificate(
        lock=lock,
        ca_record=CaRecord.objects.get(provider__code=proven.provider, spki_sha256=proven.ca_spki_sha256),
        serial=proven.serial,
        cert_sha256=proven.cert_sha256,
        spki_sha256=proven.spki_sha256,
        holder_hmac=proven.holder_hmacs[0],
        holder_masked=proven.holder_masked,
        subject_cn=proven.subject_cn,
        algorithm=proven.algorithm,
        not_before=proven.not_before,
        not_after=proven.not_after,
        current_since=at,
        supersedes=previous,
    )
    version.der = proven.certificate.der
    version.save(force_insert=True)
    return version


def renew_at_login(proven: ProvenCertificate, lock: Lock, standing: PredecessorStatus | None, *, at: datetime) -> LockCertificate:
    """A certificate nobody has proven: add it when it is a renewal over the same key, else say what stands in the way.

    ``lock`` and ``standing``: ``lock_of_key`` and ``predecessor_of``, looked up before the transaction.

    Raises:
        Refusal: LOCK_NOT_BOUND, PREDECESSOR_REVOKED, RENEWAL_NEEDS_STEP_UP, LOCK_HOLDER_CHANGED, CERTIFICATE_SUPERSEDED.
        RacedError: as ``require_heir`` and ``add_version``.
    """
    about = {"lock": lock.pk}
    take_turn(lock)
    live = Binding.objects.live().select_related("account").filter(lock=lock).first()
    if live is None:
        raise Refusal(Reason.LOCK_NOT_BOUND, "the lock of its key is not bound", about=about)
    previous = current_version(lock)
    if previous is None:
        raise Refusal(Reason.LOCK_HOLDER_CHANGED, "a bound lock without a current certificate", about=about)
    require_heir(previous, proven, standing, at=at)
    if not _needs_no_person(previous, proven):
        raise Refusal(Reason.RENEWAL_NEEDS_STEP_UP, "renewed by another CA, or over a key that the lock had before", about=about)
    if standing is not None and standing.doubt:
        raise Refusal(Reason.RENEWAL_NEEDS_STEP_UP, f"the certificate before it: {standing.doubt}", about=about)
    require_intact(live)
    version = add_version(lock, proven, previous, at=at)
    seal_as_before(live)
    return version
