import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("challenges", "0001_initial"),
        ("challenges", "0002_spent_at"),
    ]

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="SpentChallenge",
            fields=[
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of the challenge text", max_length=64, primary_key=True, serialize=False),
                ),
                (
                    "spent_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        db_index=True,
                        help_text="by the database's clock; rows are swept a day later",
                    ),
                ),
            ],
        ),
    ]
