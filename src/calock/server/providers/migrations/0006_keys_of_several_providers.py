"""One CA key under several providers, each on sites of its own."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("providers", "0005_no_bundles"),)
    operations = (
        migrations.AlterField(
            model_name="carecord",
            name="spki_sha256",
            field=models.CharField(db_index=True, max_length=64, verbose_name="公钥 SHA-256"),
        ),
        migrations.AddConstraint(
            model_name="carecord",
            constraint=models.UniqueConstraint(fields=("provider", "spki_sha256"), name="one_record_per_provider_and_key"),
        ),
    )
