import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("gate", "0001_initial"),
        ("gate", "0002_sealed"),
    ]

    initial = True

    dependencies = [
        ("grants", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pass",
            fields=[
                ("mac", models.CharField(db_default="", default="", editable=False, max_length=64)),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of what is shown", max_length=64, primary_key=True, serialize=False),
                ),
                (
                    "grant",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name="gate_pass", to="grants.grant"),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
    ]
