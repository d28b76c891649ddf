"""Pages of the provider register: the list, one provider with its CA certificates and sources, and its changes."""

from __future__ import annotations

import uuid
from datetime import datetime
from functools import partial
from typing import IO, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from calock.core.refusals import Refusal
from calock.server.approvals.models import Approval
from calock.server.console.forms import LinksForm, ProviderForm, TrustForm, VendorForm
from calock.server.console.pages.common import asked_by, form_page, page, refusal_message, take
from calock.server.console.pages.dashboard import provider_row
from calock.server.console.register_steps import step_of, take_step
from calock.server.console.rule_words import RULE_WORDS
from calock.server.console.statistics import ProviderCount, by_provider
from calock.server.console.trust_notices import server_notices, source_state
from calock.server.providers.emergencies import CHOICES
from calock.server.providers.links import propose_links
from calock.server.providers.models import CaRecord, CaState, Provider, Role
from calock.server.providers.services import create_provider, edit_provider, propose_trust
from calock.server.providers.trust import current_problems
from calock.server.providers.vendors import propose_vendor, vendors_to_propose


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    at = timezone.now()
    counts, problems = by_provider(at), current_problems()
    providers = Provider.objects.prefetch_related("ca_records__revocation_sources")
    rows = [provider_row(provider, counts.get(provider.code, ProviderCount()), problems, at) for provider in providers]
    return page(request, "console/providers.html", title="CA 服务商", rows=rows, notices=server_notices(problems, at))


def _address(provider: Provider) -> str:
    return reverse("admin:provider", args=[provider.pk])


@require_GET
def detail(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    provider = get_object_or_404(Provider.objects.prefetch_related("ca_records__revocation_sources"), pk=key)
    at = timezone.now()
    records = sorted(provider.ca_records.all(), key=_in_order)
    problems = current_problems()
    row = provider_row(provider, by_provider(at).get(provider.code, ProviderCount()), problems, at)
    return page(
        request,
        "console/provider.html",
        title=provider.name,
        provider=provider,
        records=[(record, [source_state(source, at) for source in record.revocation_sources.all()]) for record in records],
        row=row,
        notices=[*server_notices(problems, at), *row.notices],
        roles=[(role, _ROLE_HINTS[role]) for role in Role],
        hours=CHOICES,
        waiting_here=_waiting(provider, at),
    )


_ROLE_HINTS = {
    Role.ANCHOR: "信任到此为止：CA 的根证书，或直接信任的 CA 证书",
    Role.INTERMEDIATE: "签发锁证书或下级 CA 证书，须能追溯到一个信任锚",
    Role.CRL_SIGNER: "其私钥仅签发 CRL：不是信任锚，不能签发锁证书",
}


def _in_order(record: CaRecord) -> tuple[bool, bool, bool, str]:
    return record.state == CaState.WITHDRAWN, not record.anchor, record.crl_signer, record.subject


def _waiting(provider: Provider, at: datetime) -> list[Approval]:
    """Open proposals about this provider, its CA certificates or their sources."""
    keys = {str(record.pk) for record in provider.ca_records.all()}
    waiting = Approval.objects.open_at(at).select_related("proposed_by")
    return [item for item in waiting if item.target in {str(provider.pk), *keys} or (item.payload or {}).get("record", "") in keys]


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    form = ProviderForm(request.POST if request.method == "POST" else None, creating=True)

    def send() -> HttpResponse:
        provider = create_provider(code=form.cleaned_data["code"], values=form.values(), **asked_by(request))
        return HttpResponseRedirect(_address(provider))

    return form_page(request, form, send, title="新增 CA 服务商", back=reverse("admin:providers"), above="CA 服务商")


@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest) -> HttpResponse:
    """A new provider from a vendor folder; what its folder says waits for a second operator."""
    back = reverse("admin:providers")
    try:
        vendors = vendors_to_propose()
    except Refusal as refusal:
        messages.error(request, refusal_message(request, refusal))
        return HttpResponseRedirect(back)
    form = VendorForm(request.POST if request.method == "POST" else None, vendors=vendors)

    def send() -> HttpResponse:
        code, reason = form.cleaned_data["vendor"], form.cleaned_data["reason"]
        return HttpResponseRedirect(_address(propose_vendor(code=code, reason=reason, **asked_by(request))))

    return form_page(request, form, send, title="按厂商目录新增", back=back, above="CA 服务商", two=True)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    provider = get_object_or_404(Provider, pk=key)
    form = ProviderForm(request.POST if request.method == "POST" else None, initial=ProviderForm.initial_of(provider))

    def send() -> HttpResponse:
        edit_provider(provider=provider, version=form.cleaned_data["version"], values=form.values(), **asked_by(request))
        return HttpResponseRedirect(_address(provider))

    return form_page(request, form, send, title="名称与次序", back=_address(provider), above=provider.name)


@require_http_methods(["GET", "POST"])
def links(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    provider = get_object_or_404(Provider, pk=key)
    form = LinksForm(request.POST if request.method == "POST" else None, initial=LinksForm.initial_of(provider))

    def send() -> HttpResponse:
        version, reason = form.cleaned_data["version"], form.cleaned_data["reason"]
        propose_links(provider=provider, version=version, values=form.values(), reason=reason, **asked_by(request))
        return HttpResponseRedirect(reverse("admin:approvals"))

    return form_page(request, form, send, title="热线与网址", back=_address(provider), above=provider.name, two=True)


@require_http_methods(["GET", "POST"])
def trust(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    provider = get_object_or_404(Provider, pk=key)
    form = TrustForm(request.POST if request.method == "POST" else None, initial=TrustForm.initial_of(provider))

    def send() -> HttpResponse:
        propose_trust(provider=provider, **form.values(), **asked_by(request))
        return HttpResponseRedirect(reverse("admin:approvals"))

    return form_page(
        request,
        form,
        send,
        template="console/trust.html",
        title="状态、站点与规则",
        back=_address(provider),
        above=provider.name,
        two=True,
        rule_words=RULE_WORDS,
    )


def _file(request: HttpRequest) -> IO[bytes] | None:
    file = request.FILES.get("certificate")
    return None if file is None else cast(IO[bytes], file)


@require_POST
def step(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One step on a provider, its CA certificates or its sources."""
    provider = get_object_or_404(Provider, pk=key)
    done = partial(take_step, provider, request.POST, _file(request), **asked_by(request))
    take(request, "provider_step", step_of(request.POST), done)
    return HttpResponseRedirect(_address(provider))
