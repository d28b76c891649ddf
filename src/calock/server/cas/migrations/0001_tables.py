import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("cas", "0001_initial"),
        ("cas", "0002_sealed"),
    ]

    initial = True

    dependencies = [
        ("grants", "0001_tables"),
    ]

    operations = [
        migrations.CreateModel(
            name="ServiceTicket",
            fields=[
                ("mac", models.CharField(db_default="", default="", editable=False, max_length=64)),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of what is shown", max_length=64, primary_key=True, serialize=False),
                ),
                ("ticket", models.CharField(max_length=64)),
                ("service", models.CharField(max_length=1000)),
                ("renewed", models.BooleanField(help_text="the person proved themselves for this very ticket")),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("used_at", models.DateTimeField(null=True)),
                (
                    "grant",
                    models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name="ticket", to="grants.grant"),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
    ]
