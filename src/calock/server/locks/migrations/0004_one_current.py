"""One current certificate per lock and per key. Where two locks hold one key, the binding of the later one ends."""

import sys

from django.db import migrations, models
from django.db.models import Count, Q
from django.utils import timezone

REASON = "同一密钥已属于另一把 CA 锁，升级时解除"


def _doubled(current, field):
    """The rows of each value that stands more than once, the oldest first."""
    for value in current.values_list(field, flat=True).annotate(times=Count("pk")).filter(times__gt=1).order_by():
        yield list(current.filter(**{field: value}).order_by("created_at").values_list("pk", "lock_id"))


def settle(apps, _schema_editor):
    """Two binds of one key at the same moment could both go through: the first has the key, as it would have today."""
    certificates, now = apps.get_model("locks", "LockCertificate").objects, timezone.now()
    current = certificates.filter(superseded_at__isnull=True)
    for rows in list(_doubled(current, "lock_id")):
        certificates.filter(pk__in=[pk for pk, _ in rows[:-1]]).update(superseded_at=now)
    bindings = apps.get_model("locks", "Binding").objects.filter(unbound_at__isnull=True)
    for rows in list(_doubled(current, "spki_sha256")):
        for pk, lock in rows[1:]:
            certificates.filter(pk=pk).update(superseded_at=now)
            if bindings.filter(lock_id=lock).update(unbound_at=now, reason=REASON):
                sys.stderr.write(f"lock {lock} has the key of lock {rows[0][1]}: its binding is ended\n")


class Migration(migrations.Migration):
    dependencies = [("locks", "0003_seal_certificates")]

    operations = [
        migrations.RunPython(settle, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="lockcertificate",
            constraint=models.UniqueConstraint(
                fields=("lock",), condition=Q(superseded_at__isnull=True), name="one_current_certificate_per_lock"
            ),
        ),
        migrations.AddConstraint(
            model_name="lockcertificate",
            constraint=models.UniqueConstraint(
                fields=("spki_sha256",), condition=Q(superseded_at__isnull=True), name="one_current_certificate_per_key"
            ),
        ),
    ]
