"""Seal the certificates that lie in clear, name keys by what makes them one, note what is known as revoked, mask personal ids."""

import sys

from django.db import migrations

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal
from calock.server.locks.holder import key_identity, stored_lock_ids
from calock.server.locks.sealed import seal, unseal
from calock.core.masking import mask_person_ids

FIELDS = ["sealed_der", "subject_cn"]


def _certificates(apps):
    """Oldest first, one at a time: a cursor over the table that is being changed may show a row twice."""
    rows = apps.get_model("locks", "LockCertificate").objects.select_related("ca_record")
    for pk in list(rows.order_by("created_at").values_list("pk", flat=True)):
        yield rows.get(pk=pk)


def _rename_key(apps, old, new):
    """One key gets its other name; of two locks over one modulus, which no CA should ever issue, the first keeps it."""
    keys = apps.get_model("locks", "LockKey").objects
    row = keys.filter(pk=old).first()
    if row is None or old == new:
        return
    there, made = keys.get_or_create(key_sha256=new, defaults={"lock_id": row.lock_id})
    if not made and there.lock_id != row.lock_id:
        sys.stderr.write(f"locks {there.lock_id} and {row.lock_id} have one RSA modulus: end the binding of one of them\n")
    row.delete()


def forwards(apps, _schema_editor):
    revoked = apps.get_model("locks", "RevokedCertificate").objects
    for row in _certificates(apps):
        der = bytes(row.sealed_der)
        try:
            _rename_key(apps, row.spki_sha256, key_identity(Certificate.parse(der)))
        except Refusal:
            pass  # nothing that could be parsed: its key keeps its name
        if row.revoked_at is not None:
            known = {"revoked_at": row.revoked_at, "learnt_at": row.revoked_at}
            revoked.get_or_create(issuer_key=row.ca_record.spki_sha256, serial=row.serial, defaults=known)
        row.sealed_der, row.subject_cn = seal(der, row.cert_sha256), mask_person_ids(row.subject_cn)
        row.save(update_fields=FIELDS)
    for lock in list(apps.get_model("locks", "Lock").objects.all()):
        if stored_lock_ids(lock.lock_id)[0] != lock.lock_id:
            lock.lock_id = stored_lock_ids(lock.lock_id)[0]
            lock.save(update_fields=["lock_id"])


def backwards(apps, _schema_editor):
    """Open the certificates and name the keys by their SPKI again. What was masked stays masked."""
    for row in _certificates(apps):
        row.sealed_der = unseal(bytes(row.sealed_der), row.cert_sha256)
        row.save(update_fields=["sealed_der"])
        try:
            _rename_key(apps, key_identity(Certificate.parse(row.sealed_der)), row.spki_sha256)
        except Refusal:
            pass


class Migration(migrations.Migration):
    dependencies = [("locks", "0002_revoked_sealed_keys")]

    operations = [migrations.RunPython(forwards, backwards)]
