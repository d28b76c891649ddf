"""Locks, the versions of their certificates, and bindings. The database is the referee of 一把 CA 锁只能绑定一个用户."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from calock.server.accounts.models import Account, Role
from calock.server.accounts.sealed_rows import SealedRow, all_sealed
from calock.server.locks.sealed import seal, unseal
from calock.server.providers.models import CaRecord, Provider
from calock.server.tools import seals
from calock.server.tools.keys import Purpose


class Lock(models.Model):
    """One CA lock of one provider: a secret key, and the keys that came after it on the same device (``LockKey``).

    ``lock_id`` is shown to people as CA锁ID; nothing is looked up by it, and two locks may show the same.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="locks")
    lock_id = models.CharField("CA锁ID", max_length=64, db_index=True)
    device = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="id of the device, by the certificate or as the driver reported it; empty: not known. A hint, never a proof",
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return self.lock_id


CURRENT = Q(superseded_at__isnull=True)


def certificate_content(cert_sha256: str, lock: uuid.UUID, key: str, holder: str) -> bytes:
    """What the seal of a lock's certificate covers: whose it is, its key, and the keyed hash of its holder's id."""
    return seals.canonical(["certificate", cert_sha256, str(lock), key, holder])


class LockCertificate(SealedRow):
    """One version of a lock's signing certificate. The newest that is not superseded is the current one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lock = models.ForeignKey(Lock, on_delete=models.PROTECT, related_name="certificates")
    ca_record = models.ForeignKey(CaRecord, on_delete=models.PROTECT, related_name="lock_certificates")
    serial = models.CharField(max_length=42, db_index=True, help_text="unsigned, lower-case hex without leading zeros")
    cert_sha256 = models.CharField(max_length=64, unique=True)
    spki_sha256 = models.CharField(max_length=64, db_index=True)
    holder_hmac = models.CharField(max_length=64, blank=True, db_index=True, help_text="keyed hash of the holder's id")
    holder_masked = models.CharField(max_length=32, blank=True)
    subject_cn = models.CharField(max_length=200, db_index=True, help_text="any 公民身份号码 in it is masked")
    algorithm = models.CharField(max_length=8)
    not_before = models.DateTimeField()
    not_after = models.DateTimeField()
    sealed_der = models.BinaryField(help_text="encrypted: the certificate holds its holder's id in clear; read ``der``")
    current_since = models.DateTimeField(default=timezone.now, help_text="later than created_at when it came back")
    superseded_at = models.DateTimeField(null=True, blank=True)
    supersedes = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by")
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    PURPOSE: ClassVar[Purpose] = "locks"
    SEALED = frozenset({"cert_sha256", "lock", "spki_sha256", "holder_hmac"})

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("ca_record", "serial"), name="one_row_per_issuer_serial"),
            models.UniqueConstraint(fields=("lock",), condition=CURRENT, name="one_current_certificate_per_lock"),
            models.UniqueConstraint(fields=("spki_sha256",), condition=CURRENT, name="one_current_certificate_per_key"),
        )
        indexes = (models.Index(fields=("not_after",), condition=CURRENT & Q(revoked_at__isnull=True), name="what_expires_next"),)

    def __str__(self) -> str:
        return self.subject_cn

    def sealed_content(self) -> bytes:
        return certificate_content(self.cert_sha256, self.lock_id, self.spki_sha256, self.holder_hmac)

    @property
    def der(self) -> bytes:
        """The certificate. Opened anew each time; ``cert_sha256`` must be known before it is set.

        Raises:
            Refusal: CERTIFICATE_UNPARSABLE when it does not open.
        """
        return unseal(bytes(self.sealed_der), self.cert_sha256)

    @der.setter
    def der(self, value: bytes) -> None:
        self.sealed_der = seal(value, self.cert_sha256)


class LockKey(SealedRow):
    """A key names its lock: the database keeps a key from standing under two."""

    key_sha256 = models.CharField(max_length=64, primary_key=True, help_text="of the modulus for RSA, else of the SPKI")
    lock = models.ForeignKey(Lock, on_delete=models.PROTECT, related_name="keys")

    PURPOSE: ClassVar[Purpose] = "locks"
    SEALED = frozenset({"key_sha256", "lock"})

    def __str__(self) -> str:
        return self.key_sha256

    def sealed_content(self) -> bytes:
        return seals.canonical(["key", self.key_sha256, str(self.lock_id)])


class RevokedCertificate(models.Model):
    """A certificate that some source once called revoked, bound here or not. Rows stay: revocation is not taken back."""

    issuer_key = models.CharField(max_length=64, help_text="SPKI SHA-256 of the issuing CA, whatever its record says today")
    serial = models.CharField(max_length=42, help_text="as in LockCertificate")
    revoked_at = models.DateTimeField(null=True, blank=True, help_text="as the source says")
    source = models.CharField(max_length=16, blank=True, help_text="crl, ocsp or stapled; empty: known before sources were kept")
    evidence_sha256 = models.CharField(max_length=64, blank=True)
    learnt_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("issuer_key", "serial"), name="revoked_once"),)

    def __str__(self) -> str:
        return f"{self.issuer_key[:16]} {self.serial}"


class KnownDriver(models.Model):
    """A driver whose answer was accepted for an account, by the fingerprint of its key (``wire.driver_key.verify_proof``)."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="known_drivers")
    key_sha256 = models.CharField(max_length=64)
    site = models.CharField(max_length=32, help_text="a driver has a key for each")
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("account", "key_sha256"), name="a_driver_is_known_once"),)

    def __str__(self) -> str:
        return self.key_sha256[:16]


class BindingQuerySet(models.QuerySet["Binding"]):
    def live(self) -> BindingQuerySet:
        return self.filter(unbound_at__isnull=True)

    def logging_in(self) -> BindingQuerySet:
        """Live ones that wait for nobody's consent and are not reported lost: with these locks one gets in."""
        return self.live().filter(awaits="", suspended_at__isnull=True)

    def visible_to(self, account: Account) -> BindingQuerySet:
        """Bindings of accounts that ``account`` oversees: it reads them, and may end them. Nobody sees another organisation's."""
        return self.filter(account__in=Account.objects.overseen_by(account).values("pk"))

    def certified_as(self, words: str) -> BindingQuerySet:
        """Those with such a name in a certificate that they show."""
        named = LockCertificate.objects.filter(
            Q(superseded_at__isnull=True) | Q(superseded_at__gt=OuterRef("bound_at")),
            lock=OuterRef("lock"), subject_cn__icontains=words,
        )  # fmt: skip
        of_ended = Exists(named.filter(current_since__lt=OuterRef("unbound_at")))
        return self.filter(Q(Exists(named), unbound_at__isnull=True) | Q(of_ended))

    def newest_first(self) -> BindingQuerySet:
        return self.order_by("-bound_at", "id")


class Awaits(models.TextChoices):
    """Whose consent a binding waits for that an administrator made for a member."""

    MEMBER = "member", "待本人确认"
    ADMINISTRATOR = "administrator", "待另一位管理员确认"


class Rank(models.TextChoices):
    """Which of several locks of one account it is, as the people who use them say. It decides nothing."""

    NONE = "", "不区分"
    MAIN = "main", "主锁"
    SPARE = "spare", "备用锁"


class BindingManager(models.Manager["Binding"].from_queryset(BindingQuerySet)):  # type: ignore[misc]
    pass


def binding_content(
    key: uuid.UUID, lock: uuid.UUID, account: uuid.UUID, bound_at: datetime, awaits: str, *, suspended: bool
) -> bytes:
    """What the seal of a live binding covers: whose lock it is since when, and whether it logs in. One that ended has no seal."""
    return seals.canonical([
        "binding", str(key), str(lock), str(account), bound_at.astimezone(UTC).isoformat(timespec="microseconds"),
        f"awaits {awaits}", *(["suspended"] if suspended else []),
    ])  # fmt: skip


class Binding(SealedRow):
    """Lock ↔ account. Ended by 解除绑定, never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lock = models.ForeignKey(Lock, on_delete=models.PROTECT, related_name="bindings")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bindings")
    bound_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bindings_made")
    bound_at = models.DateTimeField(db_index=True)
    site = models.CharField(max_length=32)
    by_lock = models.ForeignKey(
        Lock, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False,
        help_text="another lock, that the proof of who bound it stands on",
    )  # fmt: skip
    unbound_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="bindings_ended"
    )
    unbound_at = models.DateTimeField(null=True, blank=True)
    replaced_by = models.ForeignKey(
        Lock, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False,
        help_text="the lock that took its place, where one did",
    )  # fmt: skip
    reason = models.CharField(max_length=200, blank=True)
    awaits = models.CharField(
        max_length=16,
        blank=True,
        default="",
        db_default="",
        choices=Awaits.choices,
        help_text="whose consent; it logs nobody in till then",
    )
    suspended_at = models.DateTimeField(
        null=True, blank=True, help_text="reported lost (挂失): it logs nobody in till it is resumed"
    )
    suspended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    suspend_reason = models.CharField(max_length=200, blank=True, default="", db_default="")
    resumed_at = models.DateTimeField(null=True, blank=True, help_text="last resumed; sessions from before stay over")
    label = models.CharField(max_length=20, blank=True, default="", db_default="", help_text="what its people call the lock")
    rank = models.CharField(max_length=8, blank=True, default="", db_default="", choices=Rank.choices)

    objects: ClassVar[BindingManager] = BindingManager()
    PURPOSE: ClassVar[Purpose] = "locks"
    SEALED = frozenset({"lock", "account", "bound_at", "awaits", "suspended_at"})

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("lock",), condition=Q(unbound_at__isnull=True), name="one_live_binding_per_lock"),
            models.UniqueConstraint(
                fields=("account",), condition=Q(unbound_at__isnull=True, rank="main"), name="one_main_lock_per_account"
            ),
        )
        indexes = (models.Index(fields=("account", "-bound_at")),)

    def __str__(self) -> str:
        return f"{self.lock_id} ↔ {self.account_id}"

    def sealed_content(self) -> bytes:
        suspended = self.suspended_at is not None
        return binding_content(self.pk, self.lock_id, self.account_id, self.bound_at, self.awaits, suspended=suspended)

    def is_an_operators(self) -> bool:
        return self.account.role == Role.OPERATOR

    def is_intact(self) -> bool:
        """An operator's in either form, always: what was written before all were sealed may be committed after that."""
        return super().is_intact() or (self.is_an_operators() and seals.fits(self.mac, "operators", self._content_before()))

    def expected_mac(self) -> str:
        """An operator's in a database that the version before may still use is sealed as that one does."""
        as_before = not all_sealed() and self.is_an_operators()
        return seals.mac("operators", self._content_before()) if as_before else super().expected_mac()

    def _content_before(self) -> bytes:
        """As the version before sealed the live bindings of operators alone, with the certificates and keys of the lock."""
        certificates = LockCertificate.objects.filter(lock=self.lock_id).order_by("cert_sha256")
        keys = LockKey.objects.filter(lock=self.lock_id).order_by("key_sha256")
        return seals.canonical([
            "binding", str(self.pk), str(self.lock_id), str(self.account_id),
            self.bound_at.astimezone(UTC).isoformat(timespec="microseconds"),
            list(certificates.values_list("cert_sha256", flat=True)), list(keys.values_list("key_sha256", flat=True)),
            *(["suspended"] if self.suspended_at else []),
        ])  # fmt: skip

    @property
    def called(self) -> str:
        """The lock as notices name it: its CA锁ID, and what its people call it."""
        lock_id: str = self.lock.lock_id
        return f"{lock_id}（{self.label}）" if self.label else lock_id

    def shows(self, certificate: LockCertificate) -> bool:
        """Whether it was the lock's current one at some moment of this binding; later holders' certificates are not shown."""
        in_time = self.unbound_at is None or certificate.current_since < self.unbound_at
        return in_time and (certificate.superseded_at is None or certificate.superseded_at > self.bound_at)


class PendingBindingQuerySet(models.QuerySet["PendingBinding"]):
    def visible_to(self, account: Account) -> PendingBindingQuerySet:
        """As ``BindingQuerySet.visible_to``."""
        return self.filter(account__in=Account.objects.overseen_by(account).values("pk"))


class PendingBinding(SealedRow):
    """What a list of another system says: that this account has the lock of this id. A claim, with which nobody logs in.

    The first time that a verified certificate yields the id, or with the person's proof of the account, it becomes a binding; the
    row is gone then.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="pending_bindings")
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="+")
    lock_id = models.CharField(
        "CA锁ID", max_length=64, db_index=True, help_text="as ``Lock.lock_id``, or as ``Lock.device`` where the list has that"
    )
    source = models.CharField("来源", max_length=100, blank=True)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    imported_at = models.DateTimeField("导入时间")

    objects = PendingBindingQuerySet.as_manager()
    PURPOSE: ClassVar[Purpose] = "locks"
    SEALED = frozenset({"account", "provider", "lock_id", "imported_by"})

    class Meta:
        verbose_name = verbose_name_plural = "待激活绑定"
        ordering = ("-imported_at", "id")
        indexes = (models.Index(fields=("-imported_at", "id"), name="newest_claims"),)
        constraints = (models.UniqueConstraint(fields=("provider", "lock_id"), name="one_claim_per_lock_id"),)

    def __str__(self) -> str:
        return f"{self.lock_id} ? {self.account_id}"

    def sealed_content(self) -> bytes:
        by = str(self.imported_by_id or "")
        return seals.canonical(["claim", str(self.pk), str(self.account_id), str(self.provider_id), self.lock_id, by])
