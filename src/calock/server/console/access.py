"""Who may open a console page: an operator who proved who they are in the last 15 minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from calock.core.refusals import Reason, Refusal
from calock.server.web.http import SiteRequest, require_account

PROOF_LIFE = timedelta(minutes=15)
"""GB/T 22239-2019 clause 8.1.4.1: operators prove themselves again; half of what an ordinary session may idle."""


def gate(request: HttpRequest) -> HttpResponse | None:
    """None for an operator with a fresh proof; a redirect to the proof page for one without.

    Raises:
        Refusal: SESSION_REQUIRED (answered by the login page), NOT_FOUND for all other accounts: for them there is no
            console.
    """
    site_request = cast(SiteRequest, request)
    account, session = require_account(site_request)
    if not account.is_active or not account.is_operator:
        raise Refusal(Reason.NOT_FOUND, "the console is for operators")
    if timezone.now() - session.authenticated_at <= PROOF_LIFE:
        return None
    confirm = reverse("admin:confirm")
    if request.path_info == confirm:
        return None
    # what was posted is not kept: after the proof the operator sees the page again and decides again
    back = request.get_full_path() if request.method == "GET" else request.headers.get("Referer", "")
    return HttpResponseRedirect(f"{confirm}?{urlencode({'next': back})}")
