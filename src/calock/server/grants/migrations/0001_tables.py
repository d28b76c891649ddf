import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("grants", "0001_initial"),
        ("grants", "0002_sealed"),
    ]

    initial = True

    dependencies = [
        ("applications", "0001_tables"),
        ("calock_sessions", "0001_tables"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PendingRequest",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("protocol", models.CharField(max_length=8)),
                ("parameters", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(db_index=True)),
                (
                    "application",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="applications.application"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Grant",
            fields=[
                ("mac", models.CharField(db_default="", default="", editable=False, max_length=64)),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("protocol", models.CharField(max_length=8)),
                ("issuer", models.CharField(help_text="origin of the site on which the person is logged in", max_length=300)),
                ("scope", models.CharField(blank=True, max_length=200)),
                ("acr", models.CharField(max_length=64)),
                ("amr", models.JSONField(default=list)),
                ("auth_time", models.DateTimeField(help_text="newest proof of that level")),
                ("created_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="grants", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="grants", to="applications.application"
                    ),
                ),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="grants", to="calock_sessions.session"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["session", "application"], name="grant_by_session")],
            },
        ),
    ]
