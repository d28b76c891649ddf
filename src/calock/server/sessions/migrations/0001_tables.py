import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("calock_sessions", "0001_initial"),
        ("calock_sessions", "0002_initial"),
        ("calock_sessions", "0003_proofs"),
        ("calock_sessions", "0004_sealed"),
        ("calock_sessions", "0005_token"),
    ]

    initial = True

    dependencies = [
        ("locks", "0001_tables"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Session",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                (
                    "token",
                    models.CharField(
                        editable=False, help_text="null until a later proof gave another cookie", max_length=64, null=True
                    ),
                ),
                ("site", models.CharField(max_length=32)),
                ("method", models.CharField(choices=[("password", "账号密码"), ("ca", "CA 锁")], max_length=16)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("authenticated_at", models.DateTimeField(help_text="the newer of the two proofs below")),
                ("password_proved_at", models.DateTimeField(blank=True, help_text="last proof by password", null=True)),
                ("lock_proved_at", models.DateTimeField(blank=True, help_text="last proof by a lock of the account", null=True)),
                ("mac", models.CharField(blank=True, db_default="", default="", editable=False, max_length=64)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("end_reason", models.CharField(blank=True, max_length=40)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sessions", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "lock",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="sessions", to="locks.lock"
                    ),
                ),
                (
                    "proved_lock",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="that lock",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="locks.lock",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["account", "-created_at"], name="calock_sess_account_60222f_idx")],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("token__isnull", False)), fields=("token",), name="one_token")
                ],
            },
        ),
    ]
