import django.core.validators
import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("providers", "0001_initial"),
        ("providers", "0002_use_dates_and_texts"),
        ("providers", "0003_sources_under_the_seal"),
        ("providers", "0004_emergencies_have_an_end"),
        ("providers", "0005_no_bundles"),
        ("providers", "0006_keys_of_several_providers"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Provider",
            fields=[
                ("mac", models.CharField(editable=False, max_length=64)),
                (
                    "version",
                    models.PositiveIntegerField(
                        default=1, editable=False, help_text="raised by every change; a form shows the one it changes"
                    ),
                ),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "code",
                    models.SlugField(
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[a-z0-9][a-z0-9-]{0,49}\\Z", "只能使用小写字母、数字和连字符，并以字母或数字开头"
                            )
                        ],
                        verbose_name="代码",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="列表中显示的名称，如：山西CA互认平台",
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[^\\x00-\\x1f\\x7f\\ud800-\\udfff]*\\Z", "不能含有换行等控制字符"
                            )
                        ],
                        verbose_name="CA 服务商",
                    ),
                ),
                (
                    "short_name",
                    models.CharField(
                        help_text="选择框中显示的名称，如：山西 CA",
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[^\\x00-\\x1f\\x7f\\ud800-\\udfff]*\\Z", "不能含有换行等控制字符"
                            )
                        ],
                        verbose_name="简称",
                    ),
                ),
                (
                    "legal_name",
                    models.CharField(
                        blank=True,
                        max_length=200,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[^\\x00-\\x1f\\x7f\\ud800-\\udfff]*\\Z", "不能含有换行等控制字符"
                            )
                        ],
                        verbose_name="法人名称",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("enabled", "启用"), ("suspended", "暂停")], default="enabled", max_length=16, verbose_name="状态"
                    ),
                ),
                (
                    "sites",
                    models.JSONField(default=list, help_text="codes of the sites that recognise it", verbose_name="认可的站点"),
                ),
                (
                    "rules",
                    models.JSONField(
                        default=dict,
                        help_text="calock.core.policy.Policy as JSON: algorithms, EKU, identity rules, freshness",
                        verbose_name="规则",
                    ),
                ),
                (
                    "hotline",
                    models.CharField(
                        blank=True,
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[^\\x00-\\x1f\\x7f\\ud800-\\udfff]*\\Z", "不能含有换行等控制字符"
                            )
                        ],
                        verbose_name="服务热线",
                    ),
                ),
                (
                    "website",
                    models.URLField(
                        blank=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^https?://[!-~]+\\Z", "须以 http:// 或 https:// 开头，且只含 ASCII 字符"
                            )
                        ],
                        verbose_name="网站",
                    ),
                ),
                (
                    "renew_url",
                    models.URLField(
                        blank=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^https?://[!-~]+\\Z", "须以 http:// 或 https:// 开头，且只含 ASCII 字符"
                            )
                        ],
                        verbose_name="续期网址",
                    ),
                ),
                (
                    "unlock_url",
                    models.URLField(
                        blank=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^https?://[!-~]+\\Z", "须以 http:// 或 https:// 开头，且只含 ASCII 字符"
                            )
                        ],
                        verbose_name="解锁网址",
                    ),
                ),
                ("allow_expired_binding", models.BooleanField(default=False, verbose_name="允许绑定已过期证书")),
                (
                    "order",
                    models.PositiveIntegerField(
                        default=100, validators=[django.core.validators.MaxValueValidator(100000)], verbose_name="显示次序"
                    ),
                ),
            ],
            options={
                "verbose_name": "CA 服务商",
                "verbose_name_plural": "CA 服务商",
                "ordering": ("order", "code"),
            },
        ),
        migrations.CreateModel(
            name="CaRecord",
            fields=[
                ("mac", models.CharField(editable=False, max_length=64)),
                (
                    "version",
                    models.PositiveIntegerField(
                        default=1, editable=False, help_text="raised by every change; a form shows the one it changes"
                    ),
                ),
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "group",
                    models.CharField(
                        help_text="CA group: records of one CA over its key roll-overs",
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[^\\x00-\\x1f\\x7f\\ud800-\\udfff]*\\Z", "不能含有换行等控制字符"
                            )
                        ],
                        verbose_name="CA 组",
                    ),
                ),
                ("anchor", models.BooleanField(default=False, verbose_name="信任锚")),
                (
                    "crl_signer",
                    models.BooleanField(
                        default=False,
                        help_text="a key certified for CRLs alone: never an anchor, never an issuer of locks",
                        verbose_name="仅签发 CRL",
                    ),
                ),
                ("spki_sha256", models.CharField(db_index=True, max_length=64, verbose_name="公钥 SHA-256")),
                ("certificate", models.BinaryField()),
                ("subject", models.CharField(max_length=500, verbose_name="主题")),
                (
                    "state",
                    models.CharField(
                        choices=[("pending", "待确认"), ("recognised", "已互认"), ("suspended", "暂停"), ("withdrawn", "已撤回")],
                        default="pending",
                        max_length=16,
                        verbose_name="状态",
                    ),
                ),
                ("not_before", models.DateTimeField(verbose_name="生效时间")),
                ("not_after", models.DateTimeField(verbose_name="到期时间")),
                ("recognised_at", models.DateTimeField(blank=True, null=True, verbose_name="互认时间")),
                ("suspended_at", models.DateTimeField(blank=True, null=True, verbose_name="暂停时间")),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True, verbose_name="撤回时间")),
                ("changed_at", models.DateTimeField(auto_now=True, verbose_name="变更时间")),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="ca_records",
                        to="providers.provider",
                        verbose_name="CA 服务商",
                    ),
                ),
            ],
            options={
                "verbose_name": "CA 证书",
                "verbose_name_plural": "CA 证书",
            },
        ),
        migrations.CreateModel(
            name="RegisterState",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ("revision", models.PositiveBigIntegerField(default=0)),
                ("mac", models.CharField(max_length=64)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_register")],
            },
        ),
        migrations.CreateModel(
            name="RevocationSource",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("mac", models.CharField(editable=False, max_length=64)),
                ("kind", models.CharField(choices=[("crl", "CRL"), ("ocsp", "OCSP")], max_length=8, verbose_name="类型")),
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
                (
                    "private_network",
                    models.BooleanField(
                        default=False, help_text="the operator says that this host is in a private range", verbose_name="内网地址"
                    ),
                ),
                ("last_fetched_at", models.DateTimeField(blank=True, null=True, verbose_name="最近获取")),
                ("last_ok_at", models.DateTimeField(blank=True, null=True, verbose_name="最近成功")),
                ("last_error", models.CharField(blank=True, max_length=300, verbose_name="最近错误")),
                ("this_update", models.DateTimeField(blank=True, null=True)),
                ("next_update", models.DateTimeField(blank=True, null=True, verbose_name="下次更新")),
                ("crl_number", models.CharField(blank=True, max_length=64)),
                ("sha256", models.CharField(blank=True, max_length=64)),
                (
                    "ca_record",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="revocation_sources",
                        to="providers.carecord",
                        verbose_name="CA 证书",
                    ),
                ),
            ],
            options={
                "verbose_name": "吊销信息来源",
                "verbose_name_plural": "吊销信息来源",
            },
        ),
        migrations.AddConstraint(
            model_name="carecord",
            constraint=models.CheckConstraint(
                condition=models.Q(("anchor", True), ("crl_signer", True), _negated=True), name="a_crl_signer_is_no_anchor"
            ),
        ),
        migrations.AddConstraint(
            model_name="carecord",
            constraint=models.UniqueConstraint(fields=("provider", "spki_sha256"), name="one_record_per_provider_and_key"),
        ),
        migrations.AddConstraint(
            model_name="revocationsource",
            constraint=models.UniqueConstraint(fields=("ca_record", "kind", "url"), name="one_row_per_source"),
        ),
    ]
