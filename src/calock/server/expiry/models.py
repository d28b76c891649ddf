"""Which reminders of an expiring certificate were written: the database sees to it that each is written once."""

from __future__ import annotations

from django.db import models

from calock.server.locks.models import Binding, LockCertificate


class Reminder(models.Model):
    """One reminder to the person who has the lock: for one binding, one certificate and one window before its end.

    Several machines may look for what is due at the same moment; the constraint lets one of them write it.
    """

    binding = models.ForeignKey(Binding, on_delete=models.PROTECT, related_name="reminders")
    certificate = models.ForeignKey(LockCertificate, on_delete=models.PROTECT, related_name="reminders")
    window = models.PositiveSmallIntegerField(help_text="days before the certificate's end; 0: it is over")
    written_at = models.DateTimeField(db_index=True)
    number = models.CharField(max_length=32, help_text="of the audit row")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("binding", "certificate", "window"), name="each_reminder_is_written_once"),)

    def __str__(self) -> str:
        return f"{self.binding_id} {self.window}"
