"""A lock is its key: two locks may show one id, and what denotes the device is kept beside it."""

import re

from django.db import migrations, models

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
    ]
