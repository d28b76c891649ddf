from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("challenges", "0001_initial")]

    operations = [
        migrations.RemoveField("spentchallenge", "expires_at"),
        migrations.AddField(
            "spentchallenge",
            "spent_at",
            models.DateTimeField(db_default=Now(), db_index=True, help_text="by the database's clock; rows are swept a day later"),
        ),
    ]
