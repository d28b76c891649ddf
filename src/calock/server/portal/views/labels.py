"""备注: what the people who use several locks call one of them, and whether it is their main one."""

from __future__ import annotations

import uuid

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.locks.labels import MAX_LABEL, label_lock
from calock.server.locks.models import Binding
from calock.server.portal.render import page
from calock.server.portal.rows import RANKS, row_of, with_certificates
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account


@require_http_methods(["GET", "HEAD", "POST"])
def label(request: SiteRequest, binding_id: uuid.UUID) -> HttpResponse:
    """GET: the form. POST ``label``, ``rank``.

    Raises:
        Refusal: BINDING_NOT_FOUND for one that this account does not see, or that has ended.
    """
    account, _session = require_account(request)
    found = with_certificates(Binding.objects.visible_to(account).live()).filter(pk=binding_id).first()
    if found is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "none of this account's to name")
    if request.method != "POST":
        return _page(request, found)
    given = {name: request.POST.get(name, "") for name in ("label", "rank")}
    try:
        label_lock(binding=binding_id, **given, by=account, context=context_of(request))
    except Refusal as refusal:
        shown = refusals.for_page(request, refusal)
        if "longest" in refusal.facts:
            shown["refusal"]["message"] = _("备注最多 %(longest)s 个字。") % refusal.facts
        return _page(request, found, **shown, given=given)
    return HttpResponseRedirect(reverse("portal:bindings"))


def _page(request: SiteRequest, found: Binding, *, status: int = 200, **context: object) -> HttpResponse:
    row = row_of(found, site=request.site, at=timezone.now(), number=1)
    shown = {"given": {"label": found.label, "rank": found.rank}, "ranks": RANKS.items(), "longest": MAX_LABEL, **context}
    return page(request, "label", "bindings", section="system", status=status, row=row, **shown)
