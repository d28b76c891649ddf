"""Seal proposals anew: their words and the moment they were made come under the seal.

What was intact is sealed as it is. What was not is left exactly as damaged as it was.
"""

import hashlib
import hmac
import json
from datetime import UTC

from django.db import migrations

from calock.server.tools.keys import key_for


def _mac(row, *more):
    fields = [str(row.pk), row.kind, row.target, row.target_version, row.payload, row.reason, str(row.proposed_by_id), *more]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hmac.new(key_for("approval"), text.encode(), hashlib.sha256).hexdigest()


def reseal(apps, _editor):
    approvals = apps.get_model("approvals", "Approval").objects
    for row in approvals.all():
        if hmac.compare_digest(row.mac.encode(), _mac(row).encode()):
            proposed = row.proposed_at.astimezone(UTC).isoformat(timespec="microseconds")
            approvals.filter(pk=row.pk).update(mac=_mac(row, row.summary, proposed))


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial")]
    operations = [migrations.RunPython(reseal, migrations.RunPython.noop)]
