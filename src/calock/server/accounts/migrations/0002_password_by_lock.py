import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [("accounts", "0008_password_by_lock")]

    dependencies = [
        ("accounts", "0001_tables"),
        ("locks", "0001_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="password_by_lock",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="the lock by which the password was chosen: it falls with it",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="locks.lock",
            ),
        ),
    ]
