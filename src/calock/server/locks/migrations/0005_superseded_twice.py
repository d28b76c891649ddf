"""A certificate that came back, for a new binding, may be superseded once more."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("locks", "0004_one_current")]

    operations = [
        migrations.AlterField(
            model_name="lockcertificate",
            name="supersedes",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="superseded_by",
                to="locks.lockcertificate",
            ),
        ),
    ]
