import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("locks", "0001_initial"),
        ("locks", "0002_revoked_sealed_keys"),
        ("locks", "0003_seal_certificates"),
        ("locks", "0004_one_current"),
        ("locks", "0005_superseded_twice"),
        ("locks", "0006_current_since"),
        ("locks", "0007_consent_and_seals"),
        ("locks", "0008_lock_is_its_key"),
        ("locks", "0009_claims"),
        ("locks", "0010_suspension"),
        ("locks", "0011_known_drivers"),
        ("locks", "0012_binding_label_binding_rank_and_more"),
    ]

    initial = True

    dependencies = [
        ("providers", "0001_tables"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Lock",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("lock_id", models.CharField(db_index=True, max_length=64, verbose_name="CA锁ID")),
                (
                    "device",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="id of the device, by the certificate or as the driver reported it; empty: not known. A hint, never a proof",
                        max_length=64,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                (
                    "provider",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="locks", to="providers.provider"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LockKey",
            fields=[
                (
                    "key_sha256",
                    models.CharField(
                        help_text="of the modulus for RSA, else of the SPKI", max_length=64, primary_key=True, serialize=False
                    ),
                ),
                ("lock", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="locks.lock")),
            ],
        ),
        migrations.CreateModel(
            name="RevokedCertificate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "issuer_key",
                    models.CharField(help_text="SPKI SHA-256 of the issuing CA, whatever its record says today", max_length=64),
                ),
                ("serial", models.CharField(help_text="as in LockCertificate", max_length=42)),
                ("revoked_at", models.DateTimeField(blank=True, help_text="as the source says", null=True)),
                (
                    "source",
                    models.CharField(
                        blank=True, help_text="crl, ocsp or stapled; empty: known before sources were kept", max_length=16
                    ),
                ),
                ("evidence_sha256", models.CharField(blank=True, max_length=64)),
                ("learnt_at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("issuer_key", "serial"), name="revoked_once")],
            },
        ),
        migrations.CreateModel(
            name="KnownDriver",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key_sha256", models.CharField(max_length=64)),
                ("site", models.CharField(help_text="a driver has a key for each", max_length=32)),
                ("first_seen_at", models.DateTimeField()),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="known_drivers", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("account", "key_sha256"), name="a_driver_is_known_once")],
            },
        ),
        migrations.CreateModel(
            name="Binding",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("bound_at", models.DateTimeField(db_index=True)),
                ("site", models.CharField(max_length=32)),
                ("unbound_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, max_length=200)),
                (
                    "awaits",
                    models.CharField(
                        blank=True,
                        choices=[("member", "待本人确认"), ("administrator", "待另一位管理员确认")],
                        db_default="",
                        default="",
                        help_text="whose consent; it logs nobody in till then",
                        max_length=16,
                    ),
                ),
                (
                    "suspended_at",
                    models.DateTimeField(
                        blank=True, help_text="reported lost (挂失): it logs nobody in till it is resumed", null=True
                    ),
                ),
                ("suspend_reason", models.CharField(blank=True, db_default="", default="", max_length=200)),
                (
                    "resumed_at",
                    models.DateTimeField(blank=True, help_text="last resumed; sessions from before stay over", null=True),
                ),
                (
                    "mac",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        max_length=64,
                    ),
                ),
                (
                    "label",
                    models.CharField(
                        blank=True, db_default="", default="", help_text="what its people call the lock", max_length=20
                    ),
                ),
                (
                    "rank",
                    models.CharField(
                        blank=True,
                        choices=[("", "不区分"), ("main", "主锁"), ("spare", "备用锁")],
                        db_default="",
                        default="",
                        max_length=8,
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="bindings", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "bound_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="bindings_made", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "suspended_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "unbound_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bindings_ended",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("lock", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="bindings", to="locks.lock")),
            ],
            options={
                "indexes": [models.Index(fields=["account", "-bound_at"], name="locks_bindi_account_200148_idx")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("unbound_at__isnull", True)), fields=("lock",), name="one_live_binding_per_lock"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("rank", "main"), ("unbound_at__isnull", True)),
                        fields=("account",),
                        name="one_main_lock_per_account",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LockCertificate",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "serial",
                    models.CharField(db_index=True, help_text="unsigned, lower-case hex without leading zeros", max_length=42),
                ),
                ("cert_sha256", models.CharField(max_length=64, unique=True)),
                ("spki_sha256", models.CharField(db_index=True, max_length=64)),
                (
                    "holder_hmac",
                    models.CharField(blank=True, db_index=True, help_text="keyed hash of the holder's id", max_length=64),
                ),
                ("holder_masked", models.CharField(blank=True, max_length=32)),
                ("subject_cn", models.CharField(db_index=True, help_text="any 公民身份号码 in it is masked", max_length=200)),
                ("algorithm", models.CharField(max_length=8)),
                ("not_before", models.DateTimeField()),
                ("not_after", models.DateTimeField()),
                (
                    "sealed_der",
                    models.BinaryField(help_text="encrypted: the certificate holds its holder's id in clear; read ``der``"),
                ),
                (
                    "current_since",
                    models.DateTimeField(default=django.utils.timezone.now, help_text="later than created_at when it came back"),
                ),
                ("superseded_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "ca_record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="lock_certificates", to="providers.carecord"
                    ),
                ),
                (
                    "lock",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="certificates", to="locks.lock"),
                ),
                (
                    "supersedes",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="superseded_by",
                        to="locks.lockcertificate",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("superseded_at__isnull", True), ("revoked_at__isnull", True)),
                        fields=["not_after"],
                        name="what_expires_next",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("ca_record", "serial"), name="one_row_per_issuer_serial"),
                    models.UniqueConstraint(
                        condition=models.Q(("superseded_at__isnull", True)),
                        fields=("lock",),
                        name="one_current_certificate_per_lock",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("superseded_at__isnull", True)),
                        fields=("spki_sha256",),
                        name="one_current_certificate_per_key",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PendingBinding",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "lock_id",
                    models.CharField(
                        db_index=True,
                        help_text="as ``Lock.lock_id``, or as ``Lock.device`` where the list has that",
                        max_length=64,
                        verbose_name="CA锁ID",
                    ),
                ),
                ("source", models.CharField(blank=True, max_length=100, verbose_name="来源")),
                ("imported_at", models.DateTimeField(verbose_name="导入时间")),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="pending_bindings", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "imported_by",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="providers.provider"),
                ),
            ],
            options={
                "verbose_name": "待激活绑定",
                "verbose_name_plural": "待激活绑定",
                "ordering": ("-imported_at", "id"),
                "indexes": [models.Index(fields=["-imported_at", "id"], name="newest_claims")],
                "constraints": [models.UniqueConstraint(fields=("provider", "lock_id"), name="one_claim_per_lock_id")],
            },
        ),
    ]
