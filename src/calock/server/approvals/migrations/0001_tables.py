import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("approvals", "0001_initial"),
        ("approvals", "0002_seal_words_and_time"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=40, verbose_name="事项")),
                ("target", models.CharField(db_index=True, help_text="id of what it is about", max_length=64)),
                ("target_version", models.PositiveIntegerField(default=0, help_text="version of the target that the proposer saw")),
                ("summary", models.CharField(max_length=300, verbose_name="内容")),
                ("payload", models.JSONField(default=dict)),
                ("reason", models.CharField(max_length=200, verbose_name="理由")),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "待复核"), ("approved", "已通过"), ("rejected", "已驳回"), ("cancelled", "已撤销")],
                        default="pending",
                        max_length=16,
                        verbose_name="状态",
                    ),
                ),
                ("version", models.PositiveIntegerField(default=1)),
                ("proposed_at", models.DateTimeField(verbose_name="提出时间")),
                ("decided_at", models.DateTimeField(blank=True, null=True, verbose_name="复核时间")),
                ("note", models.CharField(blank=True, max_length=200, verbose_name="复核意见")),
                ("mac", models.CharField(editable=False, max_length=64)),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="approvals_decided",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="复核人",
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="approvals_proposed",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="提出人",
                    ),
                ),
            ],
            options={
                "verbose_name": "双人复核",
                "verbose_name_plural": "双人复核",
                "ordering": ("-proposed_at",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "approved"), _negated=True),
                            models.Q(
                                ("decided_by__isnull", False), models.Q(("decided_by", models.F("proposed_by")), _negated=True)
                            ),
                            _connector="OR",
                        ),
                        name="two_people_approve",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "pending")), fields=("kind", "target"), name="one_open_approval_per_target"
                    ),
                ],
            },
        ),
    ]
