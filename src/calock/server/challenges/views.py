"""``POST /api/challenge``."""

from __future__ import annotations

import uuid

from django.http import HttpResponse
from django.utils import timezone

from calock.core.challenge import Purpose
from calock.server.challenges.services import Aim, issue_challenge
from calock.server.sessions import cookies
from calock.server.web.api import Message, ProviderCode, call, json_body, reply
from calock.server.web.http import SiteRequest, context_of, require_account


class ChallengeRequest(Message, frozen=True):
    purpose: Purpose
    member: uuid.UUID | None = None
    provider: ProviderCode = ""
    binding: uuid.UUID | None = None


@call("POST")
def challenge(request: SiteRequest) -> HttpResponse:
    """A challenge for this browser (login) or this session (everything else); no row is written."""
    body = json_body(request, ChallengeRequest)
    new_browser = ""
    if body.purpose == Purpose.LOGIN:
        if not cookies.pre_login_value(request):
            new_browser = cookies.new_value()
            request.COOKIES[cookies.pre_login_cookie()] = new_browser
        aim = Aim(Purpose.LOGIN)
    else:
        account, _ = require_account(request)
        member = (body.member or account.pk) if body.purpose == Purpose.BIND else None
        aim = Aim(
            body.purpose,
            member=member,
            provider=body.provider if body.purpose == Purpose.BIND else "",
            binding=body.binding if body.purpose in (Purpose.UNBIND, Purpose.RESUME) else None,
        )
    made = issue_challenge(aim=aim, context=context_of(request))
    response = reply(
        {
            "challenge": made.text,
            "statement": made.statement,
            "expiresAt": made.expires_at,
            "serverTime": timezone.now(),
        }
    )
    if new_browser:
        cookies.set_pre_login(response, new_browser)
    return response
