"""Signed provider bundles: export, import, and the keys whose bundles are believed."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.console.pages.common import operator_and_context, outcome_message, page, refusal_message
from calock.server.providers.bundle import MAX_BYTES, key_id
from calock.server.providers.exchange import (
    export_bundle,
    own_public_key,
    propose_import,
    propose_key,
    retire_key,
    unfit_for_export,
)
from calock.server.providers.models import BundleKey


@require_http_methods(["GET", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        _act(request)
        return HttpResponseRedirect(reverse("admin:bundles"))
    own = own_public_key()
    return page(
        request,
        "console/bundles.html",
        title="互认包",
        keys=BundleKey.objects.order_by("retired", "name"),
        own_key=own.hex(),
        own_key_id=key_id(own),
        unfit=unfit_for_export(),
    )


@require_GET
def export(request: HttpRequest) -> HttpResponse:
    operator, context = operator_and_context(request)
    try:
        data = export_bundle(by=operator, context=context)
    except Refusal as refusal:
        messages.error(request, refusal_message(request, refusal))
        return HttpResponseRedirect(reverse("admin:bundles"))
    name = f"calock-register-{timezone.localtime():%Y%m%d-%H%M%S}.json"
    return HttpResponse(data, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _act(request: HttpRequest) -> None:
    operator, context = operator_and_context(request)
    step, reason = request.POST.get("step", ""), request.POST.get("reason", "")
    done = {
        "import": "已提出导入，等待另一位运营人员复核",
        "pin": "已提出固定公钥，等待另一位运营人员复核",
        "retire": "已停用该公钥",
    }
    with outcome_message(request, done.get(step, "")):
        if step == "import":
            file = request.FILES.get("bundle")
            data = file.read(MAX_BYTES + 1) if file else b""
            propose_import(data=data, reason=reason, by=operator, context=context)
        elif step == "pin":
            name, key = request.POST.get("name", ""), request.POST.get("public_key", "")[:200]
            propose_key(name=name, public_key=key, reason=reason, by=operator, context=context)
        elif step == "retire":
            retire_key(key=_key(request.POST.get("key", "")), by=operator, context=context)
        else:
            raise Refusal(Reason.REQUEST_MALFORMED, "step")


def _key(text: str) -> BundleKey:
    try:
        return BundleKey.objects.get(pk=uuid.UUID(text))
    except (ValueError, BundleKey.DoesNotExist) as error:
        raise Refusal(Reason.NOT_FOUND, "no such key") from error
