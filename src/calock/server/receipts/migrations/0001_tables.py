from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("receipts", "0001_initial"),
        ("receipts", "0002_timestamps"),
        ("receipts", "0003_timestamp_anchors"),
        ("receipts", "0004_audit_rows"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Blob",
            fields=[
                ("sha256", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=12)),
                ("data", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Timestamp",
            fields=[
                ("seq", models.PositiveBigIntegerField(help_text="number of the head", primary_key=True, serialize=False)),
                ("at", models.DateTimeField(help_text="as the authority says")),
                ("url", models.URLField(max_length=500)),
                ("response", models.BinaryField(help_text="TimeStampResp (RFC 3161) in DER")),
                (
                    "anchors",
                    models.BinaryField(
                        help_text="CA certificates of the authority (PEM) by which it held; those of later days may be others"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Receipt",
            fields=[
                (
                    "number",
                    models.CharField(
                        help_text="number of the audit row of the act", max_length=26, primary_key=True, serialize=False
                    ),
                ),
                ("purpose", models.CharField(max_length=10)),
                ("account", models.UUIDField(help_text="who acted")),
                ("subject", models.UUIDField(help_text="whose lock it is about, where that is another", null=True)),
                ("lock", models.UUIDField(null=True)),
                ("binding", models.UUIDField(null=True)),
                (
                    "session",
                    models.CharField(blank=True, help_text="digest of the session that was opened, or acted", max_length=64),
                ),
                ("at", models.DateTimeField()),
                (
                    "sealed",
                    models.BinaryField(
                        help_text="record and answer, encrypted: the certificate in the answer holds its holder's 身份证号"
                    ),
                ),
                (
                    "audit_row",
                    models.BinaryField(help_text="the audit row, encrypted, once it is only in archives of the trail", null=True),
                ),
            ],
            options={
                "verbose_name": "存证回执",
                "verbose_name_plural": "存证回执",
                "ordering": ("-at",),
                "indexes": [
                    models.Index(fields=["account", "-at"], name="receipts_of_account"),
                    models.Index(
                        condition=models.Q(("subject__isnull", False)), fields=["subject", "-at"], name="receipts_about_account"
                    ),
                    models.Index(condition=models.Q(("binding__isnull", False)), fields=["binding"], name="receipts_of_binding"),
                ],
            },
        ),
    ]
