"""A mail setting that makes no sense stops the start with a sentence that names it."""

from __future__ import annotations

import pytest

from calock.server.process.config import ConfigError, read_config

GOOD = {"CALOCK_MAIL": "smtps://mail.example.cn", "CALOCK_MAIL_FROM": "no-reply@example.cn"}


def set_all(monkeypatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_a_mail_server_is_named_with_what_it_needs(monkeypatch, tmp_path):
    (tmp_path / "password").write_text("geheim\n")
    set_all(monkeypatch, **GOOD, CALOCK_MAIL_USER="u", CALOCK_MAIL_PASSWORD_FILE=str(tmp_path / "password"))
    server = read_config().mail
    assert server is not None
    assert (server.host, server.port, server.tls_at_once, server.starttls) == ("mail.example.cn", 465, True, False)
    assert (server.user, server.password, server.seconds) == ("u", "geheim", 30)
    monkeypatch.setenv("CALOCK_MAIL", "smtp://mail.example.cn")
    server = read_config().mail
    assert server is not None
    assert (server.port, server.tls_at_once, server.starttls) == (587, False, True)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"CALOCK_MAIL": "mail.example.cn"}, "CALOCK_MAIL "),
        ({"CALOCK_MAIL": "http://mail.example.cn"}, "CALOCK_MAIL "),
        ({"CALOCK_MAIL": "smtp://u:p@mail.example.cn"}, "CALOCK_MAIL_USER"),
        ({"CALOCK_MAIL": "smtp://mail.example.cn:99999"}, "CALOCK_MAIL "),
        ({"CALOCK_MAIL_FROM": "平台 <no-reply@example.cn>"}, "CALOCK_MAIL_FROM"),
        ({"CALOCK_MAIL_FROM": ""}, "CALOCK_MAIL_FROM"),
        ({"CALOCK_MAIL_USER": "u"}, "CALOCK_MAIL_PASSWORD_FILE"),
        ({"CALOCK_MAIL_USER": "u", "CALOCK_MAIL_PASSWORD_FILE": "/nowhere"}, "cannot be read"),
        ({"CALOCK_MAIL_SECONDS": "0"}, "CALOCK_MAIL_SECONDS"),
        ({"CALOCK_MAIL": ""}, "no mail server is named"),
        ({"CALOCK_SMS_TOKEN_FILE": "/nowhere"}, "CALOCK_SMS_TOKEN_FILE"),
    ],
)
def test_a_mail_setting_without_sense_stops_the_start(monkeypatch, values, named):
    set_all(monkeypatch, **{**GOOD, **values})
    with pytest.raises(ConfigError, match=named):
        read_config()
