import calock.server.imports.columns
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("imports", "0001_initial"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ImportRun",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            (calock.server.imports.columns.ImportKind["ORGANISATIONS"], "单位"),
                            (calock.server.imports.columns.ImportKind["ACCOUNTS"], "账户"),
                            (calock.server.imports.columns.ImportKind["BINDINGS"], "绑定"),
                        ],
                        max_length=16,
                        verbose_name="内容",
                    ),
                ),
                ("name", models.CharField(max_length=100, verbose_name="文件")),
                ("sha256", models.CharField(max_length=64)),
                ("lines", models.PositiveIntegerField(verbose_name="行数")),
                ("checked", models.JSONField(default=dict, help_text="how many lines would be new, changed, same, error")),
                ("written", models.JSONField(default=dict, help_text="how many were")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("checking", "预检中"),
                            ("checked", "已预检，待提出"),
                            ("proposed", "待复核"),
                            ("running", "导入中"),
                            ("done", "已完成"),
                            ("discarded", "已删除"),
                        ],
                        default="checking",
                        max_length=16,
                        verbose_name="状态",
                    ),
                ),
                ("uploaded_at", models.DateTimeField(db_index=True, verbose_name="上传时间")),
                ("finished_at", models.DateTimeField(null=True, verbose_name="完成时间")),
                (
                    "approved_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="上传人",
                    ),
                ),
            ],
            options={
                "verbose_name": "数据导入",
                "verbose_name_plural": "数据导入",
                "ordering": ("-uploaded_at",),
            },
        ),
        migrations.CreateModel(
            name="ImportPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                ("sealed_lines", models.BinaryField(help_text="empty once it is written or discarded")),
                ("sealed_check", models.BinaryField(null=True)),
                ("sealed_result", models.BinaryField(null=True)),
                (
                    "run",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="parts", to="imports.importrun"),
                ),
            ],
            options={
                "ordering": ("number",),
                "constraints": [models.UniqueConstraint(fields=("run", "number"), name="one_part_per_number")],
            },
        ),
    ]
