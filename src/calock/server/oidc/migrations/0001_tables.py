import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("oidc", "0001_initial"),
        ("oidc", "0002_sealed"),
    ]

    initial = True

    dependencies = [
        ("grants", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="SpentAssertion",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="Code",
            fields=[
                ("mac", models.CharField(db_default="", default="", editable=False, max_length=64)),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of what is shown", max_length=64, primary_key=True, serialize=False),
                ),
                ("redirect_uri", models.CharField(max_length=500)),
                ("nonce", models.CharField(blank=True, max_length=200)),
                ("code_challenge", models.CharField(max_length=43)),
                ("resource", models.CharField(blank=True, max_length=500)),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("used_at", models.DateTimeField(null=True)),
                ("grant", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="codes", to="grants.grant")),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                ("kid", models.CharField(max_length=43, primary_key=True, serialize=False)),
                ("site", models.CharField(max_length=32)),
                ("alg", models.CharField(max_length=8)),
                (
                    "state",
                    models.CharField(
                        choices=[("next", "Next"), ("current", "Current"), ("previous", "Previous"), ("retired", "Retired")],
                        max_length=10,
                    ),
                ),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField()),
                ("state_since", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "retired"), _negated=True),
                        fields=("site", "alg", "state"),
                        name="one_key_of_each_state",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Token",
            fields=[
                ("mac", models.CharField(db_default="", default="", editable=False, max_length=64)),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of what is shown", max_length=64, primary_key=True, serialize=False),
                ),
                ("kind", models.CharField(choices=[("access", "Access"), ("refresh", "Refresh")], max_length=8)),
                ("scope", models.CharField(max_length=200)),
                ("issued_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("used_at", models.DateTimeField(help_text="of a refresh token: when another took its place", null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("grant", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to="grants.grant")),
                (
                    "parent",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="oidc.token"),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
    ]
