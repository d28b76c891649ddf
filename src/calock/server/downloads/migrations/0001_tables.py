import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("downloads", "0001_initial"),
        ("downloads", "0002_weekly"),
    ]

    initial = True

    dependencies = [
        ("providers", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="DriverPackage",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("code", models.SlugField(help_text="e.g. shanxi-huren; the same over versions and systems", verbose_name="代码")),
                ("title", models.CharField(help_text="e.g. 山西互认驱动", max_length=100, verbose_name="名称")),
                ("sites", models.JSONField(default=list, help_text="codes of the sites that offer it; none: every site")),
                ("os", models.CharField(help_text="linux, windows, macos", max_length=16, verbose_name="系统")),
                ("arch", models.CharField(help_text="x86_64, arm64", max_length=16, verbose_name="架构")),
                ("version", models.CharField(max_length=32, verbose_name="版本")),
                ("file_name", models.CharField(max_length=150, verbose_name="文件名")),
                ("size", models.PositiveBigIntegerField(verbose_name="大小")),
                ("sha256", models.CharField(max_length=64)),
                ("sm3", models.CharField(max_length=64)),
                (
                    "manifest",
                    models.TextField(
                        help_text="the signed manifest inside the file, exactly as signed: names every file with its SHA-256"
                    ),
                ),
                ("signature", models.TextField(help_text="Base64 of the Ed25519 signature over the manifest")),
                ("changes", models.TextField(blank=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("draft", "草稿"), ("published", "已发布"), ("withdrawn", "已撤回")],
                        default="draft",
                        max_length=16,
                        verbose_name="状态",
                    ),
                ),
                ("released_at", models.DateTimeField(blank=True, null=True, verbose_name="发布时间")),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
                ("withdrawn_reason", models.CharField(blank=True, max_length=200)),
                ("downloads", models.PositiveBigIntegerField(default=0, help_text="complete downloads", verbose_name="下载次数")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("providers", models.ManyToManyField(blank=True, related_name="driver_packages", to="providers.provider")),
            ],
            options={
                "verbose_name": "CA 驱动包",
                "verbose_name_plural": "CA 驱动包",
                "ordering": ("code", "os", "arch", "-released_at"),
            },
        ),
        migrations.CreateModel(
            name="WeeklyDownloads",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("monday", models.DateField(help_text="first day of the week, in the server's time zone")),
                ("count", models.PositiveBigIntegerField(default=0)),
                (
                    "package",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="weeks", to="downloads.driverpackage"
                    ),
                ),
            ],
            options={
                "ordering": ("-monday",),
            },
        ),
        migrations.AddConstraint(
            model_name="driverpackage",
            constraint=models.UniqueConstraint(fields=("code", "os", "arch", "version"), name="one_file_per_code_system_version"),
        ),
        migrations.AddConstraint(
            model_name="weeklydownloads",
            constraint=models.UniqueConstraint(fields=("package", "monday"), name="one_count_a_week"),
        ),
    ]
