import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("expiry", "0001_initial"),
    ]

    initial = True

    dependencies = [
        ("locks", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="Reminder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("window", models.PositiveSmallIntegerField(help_text="days before the certificate's end; 0: it is over")),
                ("written_at", models.DateTimeField(db_index=True)),
                ("number", models.CharField(help_text="of the audit row", max_length=32)),
                (
                    "binding",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="reminders", to="locks.binding"),
                ),
                (
                    "certificate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="reminders", to="locks.lockcertificate"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("binding", "certificate", "window"), name="each_reminder_is_written_once")
                ],
            },
        ),
    ]
