import django.core.validators
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("egress", "0001_initial"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("purpose", models.CharField(max_length=40, verbose_name="用途")),
                (
                    "url",
                    models.URLField(
                        max_length=500,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^https?://[!-~]+\\Z", "须以 http:// 或 https:// 开头，且只含 ASCII 字符"
                            )
                        ],
                        verbose_name="地址",
                    ),
                ),
                ("private_network", models.BooleanField(default=False, verbose_name="内网地址")),
                ("added_at", models.DateTimeField(verbose_name="添加时间")),
                ("mac", models.CharField(editable=False, max_length=64)),
            ],
            options={
                "verbose_name": "出口地址",
                "verbose_name_plural": "出口地址",
                "ordering": ("purpose", "added_at"),
                "constraints": [models.UniqueConstraint(fields=("purpose", "url"), name="one_row_per_destination")],
            },
        ),
    ]
