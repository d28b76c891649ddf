"""Where a person is reached: a mail address, a mobile number. The value is encrypted; whoever copies the table reaches nobody."""

from __future__ import annotations

import hmac
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q

from calock.server.contacts.values import ContactKind, masked
from calock.server.tools import encryption, seals
from calock.server.tools.keys import Purpose, ring

CODE_DIGITS = 8
CODE_TRIES = 5
"""Guesses at one code: with five codes an hour for an account, about one in 4 million each hour."""
CODES_JUDGED = 5
"""A guess is held against so many, whoever wrote more of them into the database."""

_NONE = uuid.UUID(int=0)
"""No code's id: Django sends no statement about an empty list."""
_BETWEEN = str.maketrans("", "", " -\u3000")


class ContactQuerySet(models.QuerySet["Contact"]):
    def kept(self) -> ContactQuerySet:
        """Not taken away, verified or not."""
        return self.filter(removed_at__isnull=True)

    def verified(self) -> ContactQuerySet:
        """Those that messages go to."""
        return self.kept().filter(verified_at__isnull=False)

    def opening(self) -> ContactQuerySet:
        """Those whose code sets another password: not one in doubt for a lock's sake, till it is verified anew."""
        return self.verified().filter(removed_by_lock__isnull=True)


class Contact(models.Model):
    """One contact of an account. Until a code proved that it is the person's, nothing but that code is sent to it.

    One that was taken away is told so, then its row is deleted; after a month when that was done by a proof with a lock.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="contacts")
    kind = models.CharField(max_length=8, choices=ContactKind.choices)
    sealed = models.BinaryField(help_text="encrypted: read ``value``")
    site = models.CharField(max_length=32, help_text="in whose name messages are sent that belong to no site")
    language = models.CharField(max_length=16)
    added_at = models.DateTimeField()
    by_lock = models.UUIDField(
        null=True, blank=True, help_text="the lock that proved who verified it, or that chose the password that did"
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True, db_index=True)
    removed_by_lock = models.UUIDField(
        null=True,
        blank=True,
        help_text="the lock that the proof of who took it away stands on: it comes back with its loss, and opens nothing then",
    )

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = verbose_name_plural = "联系方式"
        constraints = (
            models.UniqueConstraint(
                fields=("account", "kind"),
                condition=Q(removed_at__isnull=True, verified_at__isnull=False),
                name="one_verified_contact_of_a_kind",
            ),
            models.UniqueConstraint(
                fields=("account", "kind"),
                condition=Q(removed_at__isnull=True, verified_at__isnull=True),
                name="one_unverified_contact_of_a_kind",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    def about(self) -> str:
        """What the value is encrypted together with: in another account's row it does not open."""
        return f"{self.pk} {self.account_id} {self.kind}"

    @property
    def value(self) -> str:
        """The address or number.

        Raises:
            NotOpenedError: changed, of another row, or encrypted under a secret that is not in the ring.
        """
        return encryption.decrypt(bytes(self.sealed), "contacts", self.about()).decode()

    @value.setter
    def value(self, text: str) -> None:
        self.sealed = encryption.encrypt(text.encode(), "contacts", self.about())

    def opens(self) -> bool:
        """Whether the value is one that this server encrypted for this account."""
        try:
            return bool(self.value)
        except encryption.NotOpenedError:
            return False

    @property
    def masked(self) -> str:
        """As pages and the trail show it; a dash when it does not open."""
        return masked(ContactKind(self.kind), self.value) if self.opens() else "-"


class CodePurpose(models.TextChoices):
    VERIFY = "verify", "验证"
    RESET = "reset", "重置密码"


class ContactCodeQuerySet(models.QuerySet["ContactCode"]):
    def open_at(self, at: datetime) -> ContactCodeQuerySet:
        """Those that may still be used."""
        return self.filter(used_at__isnull=True, expires_at__gt=at, tries__lt=CODE_TRIES)

    def right_one(self, typed: str, *, at: datetime) -> ContactCode | None:
        """The newest open one whose digits these are, sealed or not; when none is, a guess at each of them is counted.

        They are held while they are judged: no more guesses are judged than may be, however many come at once. The
        statements are the same whatever is found, so that nobody learns from their time whether there are any.
        """
        with transaction.atomic():
            rows = list(self.open_at(at).select_for_update(of=("self",)).order_by("-created_at")[:CODES_JUDGED])
            right = next((row for row in rows if row.has_digits(typed)), None)
            if right is None:
                self.model.objects.filter(pk__in=[_NONE, *(row.pk for row in rows)]).update(tries=F("tries") + 1)
        return right


class ContactCode(models.Model):
    """A code that was sent to a contact. Its digits stand nowhere: they follow from the row's id and the server's secret.

    It is sealed when it is made, and has no seal once it was used. Who may use it asks
    :func:`calock.server.locks.row_seals.require_believed`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=8, choices=CodePurpose.choices)
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="codes")
    browser = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the cookie of who asked: nobody else's guesses use it up"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    tries = models.PositiveSmallIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    PURPOSE: ClassVar[Purpose] = "codes"
    SEALED = frozenset({"id", "purpose", "contact", "browser", "expires_at"})

    objects = ContactCodeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.purpose} {self.created_at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """It is saved once; guesses and its use are written by themselves."""
        self.mac = self.expected_mac()
        super().save(*args, **kwargs)

    def expected_mac(self) -> str:
        """The seal that fits what the row says now."""
        return seals.mac(self.PURPOSE, self._sealed_content())

    def is_intact(self) -> bool:
        """Whether the row is the one that this server wrote."""
        return seals.fits(self.mac, self.PURPOSE, self._sealed_content())

    def _sealed_content(self) -> bytes:
        until = self.expires_at.astimezone(UTC).isoformat(timespec="microseconds")
        return seals.canonical(["contact code", str(self.pk), self.purpose, str(self.contact_id), self.browser, until])

    @property
    def digits(self) -> str:
        """What the person types."""
        return self._digits()[0]

    def _digits(self) -> list[str]:
        """By each of the server's secrets, the newest one's first."""
        content = seals.canonical([str(self.pk), self.purpose, str(self.contact_id)])
        numbers = (int.from_bytes(hmac.digest(key.octets, content, "sha256")[:8]) for key in ring("codes"))
        return [f"{number % 10**CODE_DIGITS:0{CODE_DIGITS}d}" for number in numbers]

    def has_digits(self, typed: str) -> bool:
        """Whether these are its digits, for whoever counts guesses."""
        plain = typed.translate(_BETWEEN)
        return any(seals.same(plain, digits) for digits in self._digits())

    def is_right(self, typed: str, *, at: datetime) -> bool:
        """Whether these are its digits.

        A guess is counted before it is judged: no more are judged than may be, however many come at once. A right
        one is taken back.
        """
        mine = type(self).objects.filter(pk=self.pk)
        if not mine.open_at(at).update(tries=F("tries") + 1):
            return False
        right = self.has_digits(typed)
        if right:
            mine.update(tries=F("tries") - 1)
        return right

    def use(self, *, at: datetime) -> bool:
        """Use it up: true for one asker, while it is open."""
        return bool(type(self).objects.open_at(at).filter(pk=self.pk).update(used_at=at, mac=""))
