"""Text messages by one HTTP gateway. docs/operations.md, "Text messages", has the whole of its protocol.

Its address stands among the egress destinations of the purpose ``sms``, listed by two operators; its token in the file that
``CALOCK_SMS_TOKEN_FILE`` names.
"""

from __future__ import annotations

import json

from django.conf import settings

from calock.server.egress.connections import FetchFailedError
from calock.server.egress.purposes import destinations
from calock.server.egress.services import ask
from calock.server.messaging.letters import Letter
from calock.server.outbox.kinds import GiveUpError

PURPOSE = "sms"
_REFUSED = (400, 422)
"""Statuses by which a gateway says that this message is wrong, and will be tomorrow."""


def is_ready() -> bool:
    """Whether operators listed a gateway."""
    return bool(destinations(PURPOSE))


def send(letter: Letter) -> None:
    """Hand one text message over to the first gateway that is listed.

    Raises:
        GiveUpError: the gateway refuses this message for good.
        RuntimeError: it was not taken now.

    No text has anything in it that the gateway wrote: it may repeat the number, and operators are not to learn it.
    """
    listed = destinations(PURPOSE)
    if not listed:
        raise RuntimeError("no SMS gateway is listed: 出口地址")
    token = settings.CALOCK.sms_token
    body = {"id": letter.id, "to": letter.to, "text": letter.short, "template": letter.template, "values": dict(letter.values)}
    try:
        answer = ask(
            PURPOSE,
            listed[0].url,
            body=json.dumps(body, ensure_ascii=False).encode(),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            statuses=(200, 202),
        )
    except FetchFailedError as error:
        raise (GiveUpError if error.status in _REFUSED else RuntimeError)(str(error)) from None
    _require_accepted(answer)


def _require_accepted(answer: bytes) -> None:
    """Only the word of the protocol counts: a page of somebody's proxy with status 200 has sent nothing."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        said = None
    accepted = said.get("accepted") if isinstance(said, dict) else None
    if accepted is True:
        return
    if accepted is False:
        raise GiveUpError("the gateway refuses it for good; its own log says why")
    raise RuntimeError("the gateway's answer is none of the protocol")
