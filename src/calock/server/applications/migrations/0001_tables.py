import calock.server.applications.models
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("applications", "0001_initial"),
        ("applications", "0002_own_addresses"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Application",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("client_id", models.CharField(max_length=50, unique=True, verbose_name="应用标识")),
                ("site", models.CharField(max_length=32, verbose_name="站点")),
                ("name", models.CharField(max_length=100, verbose_name="名称")),
                (
                    "state",
                    models.CharField(
                        choices=[("enabled", "启用"), ("suspended", "停用")], default="enabled", max_length=16, verbose_name="状态"
                    ),
                ),
                ("content", models.JSONField(default=dict, help_text="calock.server.applications.wishes.Wish")),
                (
                    "salt",
                    models.CharField(
                        default=calock.server.applications.models.new_salt,
                        editable=False,
                        help_text="of its own names for people (pairwise sub)",
                        max_length=64,
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1, editable=False)),
                ("created_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("mac", models.CharField(editable=False, max_length=64)),
            ],
            options={
                "verbose_name": "应用",
                "verbose_name_plural": "应用",
                "ordering": ("site", "name"),
            },
        ),
        migrations.CreateModel(
            name="OwnAddress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("site", models.CharField(max_length=32)),
                ("field", models.CharField(help_text="cas_services or gate_urls", max_length=20)),
                ("address", models.CharField(help_text="without its last slash", max_length=500)),
                (
                    "application",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="own_addresses", to="applications.application"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("site", "field", "address"), name="one_application_for_an_address")
                ],
            },
        ),
    ]
