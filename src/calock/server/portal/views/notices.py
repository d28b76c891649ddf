"""消息中心: every notice of the person, read or not, and marking them as read."""

from __future__ import annotations

import uuid

from django.core.paginator import Paginator
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.contacts.models import Contact
from calock.server.locks.password_rules import may_dismiss
from calock.server.notices import services
from calock.server.notices.models import Notice
from calock.server.notices.words import words_of
from calock.server.portal.render import page, post_only
from calock.server.web.http import SiteRequest, require_account
from calock.server.web.links import is_local

PER_PAGE = 20


@require_safe
def notices(request: SiteRequest) -> HttpResponse:
    """Query: ``unread`` for those alone, ``page``."""
    account, session = require_account(request)
    unread = "unread" in request.GET
    found = Notice.objects.known().filter(account=account).order_by("-created_at", "pk")
    pages = Paginator(found.filter(dismissed_at__isnull=True) if unread else found, PER_PAGE).get_page(request.GET.get("page"))
    return page(
        request,
        "notices",
        "notices",
        section="system",
        rows=[(row, words_of(row)) for row in pages],
        pages=pages,
        unread=unread,
        hides=may_dismiss(session),
        contacts=Contact.objects.verified().filter(account=account).exists(),
    )


@post_only("notices")
def dismiss(request: SiteRequest, key: uuid.UUID) -> HttpResponse:
    """Hide the banner and show the page it stood on again.

    Raises:
        Refusal: NOT_FOUND for another account's notice; PASSWORD_RESET_LATELY: whoever had the password reset would otherwise hide
            that from the account's person, who sees it with their lock.
    """
    account, session = require_account(request)
    if not may_dismiss(session):
        raise Refusal(Reason.PASSWORD_RESET_LATELY, "a notice is hidden by who proved the lock")
    services.dismiss(notice=key, by=account.pk, at=timezone.now())
    back = request.POST.get("back", "")
    return HttpResponseRedirect(back if is_local(back) else reverse("portal:notices"))


@post_only("notices")
def read_all(request: SiteRequest) -> HttpResponse:
    """Mark all of them as read.

    Raises:
        Refusal: PASSWORD_RESET_LATELY, as for one.
    """
    account, session = require_account(request)
    if not may_dismiss(session):
        raise Refusal(Reason.PASSWORD_RESET_LATELY, "a notice is hidden by who proved the lock")
    services.dismiss_all(by=account.pk, at=timezone.now())
    return HttpResponseRedirect(reverse("portal:notices"))
