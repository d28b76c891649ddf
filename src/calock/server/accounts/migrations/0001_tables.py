import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("accounts", "0001_initial"),
        ("accounts", "0002_password_codes"),
        ("accounts", "0003_operators_under_seal"),
        ("accounts", "0004_password_tries"),
        ("accounts", "0005_external_id"),
        ("accounts", "0006_erased"),
        ("accounts", "0007_longer_password"),
        ("accounts", "0009_calendarlink"),
        ("accounts", "0010_enabled_at"),
    ]

    initial = True

    dependencies = [
        ("organisations", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("username", models.CharField(max_length=64, unique=True, verbose_name="账户")),
                ("name", models.CharField(db_index=True, max_length=64, verbose_name="姓名")),
                (
                    "password",
                    models.CharField(
                        help_text="longer than Django's own: a fast digest of another system inside Argon2", max_length=255
                    ),
                ),
                (
                    "external_id",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="what the system it was imported from calls it",
                        max_length=64,
                        verbose_name="外部编号",
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("member", "普通成员"), ("organisation_admin", "机构管理员"), ("operator", "平台运营")],
                        default="member",
                        max_length=24,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "正常"), ("disabled", "停用"), ("erased", "已注销")], default="active", max_length=16
                    ),
                ),
                (
                    "enabled_at",
                    models.DateTimeField(blank=True, help_text="last time; sessions of before do not count again", null=True),
                ),
                ("must_change_password", models.BooleanField(default=False)),
                ("password_changed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "lock_only",
                    models.BooleanField(
                        blank=True, help_text="no password login once a lock is bound; null: as organisation or site say", null=True
                    ),
                ),
                (
                    "lock_enrolment_until",
                    models.DateTimeField(
                        blank=True, help_text="until then an operator may bind a first lock with the password", null=True
                    ),
                ),
                (
                    "mac",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
                ),
                (
                    "password_reset_at",
                    models.DateTimeField(blank=True, help_text="when somebody else last had it chosen anew", null=True),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "organisation",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="members",
                        to="organisations.organisation",
                    ),
                ),
            ],
            options={
                "verbose_name": "账户",
                "verbose_name_plural": "账户",
                "indexes": [
                    models.Index(fields=["role", "username"], name="accounts_ac_role_ad5424_idx"),
                    models.Index(fields=["state", "username"], name="accounts_ac_state_12152f_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("external_id", ""), _negated=True),
                        fields=("external_id",),
                        name="one_account_per_external_id",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PasswordCode",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="password_codes", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("used_at__isnull", True)), fields=("account",), name="one_open_code_per_account"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PasswordTries",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("until", models.DateTimeField(db_index=True, help_text="when they are forgotten")),
                ("told", models.BooleanField(default=False, help_text="the trail says that the count is full")),
            ],
        ),
        migrations.CreateModel(
            name="CalendarLink",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="calendar_link",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField()),
            ],
        ),
    ]
