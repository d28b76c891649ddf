from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("audit", "0001_initial"),
        ("audit", "0002_by_address"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditSeal",
            fields=[
                ("seq", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("first_id", models.PositiveBigIntegerField()),
                ("last_id", models.PositiveBigIntegerField()),
                (
                    "leaves",
                    models.BinaryField(
                        help_text="for each row its id (8 octets) and its leaf hash (32): names the row that changed"
                    ),
                ),
                ("head", models.TextField(help_text="the signed head, one line of JSON")),
                ("sealed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("seq",),
            },
        ),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("number", models.CharField(help_text="what a user reads to the hotline", max_length=26, unique=True)),
                ("at", models.DateTimeField(db_index=True)),
                ("event", models.CharField(db_index=True, max_length=64)),
                ("reason", models.CharField(blank=True, db_index=True, max_length=48)),
                ("site", models.CharField(blank=True, max_length=32)),
                ("actor", models.UUIDField(db_index=True, null=True)),
                ("subject", models.UUIDField(db_index=True, null=True)),
                ("organisation", models.UUIDField(db_index=True, null=True)),
                ("lock", models.UUIDField(db_index=True, null=True)),
                ("provider", models.CharField(blank=True, max_length=50)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("details", models.JSONField(default=dict)),
                ("mac", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name": "审计记录",
                "verbose_name_plural": "审计记录",
                "ordering": ("-id",),
                "indexes": [models.Index(fields=["ip", "-id"], name="audit_by_address")],
            },
        ),
    ]
