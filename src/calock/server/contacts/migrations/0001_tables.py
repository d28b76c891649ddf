import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("contacts", "0001_initial"),
        ("contacts", "0002_removed_by_lock"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Contact",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("mail", "邮箱"), ("phone", "手机号")], max_length=8)),
                ("sealed", models.BinaryField(help_text="encrypted: read ``value``")),
                ("site", models.CharField(help_text="in whose name messages are sent that belong to no site", max_length=32)),
                ("language", models.CharField(max_length=16)),
                ("added_at", models.DateTimeField()),
                (
                    "by_lock",
                    models.UUIDField(
                        blank=True, help_text="the lock that proved who verified it, or that chose the password that did", null=True
                    ),
                ),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                ("removed_at", models.DateTimeField(blank=True, db_index=True, null=True)),
                (
                    "removed_by_lock",
                    models.UUIDField(
                        blank=True,
                        help_text="the lock that the proof of who took it away stands on: it comes back with its loss, and opens nothing then",
                        null=True,
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="contacts", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "联系方式",
                "verbose_name_plural": "联系方式",
            },
        ),
        migrations.CreateModel(
            name="ContactCode",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("purpose", models.CharField(choices=[("verify", "验证"), ("reset", "重置密码")], max_length=8)),
                (
                    "browser",
                    models.CharField(
                        blank=True, help_text="SHA-256 of the cookie of who asked: nobody else's guesses use it up", max_length=64
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "contact",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="codes", to="contacts.contact"),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at__isnull", True), ("verified_at__isnull", False)),
                fields=("account", "kind"),
                name="one_verified_contact_of_a_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="contact",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at__isnull", True), ("verified_at__isnull", True)),
                fields=("account", "kind"),
                name="one_unverified_contact_of_a_kind",
            ),
        ),
    ]
