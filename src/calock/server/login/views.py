"""``POST /api/login``. The form of the password login is a page of the portal; both call this app's services."""

from __future__ import annotations

import msgspec
from django.http import HttpResponse

from calock.server.login.services import login_with_lock
from calock.server.sessions import cookies
from calock.server.web.api import Message, ProviderCode, call, json_body, reply
from calock.server.web.http import SiteRequest, context_of
from calock.server.web.links import is_local, portal_page
from calock.wire.driver import ReportedDevice
from calock.wire.driver_key import DriverProof


class LoginRequest(Message, frozen=True):
    challenge: str
    token: msgspec.Raw
    device: ReportedDevice | None = None
    driver: DriverProof | None = None
    provider: ProviderCode = ""
    next: str = ""


def landing(request: SiteRequest, wanted: str = "") -> str:
    """Where to go after login: a local path the page asked for, else the site's landing page."""
    return wanted if is_local(wanted) else portal_page(request.site.landing)


@call("POST")
def login(request: SiteRequest) -> HttpResponse:
    body, context = json_body(request, LoginRequest), context_of(request)
    entered = login_with_lock(
        challenge=body.challenge,
        token=bytes(body.token),
        device=body.device,
        driver=body.driver,
        provider=body.provider,
        context=context,
    )
    response = reply({"next": landing(request, body.next)})
    cookies.set_session(response, entered.cookie)
    cookies.remember_browser(response, context.known_browser, entered.session.account_id)
    return response
