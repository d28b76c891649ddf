"""Since when a certificate is its lock's current one. So far none came back: since its row was made."""

import django.utils.timezone
from django.db import migrations, models
from django.db.models import F


def since_created(apps, _schema_editor):
    apps.get_model("locks", "LockCertificate").objects.update(current_since=F("created_at"))


class Migration(migrations.Migration):
    dependencies = [("locks", "0005_superseded_twice")]

    operations = [
        migrations.AddField(
            model_name="lockcertificate",
            name="current_since",
            field=models.DateTimeField(default=django.utils.timezone.now, help_text="later than created_at when it came back"),
        ),
        migrations.RunPython(since_created, migrations.RunPython.noop),
    ]
