from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("locks", "0003_binding_replaced_by"),
    ]

    operations = [
        migrations.AddField(
            model_name="pendingbinding",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="lockcertificate",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="lockkey",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]
