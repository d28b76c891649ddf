"""What a lock proved, kept with the act that it was for; and the data that many of them rest on, kept once."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q


class ReceiptQuerySet(models.QuerySet["Receipt"]):
    def of(self, account: uuid.UUID) -> ReceiptQuerySet:
        """Those that are this account's business: its own acts, and what another did to its locks."""
        return self.filter(Q(account=account) | Q(subject=account))


class Receipt(models.Model):
    """One accepted answer. Ids are plain: a receipt outlives what it speaks of, as its audit row does."""

    number = models.CharField(primary_key=True, max_length=26, help_text="number of the audit row of the act")
    purpose = models.CharField(max_length=10)
    account = models.UUIDField(help_text="who acted")
    subject = models.UUIDField(null=True, help_text="whose lock it is about, where that is another")
    lock = models.UUIDField(null=True)
    binding = models.UUIDField(null=True)
    session = models.CharField(max_length=64, blank=True, help_text="digest of the session that was opened, or acted")
    at = models.DateTimeField()
    sealed = models.BinaryField(help_text="record and answer, encrypted: the certificate in the answer holds its holder's 身份证号")
    audit_row = models.BinaryField(null=True, help_text="the audit row, encrypted, once it is only in archives of the trail")

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        ordering = ("-at",)
        indexes = (
            models.Index(fields=("account", "-at"), name="receipts_of_account"),
            models.Index(fields=("subject", "-at"), condition=Q(subject__isnull=False), name="receipts_about_account"),
            models.Index(fields=("binding",), condition=Q(binding__isnull=False), name="receipts_of_binding"),
        )
        verbose_name = verbose_name_plural = "存证回执"

    def __str__(self) -> str:
        return f"{self.number} {self.purpose}"

    def opens_for(self, account: uuid.UUID) -> bool:
        """Whether an account may read it: who acted, and whose own lock signed.

        Another act was signed by the actor's lock, whose certificate is the actor's alone.
        """
        return self.account == account or (self.subject == account and self.purpose == "bind")


class Blob(models.Model):
    """A CA certificate, a provider's rules, a CRL or an OCSP answer: public data that receipts name by its SHA-256."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    kind = models.CharField(max_length=12)
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256}"


class Timestamp(models.Model):
    """An outside authority's word on when a head of the audit trail was there; it covers everything below."""

    seq = models.PositiveBigIntegerField(primary_key=True, help_text="number of the head")
    at = models.DateTimeField(help_text="as the authority says")
    url = models.URLField(max_length=500)
    response = models.BinaryField(help_text="TimeStampResp (RFC 3161) in DER")
    anchors = models.BinaryField(
        help_text="CA certificates of the authority (PEM) by which it held; those of later days may be others"
    )

    def __str__(self) -> str:
        return f"{self.seq}: {self.at:%Y-%m-%d %H:%M:%S}"
