from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("contacts", "0001_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="contactcode",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]
