"""Who may open a console page: an operator who proved who they are, by their lock, in the last 15 minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Binding
from calock.server.locks.row_seals import require_intact
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.models import Session
from calock.server.tools import clock
from calock.server.web.http import SiteRequest, require_account

PROOF_LIFE = timedelta(minutes=15)
"""GB/T 22239-2019 clause 8.1.4.1: operators prove themselves again; half of what an ordinary session may idle."""


def gate(request: HttpRequest) -> HttpResponse | None:
    """None for an operator with a fresh proof; a redirect to the proof page for one without.

    Raises:
        Refusal: SESSION_REQUIRED (answered by the login page); NOT_FOUND for all other accounts: for them there is no console;
            OPERATOR_DAMAGED when account or binding was written by somebody else than this server.
    """
    account, session = require_account(cast(SiteRequest, request))
    if account.role == Role.OPERATOR and not account.is_intact():
        raise Refusal(Reason.OPERATOR_DAMAGED, f"account {account.pk} is not the one that was sealed")
    if not account.is_active or not account.is_operator:
        raise Refusal(Reason.NOT_FOUND, "the console is for operators")
    if _is_proved(account, session, clock.now()):
        return None
    return HttpResponseRedirect(confirm_address(_back(request)))


def _back(request: HttpRequest) -> str:
    """The page to show after the proof. What was posted is not kept: the operator sees the page again and decides again."""
    if request.method == "GET":
        return request.get_full_path()
    seen = urlsplit(request.headers.get("Referer", ""))
    console = reverse("admin:index")
    return seen.path + (f"?{seen.query}" if seen.query else "") if seen.path.startswith(console) else console


def _is_proved(account: Account, session: Session, at: datetime) -> bool:
    if not settings.CALOCK.operators_need_lock:
        return at - session.authenticated_at <= PROOF_LIFE
    if session.lock_proved_at is None or at - session.lock_proved_at > PROOF_LIFE:
        return False
    binding = Binding.objects.logging_in().select_related("account").filter(lock=session.proved_lock_id, account=account).first()
    if binding is None:
        return False
    require_intact(binding)
    return True
