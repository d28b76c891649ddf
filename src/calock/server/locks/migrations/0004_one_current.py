"""One current certificate per lock and per key. Where two locks hold one key, which no bind should have let in, this stops and says so."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("locks", "0003_seal_certificates")]

    operations = [
        migrations.AddConstraint(
            model_name="lockcertificate",
            constraint=models.UniqueConstraint(
                fields=("lock",), condition=Q(superseded_at__isnull=True), name="one_current_certificate_per_lock"
            ),
        ),
        migrations.AddConstraint(
            model_name="lockcertificate",
            constraint=models.UniqueConstraint(
                fields=("spki_sha256",), condition=Q(superseded_at__isnull=True), name="one_current_certificate_per_key"
            ),
        ),
    ]
