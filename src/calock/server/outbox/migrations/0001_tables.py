import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("outbox", "0001_initial"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        help_text="receivers tell repetitions by it",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("key", models.CharField(help_text="what it is about; no second one is open for the same", max_length=200)),
                ("body", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(help_text="not before; while somebody sends it, when another may try")),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("last_error", models.CharField(blank=True, max_length=300)),
                ("done_at", models.DateTimeField(blank=True, null=True)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "待发消息",
                "verbose_name_plural": "待发消息",
                "indexes": [
                    models.Index(
                        condition=models.Q(("done_at__isnull", True), ("failed_at__isnull", True)),
                        fields=["kind", "due_at"],
                        name="messages_due",
                    ),
                    models.Index(condition=models.Q(("failed_at__isnull", False)), fields=["-failed_at"], name="messages_failed"),
                    models.Index(condition=models.Q(("done_at__isnull", False)), fields=["done_at"], name="messages_done"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("done_at__isnull", True), ("failed_at__isnull", True)),
                        fields=("kind", "key"),
                        name="one_open_message_per_key",
                    )
                ],
            },
        ),
    ]
