"""CA 锁到期一览: the locks that an account sees by the day on which they expire, as a page, a file and a calendar."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.calendar_links import account_of, end_link, make_link
from calock.server.accounts.models import Account, CalendarLink, Role
from calock.server.expiry.overview import by_month, ending_in, month_named
from calock.server.locks.models import Binding
from calock.server.portal.binding_query import STATUSES, file_rows, narrowed, ordered
from calock.server.portal.calendar import TYPE, calendar_of
from calock.server.portal.render import page, post_only
from calock.server.portal.rows import rows_of, with_certificates
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.services import is_fresh
from calock.server.web import exports
from calock.server.web.http import SiteRequest, context_of, require_account

PER_PAGE = 20


def _title(account: Account) -> str:
    return _("本单位 CA 锁到期一览") if account.role == Role.ORGANISATION_ADMIN else _("CA 锁到期一览")


@require_safe
def expiry(request: SiteRequest) -> HttpResponseBase:
    """``month`` as 2026-11, ``status``, ``page``; ``export`` csv or xlsx: a file of all. First what expires first."""
    account, _session = require_account(request)
    return _list(request, account)


def _list(request: SiteRequest, account: Account, **context: Any) -> HttpResponseBase:
    now, status = timezone.now(), request.GET.get("status", "")
    month = month_named(request.GET.get("month", ""), now)
    visible = Binding.objects.visible_to(account).live()
    chosen = narrowed(ending_in(visible, month) if month else visible, status, now)
    found = with_certificates(ordered(chosen, "expiry", ended=False))
    if request.GET.get("export") in exports.TYPES:
        rows = rows_of(list(found[: exports.MAX_ROWS]), site=request.site, at=now)
        return exports.file_of(_title(account), request.GET["export"], file_rows(rows))
    pages = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    link = CalendarLink.objects.filter(account=account).first()
    asked = {"month": month.text if month else "", "status": status if status in STATUSES else ""}
    return page(
        request,
        "expiry",
        "expiry",
        section="system",
        title=_title(account),
        rows=rows_of(list(pages), site=request.site, at=now),
        pages=pages,
        months=by_month(visible, now),
        asked=asked,
        statuses=STATUSES.items(),
        query=urlencode({name: value for name, value in asked.items() if value}),
        link=link,
        replaces=_named(link),
        **context,
    )


def _named(link: CalendarLink | None) -> str:
    """Which link a page knew when it was shown."""
    return link.created_at.isoformat() if link else ""


@require_safe
def download(request: SiteRequest) -> HttpResponse:
    """The calendar as a file, for whoever is logged in."""
    account, _session = require_account(request)
    response = _calendar(request, account)
    response["Content-Disposition"] = 'attachment; filename="ca-locks.ics"'
    return response


@require_safe
def subscribed(request: SiteRequest) -> HttpResponse:
    """The calendar for a program that holds the secret address: ``token``, and ``lang`` as the page was that made it.

    Raises:
        Refusal: NOT_FOUND, TOO_MANY_ATTEMPTS.
    """
    account = account_of(request.GET.get("token", "")[:64], context=context_of(request))
    language = request.GET.get("lang", "")
    with translation.override(language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE):
        return _calendar(request, account)


def _calendar(request: SiteRequest, account: Account) -> HttpResponse:
    response = HttpResponse(calendar_of(account, site=request.site, at=timezone.now()), content_type=TYPE)
    response["Cache-Control"] = "private, no-store"
    return response


@post_only("expiry")
def link(request: SiteRequest) -> HttpResponseBase:
    """``step`` make: a new secret address, which only this answer shows; end: none works any more.

    ``replaces`` is the one that the page knew: the form sent again, as by reloading the answer, makes no other. Whoever finds a
    session open should not carry away an address that goes on working: it asks for a proof of the last minutes.
    """
    account, session = require_account(request)
    context, step = context_of(request), request.POST.get("step", "")
    if step == "end":
        end_link(account=account, context=context)
        return HttpResponseRedirect(reverse("portal:expiry") + "#calendar")
    if step != "make":
        raise Refusal(Reason.REQUEST_MALFORMED, "step")
    if request.POST.get("replaces", "") != _named(CalendarLink.objects.filter(account=account).first()):
        return HttpResponseRedirect(reverse("portal:expiry") + "#calendar")
    if not is_fresh(session, at=context.at):
        return HttpResponseRedirect(confirm_address(reverse("portal:expiry")))
    query = urlencode({"token": make_link(account=account, context=context), "lang": translation.get_language() or ""})
    response = _list(request, account, address=f"{request.site_origin}{reverse('portal:calendar')}?{query}")
    response["Cache-Control"] = "no-store"
    return response
