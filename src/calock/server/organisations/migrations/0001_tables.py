import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("organisations", "0001_initial"),
        ("organisations", "0002_former_names"),
        ("organisations", "0003_lock_only"),
        ("organisations", "0004_enabled_at"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Organisation",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("supplier", "供应商"),
                            ("purchaser", "采购单位"),
                            ("agency", "采购代理机构"),
                            ("regulator", "财政/监管部门"),
                        ],
                        max_length=16,
                    ),
                ),
                ("name", models.CharField(db_index=True, max_length=200, verbose_name="单位名称")),
                (
                    "uscc",
                    models.CharField(
                        help_text="GB 32100-2015, 18 characters", max_length=18, unique=True, verbose_name="统一社会信用代码"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "正常"), ("disabled", "停用"), ("merged", "已并入其他单位")],
                        default="active",
                        max_length=16,
                    ),
                ),
                (
                    "enabled_at",
                    models.DateTimeField(blank=True, help_text="last time; sessions of before do not count again", null=True),
                ),
                (
                    "lock_only",
                    models.BooleanField(
                        blank=True, help_text="with a bound lock no password login; null: as the site says", null=True
                    ),
                ),
                (
                    "version",
                    models.PositiveIntegerField(
                        db_default=1, default=1, help_text="raised by every change of name, code or merger"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "merged_into",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="absorbed",
                        to="organisations.organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "单位",
                "verbose_name_plural": "单位",
            },
        ),
        migrations.CreateModel(
            name="OrganisationName",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(db_index=True, max_length=200, verbose_name="曾用名")),
                ("uscc", models.CharField(db_index=True, max_length=18, verbose_name="曾用统一社会信用代码")),
                ("since", models.DateTimeField(verbose_name="启用时间")),
                ("until", models.DateTimeField(verbose_name="停用时间")),
                (
                    "organisation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="former_names", to="organisations.organisation"
                    ),
                ),
            ],
            options={
                "verbose_name": "曾用名",
                "verbose_name_plural": "曾用名",
                "ordering": ("-until",),
            },
        ),
        migrations.AddConstraint(
            model_name="organisation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("merged_into__isnull", False), ("state", "merged")),
                    models.Q(models.Q(("state", "merged"), _negated=True), ("merged_into__isnull", True)),
                    _connector="OR",
                ),
                name="merged_into_another",
            ),
        ),
    ]
