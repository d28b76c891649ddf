"""Room for what 0003 fills: revoked certificates, sealed certificates, and keys by what makes them one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("locks", "0001_initial")]

    operations = [
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
                        blank=True,
                        help_text="crl, ocsp or stapled; empty: known before sources were kept",
                        max_length=16,
                    ),
                ),
                ("evidence_sha256", models.CharField(blank=True, max_length=64)),
                ("learnt_at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint(
            model_name="revokedcertificate",
            constraint=models.UniqueConstraint(fields=("issuer_key", "serial"), name="revoked_once"),
        ),
        migrations.RenameField("lockcertificate", "der", "sealed_der"),
        migrations.AlterField(
            model_name="lockcertificate",
            name="sealed_der",
            field=models.BinaryField(help_text="encrypted: the certificate holds its holder's id in clear; read ``der``"),
        ),
        migrations.AlterField(
            model_name="lockcertificate",
            name="subject_cn",
            field=models.CharField(help_text="any 公民身份号码 in it is masked", max_length=200),
        ),
        migrations.RenameField("lockkey", "spki_sha256", "key_sha256"),
        migrations.AlterField(
            model_name="lockkey",
            name="key_sha256",
            field=models.CharField(
                help_text="of the modulus for RSA, else of the SPKI", max_length=64, primary_key=True, serialize=False
            ),
        ),
    ]
