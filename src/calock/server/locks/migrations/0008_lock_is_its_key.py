"""A lock is its key: two locks may show one id, and what denotes the device is kept beside it."""

import re
import sys

from django.db import migrations, models
from django.db.migrations.exceptions import IrreversibleError
from django.db.models import Count, Exists, F, OuterRef

_WITH_KEY = re.compile(r"(.+)-([0-9A-F]{8})")


def keep_devices(apps, _schema_editor):
    """What the id said of the device: a serial stood before the key's first digits, an id of the certificate alone, else the key."""
    locks, certificates = apps.get_model("locks", "Lock").objects, apps.get_model("locks", "LockCertificate").objects
    for lock in locks.only("pk", "lock_id").iterator(chunk_size=1000):
        keys = {key.upper() for key in certificates.filter(lock=lock.pk).values_list("spki_sha256", flat=True)}
        found = _WITH_KEY.fullmatch(lock.lock_id)
        if found and any(key.startswith(found[2]) for key in keys):
            device = found[1]
        else:
            device = "" if any(key.startswith(lock.lock_id) for key in keys) else lock.lock_id
        locks.filter(pk=lock.pk).update(device=device)


def name_the_superseded(apps, _schema_editor):
    """Until now a holder's second lock could take the first one's place unasked, where a CA wrote the holder's number as the lock's id."""
    rows = apps.get_model("locks", "LockCertificate").objects
    successor = rows.filter(supersedes=OuterRef("pk")).exclude(spki_sha256=OuterRef("spki_sha256"))
    count = rows.filter(Exists(successor), superseded_at__lt=F("not_after"), revoked_at=None).count()
    if count:
        words = "certificates were superseded by another key's while they were good; `calock manage superseded_locks` names them"
        sys.stderr.write(f"locks: {count} {words}\n")


def refuse_two_of_one_id(apps, _schema_editor):
    """The version before knows a lock by its id: going back would take one of two locks from its account."""
    locks = apps.get_model("locks", "Lock").objects
    shown = locks.values("provider", "lock_id").annotate(found=Count("pk")).filter(found__gt=1).order_by("lock_id")
    twice = [row["lock_id"] for row in shown[:20]]
    if twice:
        raise IrreversibleError(
            f"several locks show one id ({', '.join(twice)}), and the version before cannot keep both: stay with this version, or restore "
            "the backup from before the upgrade"
        )


class Migration(migrations.Migration):
    dependencies = [("locks", "0007_consent_and_seals")]

    operations = [
        migrations.RemoveConstraint(model_name="lock", name="one_lock_per_provider_id"),
        migrations.AddField(
            model_name="lock",
            name="device",
            field=models.CharField(
                max_length=64,
                blank=True,
                default="",
                db_default="",
                help_text="id of the device, by the certificate or as the driver reported it; empty: not known. A hint, never a proof",
            ),
        ),
        migrations.RunPython(keep_devices, migrations.RunPython.noop, elidable=True),
        migrations.RunPython(name_the_superseded, refuse_two_of_one_id, elidable=True),
    ]
