"""Rules lost ``emergency_until`` (one moment for a whole provider): an emergency names its CA now, and lasts at most 72 hours.

Stored rules are whole policies, so every row has the key; with it no provider could be used. An emergency that runs ends here.
"""

import hmac
import json

from django.db import migrations

from calock.server.tools.keys import key_for


def _mac(kind, fields):
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


def _provider_mac(row):
    fields = [str(row.pk), row.code, str(row.state), row.sites, row.rules, row.allow_expired_binding, row.version]
    return _mac("provider", fields)


def _macs(apps):
    models = (apps.get_model("providers", name) for name in ("Provider", "CaRecord", "RevocationSource", "BundleKey"))
    return sorted(mac for model in models for mac in model.objects.order_by().values_list("mac", flat=True))


def forget(apps, _editor):
    provider, register = apps.get_model("providers", "Provider"), apps.get_model("providers", "RegisterState")
    state = register.objects.select_for_update().filter(pk=1).first()
    if state is None or state.mac != _mac("register", [state.revision, _macs(apps)]):
        return
    for row in provider.objects.all():
        rules = row.rules.get("revocation") if isinstance(row.rules, dict) else None
        if not isinstance(rules, dict) or "emergency_until" not in rules or row.mac != _provider_mac(row):
            continue
        del rules["emergency_until"]
        provider.objects.filter(pk=row.pk).update(rules=row.rules, mac=_provider_mac(row))
    state.revision += 1
    state.mac = _mac("register", [state.revision, _macs(apps)])
    state.save()


class Migration(migrations.Migration):
    dependencies = [("providers", "0003_sources_under_the_seal")]
    operations = [migrations.RunPython(forget, migrations.RunPython.noop)]
