"""Mail over SMTP by Django's back end, to the server that the owner of this one named (``CALOCK_MAIL``): it listens where it may.

Django bounds each step alone, and a server that speaks an octet now and then takes hours; here one deadline holds for a whole mail.
"""

from __future__ import annotations

import smtplib
import time
from email.utils import formataddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from calock.server.contacts.values import ContactKind, masked
from calock.server.messaging.letters import Letter
from calock.server.outbox.kinds import GiveUpError
from calock.server.tools.bounded import Bounded

STEP = 10.0
"""Seconds that one step may take."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds for the next step.

        Raises:
            TimeoutError: there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self._seconds:g} s")
        return min(left, STEP)


def _patient(base: type[smtplib.SMTP], deadline: Deadline) -> type[smtplib.SMTP]:
    """One of smtplib's two clients, with its answers read under the deadline; sending has a time-out for all of it already."""

    def getreply(self: Any) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = Bounded(self.sock, deadline).makefile("rb")
        return base.getreply(self)

    return type("Patient", (base,), {"getreply": getreply})


class Backend(EmailBackend):
    """Django's, with one deadline."""

    def __init__(self, deadline: Deadline, **named: Any) -> None:
        super().__init__(timeout=deadline.left(), **named)
        self._deadline = deadline

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _patient(smtplib.SMTP_SSL if self.use_ssl else smtplib.SMTP, self._deadline)


def is_ready() -> bool:
    """Whether a mail server is named."""
    return settings.CALOCK.mail is not None


def send(letter: Letter) -> None:
    """Hand one mail over.

    Raises:
        GiveUpError: the server refuses this mail for good.
        RuntimeError: it was not taken now. No text has the address in it.
    """
    server = settings.CALOCK.mail
    if server is None:
        raise RuntimeError("no mail server is named: CALOCK_MAIL")
    backend = Backend(
        Deadline(server.seconds),
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.starttls,
        use_ssl=server.tls_at_once,
    )
    mail = EmailMessage(
        letter.subject,
        "\n\n".join(letter.paragraphs) + "\n",
        formataddr((letter.sender, server.sender)),
        [letter.to],
        headers={"Message-ID": f"<{letter.id}@{server.sender.rpartition('@')[2]}>", "Auto-Submitted": "auto-generated"},  # RFC 3834
    )
    try:
        taken = backend.send_messages([mail])
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        raise _refused(code, text, letter, for_good=True) from None
    except smtplib.SMTPDataError as error:
        raise _refused(error.smtp_code, error.smtp_error, letter, for_good=True) from None
    except smtplib.SMTPResponseException as error:  # greeting, login, sender: the owner's to mend, and mended mail goes out
        raise _refused(error.smtp_code, error.smtp_error, letter, for_good=False) from None
    except (OSError, ValueError) as error:  # SMTPException is an OSError; ValueError: an answer that is none
        raise RuntimeError(_without_address(f"{type(error).__name__}: {error}", letter)) from None
    if not taken:
        raise RuntimeError("the mail server took nothing")


def _refused(code: int, text: bytes | str, letter: Letter, *, for_good: bool) -> RuntimeError:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    said = _without_address(f"the mail server answered {code} {shown}", letter)
    return GiveUpError(said) if for_good and 500 <= code < 600 else RuntimeError(said)


def _without_address(text: str, letter: Letter) -> str:
    """Servers repeat the address; operators who see the outbox are not to learn it."""
    return text.replace(letter.to, masked(ContactKind.MAIL, letter.to))
