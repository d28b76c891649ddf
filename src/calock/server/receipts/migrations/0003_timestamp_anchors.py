from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("receipts", "0002_timestamps"),
    ]

    operations = [
        migrations.AddField(
            model_name="timestamp",
            name="anchors",
            field=models.BinaryField(
                default=b"", help_text="CA certificates of the authority (PEM) by which it held; those of later days may be others"
            ),
            preserve_default=False,
        ),
    ]
