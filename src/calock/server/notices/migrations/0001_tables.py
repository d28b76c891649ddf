import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("notices", "0001_initial"),
        ("notices", "0002_kinds"),
        ("notices", "0003_renewed"),
        ("notices", "0004_claims"),
        ("notices", "0005_retention"),
        ("notices", "0006_alter_notice_kind"),
        ("notices", "0007_password_changed"),
        ("notices", "0008_kinds_in_code"),
        ("notices", "0009_forwarding"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(help_text="a NoticeKind", max_length=40)),
                (
                    "facts",
                    models.JSONField(default=dict, help_text="what the sentence needs: who, which lock, the audit row's number"),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "site",
                    models.CharField(
                        blank=True, db_default="", default="", help_text="where it happened; empty: nowhere", max_length=32
                    ),
                ),
                (
                    "forwarded_at",
                    models.DateTimeField(blank=True, help_text="when messages to the person's contacts were left", null=True),
                ),
                ("dismissed_at", models.DateTimeField(blank=True, help_text="when the person read it", null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="notices", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("dismissed_at__isnull", True)), fields=["account", "created_at"], name="open_notices"
                    ),
                    models.Index(fields=["account", "-created_at"], name="notices_of_account"),
                    models.Index(
                        condition=models.Q(("forwarded_at__isnull", True)), fields=["created_at"], name="notices_to_forward"
                    ),
                    models.Index(
                        condition=models.Q(("dismissed_at__isnull", False)), fields=["dismissed_at"], name="notices_dismissed"
                    ),
                ],
            },
        ),
    ]
