from django.db import migrations, models


class Migration(migrations.Migration):
    """Tries of passwords have a table of their own.

    The two columns that held them stay in the database, unused: the version before asks for them, and both serve one database
    during an upgrade. A migration of a later version drops them.
    """

    dependencies = [
        ("accounts", "0003_operators_under_seal"),
    ]

    operations = [
        migrations.CreateModel(
            name="PasswordTries",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("until", models.DateTimeField(db_index=True, help_text="when they are forgotten")),
                ("told", models.BooleanField(default=False, help_text="the trail says that the count is full")),
            ],
        ),
        migrations.AlterField("account", "failed_passwords", models.PositiveIntegerField(default=0, db_default=0)),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveField(model_name="account", name="failed_passwords"),
                migrations.RemoveField(model_name="account", name="password_locked_until"),
            ]
        ),
    ]
