from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="contact",
            name="removed_by_lock",
            field=models.UUIDField(
                blank=True,
                help_text="the lock that the proof of who took it away stands on: it comes back when that one was lost",
                null=True,
            ),
        ),
    ]
