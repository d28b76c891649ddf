"""What is sent to contacts, and for what this server talks to an SMS gateway. Each kind of message has a lane of its own."""

from __future__ import annotations

from datetime import timedelta

from calock.server.contacts.values import ContactKind
from calock.server.egress.purposes import Purpose, register_purpose
from calock.server.messaging import sms
from calock.server.messaging.recovery import send_reset
from calock.server.messaging.sending import send_code, send_notice
from calock.server.outbox.kinds import Kind, register_kind

_SOON = (timedelta(seconds=5), timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=3), timedelta(minutes=5))
"""Waits between tries of a code: its life is short."""
_CHANNELS = ((ContactKind.MAIL, "邮件"), (ContactKind.PHONE, "短信"))


def register() -> None:
    """Called once at start-up."""
    register_purpose(Purpose(sms.PURPOSE, "短信网关"))
    for kind, title in _CHANNELS:
        register_kind(Kind(f"notice-{kind}", f"{title}：提醒", send_notice))
        register_kind(Kind(f"code-{kind}", f"{title}：联系方式验证码", send_code, _SOON))
        register_kind(Kind(f"reset-{kind}", f"{title}：重置密码", send_reset, _SOON))
