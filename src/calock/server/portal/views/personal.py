"""个人信息: what the platform keeps about the person who is logged in, and a copy of it."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.portal.personal_data import as_json, as_table, sections_of
from calock.server.portal.render import page
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.services import is_fresh
from calock.server.web import exports
from calock.server.web.http import SiteRequest, context_of, require_account

SHOWN = 10
"""Rows of a section that the page shows; the copy has them all."""


@require_safe
def personal_data(request: SiteRequest) -> HttpResponse:
    account, _session = require_account(request)
    sections = sections_of(account, site=request.site, most=SHOWN, masked=True)
    return page(request, "personal-data", "personal_data", section="system", sections=sections, shown=SHOWN)


@require_safe
def download(request: SiteRequest) -> HttpResponseBase:
    """A copy as a file, for a person who just proved who they are. Query: ``format``, json or xlsx.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    account, session = require_account(request)
    context, kind = context_of(request), request.GET.get("format", "")
    if kind not in ("json", "xlsx"):
        raise Refusal(Reason.REQUEST_MALFORMED, "format")
    if not is_fresh(session, at=context.at):
        return HttpResponseRedirect(confirm_address(reverse("portal:personal_data")))
    record(Event.PERSONAL_DATA_EXPORTED, context=context, actor=account, subject=account.pk, details={"format": kind})
    sections = sections_of(account, site=request.site)
    if kind == "xlsx":
        return exports.file_of(_("个人信息"), kind, as_table(sections))
    response = HttpResponse(as_json(sections), content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="personal-data.json"'
    return response
