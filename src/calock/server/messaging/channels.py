"""The ways to reach a person. One that is not configured is offered on no page, and nothing waits for it."""

from __future__ import annotations

from calock.core.refusals import Reason, Refusal
from calock.server.contacts.values import ContactKind
from calock.server.messaging import mail, sms
from calock.server.messaging.letters import Letter


def is_ready(kind: str) -> bool:
    return mail.is_ready() if kind == ContactKind.MAIL else sms.is_ready()


def ready_kinds() -> list[ContactKind]:
    """Kinds of contacts that messages can be sent to, mail first."""
    return [kind for kind in ContactKind if is_ready(kind)]


def require_ready(kind: str) -> None:
    """Return when messages can be sent to contacts of that kind.

    Raises:
        Refusal: CHANNEL_OFF.
    """
    if kind not in ready_kinds():
        raise Refusal(Reason.CHANNEL_OFF, "not configured")


def send(kind: str, letter: Letter) -> None:
    """Send a letter.

    Raises:
        GiveUpError, RuntimeError: as the channels' ``send``.
    """
    (mail if kind == ContactKind.MAIL else sms).send(letter)
