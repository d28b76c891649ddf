"""``calock manage register``: check, list, install, and sealing again after the secret key was changed."""

from __future__ import annotations

import hashlib

import pytest
from django.core.management import CommandError, call_command

from calock.server.audit.models import AuditEvent
from calock.server.providers.models import CaRecord, Provider, ProviderState
from calock.server.providers.trust import check_at_start, current_register, forget_register

pytestmark = pytest.mark.django_db


def test_check_is_silent_about_a_good_register_and_exits_1_on_a_bad_one(world, capsys):
    call_command("register", "check")
    CaRecord.objects.filter(pk=world.anchor.pk).update(group="x")
    with pytest.raises(SystemExit) as exited:
        call_command("register", "check")
    assert exited.value.code == 1
    assert "lianxi: ca_tampered" in capsys.readouterr().err


def test_list_names_every_key(world, capsys):
    call_command("register", "list")
    shown = capsys.readouterr().out
    for record in (world.anchor, world.intermediate):
        assert record.spki_sha256 in shown
        assert hashlib.sha256(record.certificate).hexdigest() not in shown  # the key is what counts


def test_install_takes_known_vendors_only(db):
    call_command("register", "install", "shanxi-huren", "bjca")
    assert {provider.state for provider in Provider.objects.all()} == {ProviderState.SUSPENDED}
    for code in ("nosuch", "../shanxi-huren", ""):
        with pytest.raises(CommandError):
            call_command("register", "install", code)
    assert AuditEvent.objects.filter(event="provider:created", actor=None).count() == 2


def test_after_a_change_of_the_secret_key_the_rows_are_sealed_again_on_purpose_only(world, settings):
    fingerprint = current_register().fingerprint
    settings.SECRET_KEY = "the next secret key of this server, long enough"
    forget_register()
    with pytest.raises(RuntimeError, match="register_damaged"):
        check_at_start()
    with pytest.raises(CommandError):
        call_command("register", "reseal")
    call_command("register", "reseal", "--yes-the-list-is-right")
    check_at_start()
    assert current_register().fingerprint == fingerprint
    assert AuditEvent.objects.filter(event="provider:register:resealed").count() == 1
