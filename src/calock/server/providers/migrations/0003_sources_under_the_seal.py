"""Seal the register anew: CA records have a use and dates now, and the addresses of revocation data come under the seal.

What was intact is sealed as it is. What was not is left exactly as damaged as it was: nothing is put right in passing.
"""

import hashlib
import hmac
import json

from django.db import migrations

from calock.server.tools.keys import key_for


def _mac(kind, fields):
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


def _record_fields(row, new):
    digest = hashlib.sha256(bytes(row.certificate)).hexdigest()
    fields = [str(row.pk), str(row.provider_id), row.group, row.anchor]
    fields += [row.crl_signer] if new else []
    fields += [row.spki_sha256, digest, str(row.state)]
    fields += ["", "", ""] if new else []  # the dates: nobody noted them before
    return [*fields, row.version]


def _macs(models):
    return sorted(mac for model in models for mac in model.objects.order_by().values_list("mac", flat=True))


def reseal(apps, _editor):
    get = apps.get_model
    provider, record, key, source, register = (
        get("providers", name) for name in ("Provider", "CaRecord", "BundleKey", "RevocationSource", "RegisterState")
    )
    state = register.objects.select_for_update().filter(pk=1).first()
    if state is None or state.mac != _mac("register", [state.revision, _macs((provider, record, key))]):
        return
    for row in record.objects.all():
        if row.mac == _mac("ca", _record_fields(row, new=False)):
            record.objects.filter(pk=row.pk).update(mac=_mac("ca", _record_fields(row, new=True)))
    state.revision += 1
    state.mac = _mac("register", [state.revision, _macs((provider, record, source, key))])
    state.save()


class Migration(migrations.Migration):
    dependencies = [("providers", "0002_use_dates_and_texts")]
    operations = [migrations.RunPython(reseal, migrations.RunPython.noop)]
