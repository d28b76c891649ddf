"""Bundles of other servers are not taken over any more: the keys that signed them leave the register, proposals about them end.

A register that was intact is sealed anew without the keys; a damaged one stays exactly as damaged as it was.
"""

import hmac
import json
import sys

from django.db import migrations
from django.db.models import F
from django.utils import timezone

from calock.server.tools.keys import key_for

NOTE = "本版本不再导入互认包，升级时撤销"


def _mac(kind, fields):
    text = json.dumps([kind, *fields], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key_for("register"), text.encode(), "sha256").hexdigest()


def _macs(apps, *names):
    models = (apps.get_model("providers", name) for name in names)
    return sorted(mac for model in models for mac in model.objects.order_by().values_list("mac", flat=True))


def seal_without_keys(apps, _editor):
    kept = ("Provider", "CaRecord", "RevocationSource")
    state = apps.get_model("providers", "RegisterState").objects.select_for_update().filter(pk=1).first()
    if state is None or state.mac != _mac("register", [state.revision, _macs(apps, *kept, "BundleKey")]):
        return
    state.revision += 1
    state.mac = _mac("register", [state.revision, _macs(apps, *kept)])
    state.save()


def end_proposals(apps, _editor):
    waiting = apps.get_model("approvals", "Approval").objects.filter(kind__in=("bundle.import", "bundle.pin"), state="pending")
    ended = waiting.update(state="cancelled", decided_at=timezone.now(), note=NOTE, version=F("version") + 1)
    if ended:
        sys.stderr.write(f"{ended} proposals about bundles of other servers are ended: this version takes none over\n")


class Migration(migrations.Migration):
    dependencies = [("providers", "0004_emergencies_have_an_end"), ("approvals", "0002_seal_words_and_time")]
    operations = [
        migrations.RunPython(seal_without_keys, migrations.RunPython.noop),
        migrations.RunPython(end_proposals, migrations.RunPython.noop),
        migrations.DeleteModel("BundleKey"),
    ]
