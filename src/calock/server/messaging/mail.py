"""Mail over SMTP by Django's back end, to the server that the owner of this one named (``CALOCK_MAIL``): it listens where it may.

Django bounds each step alone, and a server that speaks an octet now and then takes hours; here one deadline holds for a whole mail.
"""

from __future__ import annotations

import re
import smtplib
from contextlib import suppress
from email.utils import formataddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from calock.server.messaging.letters import Letter
from calock.server.outbox.kinds import GiveUpError
from calock.server.tools.bounded import Bounded, Deadline

MOST_OCTETS = 64 * 1024
"""Of all answers to one mail, before TLS and again after: some hundred times as long as they are."""
_ENHANCED = re.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
"""An enhanced status code (RFC 3463 clause 2)."""


def _patient(base: type[smtplib.SMTP], deadline: Deadline) -> type[smtplib.SMTP]:
    """One of smtplib's two clients, with bounded answers under the deadline; sending has a time-out for all of it already."""

    def getreply(self: Any) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = Bounded(self.sock, deadline, most=MOST_OCTETS).makefile("rb")
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

    def close(self) -> None:
        """Say good-bye. The mail was taken before, or was not: what is answered now changes nothing."""
        with suppress(OSError, ValueError):
            super().close()


def is_ready() -> bool:
    """Whether a mail server is named."""
    return settings.CALOCK.mail is not None


def send(letter: Letter) -> None:
    """Hand one mail over.

    Raises:
        GiveUpError: the server refuses this mail for good.
        RuntimeError: it was not taken now.

    No text has anything in it that the server wrote: servers repeat the address, and operators are not to learn it.
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
        raise _refused(code, text, for_good=True) from None
    except smtplib.SMTPDataError as error:
        raise _refused(error.smtp_code, error.smtp_error, for_good=True) from None
    except smtplib.SMTPResponseException as error:  # greeting, login, sender: the owner's to mend, and mended mail goes out
        raise _refused(error.smtp_code, error.smtp_error, for_good=False) from None
    except OSError as error:  # SMTPException is one; the words are smtplib's and the system's
        raise RuntimeError(f"{type(error).__name__}: {error}") from None
    except ValueError as error:  # an answer that is none, and is quoted
        raise RuntimeError(type(error).__name__) from None
    if not taken:
        raise RuntimeError("the mail server took nothing")


def _refused(code: int, text: bytes | str, *, for_good: bool) -> RuntimeError:
    enhanced = _ENHANCED.match(text if isinstance(text, bytes) else text.encode())
    said = f"the mail server answered {code} {enhanced[0].decode() if enhanced else ''}".rstrip()
    return GiveUpError(said) if for_good and 500 <= code < 600 else RuntimeError(said)
