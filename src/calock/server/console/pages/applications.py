"""应用接入: the applications that stand on this login, their registration, their keys, and what of their requests was refused."""

from __future__ import annotations

import uuid
from typing import cast
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from calock.server.applications.models import Application, ApplicationState
from calock.server.applications.services import (
    new_secret,
    propose_application,
    propose_new_secret,
    propose_without_old_secret,
    suspend_application,
)
from calock.server.applications.words import PROTOCOLS, described
from calock.server.approvals.models import Approval
from calock.server.console.application_form import ApplicationForm
from calock.server.console.pages.common import asked_by, form_page, page, reasoned_by, take, version_of
from calock.server.grants.refused import last_refused
from calock.server.sites.registry import sites
from calock.server.tools import clock
from calock.server.tools.digests import digest
from calock.server.web.http import SiteRequest

ABOVE = "应用接入"


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    rows = [(row, row.wish if row.is_intact() else None) for row in Application.objects.all()]
    waiting = Approval.objects.open_at(clock.now()).filter(kind="application")
    names = {code: str(profile.names.platform) for code, profile in sites().items()}
    shown = [
        (row, wish, names.get(row.site, row.site), "、".join(PROTOCOLS[one] for one in wish.protocols) if wish else "")
        for row, wish in rows
    ]
    return page(request, "console/applications.html", title=ABOVE, rows=shown, waiting_here=waiting)


def _address(application: Application) -> str:
    return reverse("admin:application", args=[application.pk])


@require_GET
def detail(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    application = get_object_or_404(Application, pk=key)
    intact = application.is_intact()
    wish = application.wish if intact else None
    return page(
        request,
        "console/application.html",
        title=application.name,
        application=application,
        wish=wish,
        facts=described(wish) if wish else [],
        issuer=_issuer(cast(SiteRequest, request), application),
        by_secret=bool(wish and "oidc" in wish.protocols and wish.auth_method != "private_key_jwt"),
        refused=last_refused(application),
        waiting_here=Approval.objects.open_at(clock.now()).filter(target=str(application.pk)).select_related("proposed_by"),
    )


def _issuer(request: SiteRequest, application: Application) -> str:
    """Where the application finds the provider: the first host of its site, by the scheme and port that this console has."""
    if application.site not in sites():
        return ""
    own = urlsplit(request.site_origin)
    port = f":{own.port}" if own.port else ""
    return f"{own.scheme}://{sites()[application.site].hosts[0]}{port}"


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    form = ApplicationForm(request.POST if request.method == "POST" else None)

    def send() -> HttpResponse:
        values, secret = form.values(), ""
        if "oidc" in values["protocols"] and values["auth_method"] != "private_key_jwt":
            secret = new_secret()
            values["secrets"] = [digest(secret)]
        propose_application(values=values, reason=form.cleaned_data["reason"], **asked_by(request))
        return _secret_page(request, values["name"], secret) if secret else HttpResponseRedirect(reverse("admin:approvals"))

    return form_page(request, form, send, title="登记应用", back=reverse("admin:applications"), above=ABOVE, two=True)


def _secret_page(request: HttpRequest, name: str, secret: str) -> HttpResponse:
    """The only page that ever shows this secret; it answers the POST itself."""
    return page(request, "console/secret.html", title="应用密钥", name=name, secret=secret)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    application = get_object_or_404(Application, pk=key)
    form = ApplicationForm(request.POST if request.method == "POST" else None, of=application)

    def send() -> HttpResponse:
        propose_application(
            values=form.values(),
            reason=form.cleaned_data["reason"],
            **asked_by(request),
            of=application,
            version=form.cleaned_data["version"],
            state=ApplicationState(application.state),
        )
        return HttpResponseRedirect(reverse("admin:approvals"))

    return form_page(request, form, send, title="变更登记", back=_address(application), above=application.name, two=True)


@require_POST
def step(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """One step on an application."""
    application = get_object_or_404(Application, pk=key)
    name, made = request.POST.get("step", ""), []

    def do() -> None:
        made.append(_do(request, application, name))

    take(request, "application_step", name, do)
    secret = made[0] if made else ""
    return _secret_page(request, application.name, secret) if secret else HttpResponseRedirect(_address(application))


def _do(request: HttpRequest, application: Application, name: str) -> str:
    """A new secret when the step made one."""
    if name == "suspend":
        suspend_application(application=application, **reasoned_by(request))
        return ""
    version = version_of(request)
    if name == "new_secret":
        return propose_new_secret(application=application, version=version, **reasoned_by(request))[1]
    if name == "old_secret":
        propose_without_old_secret(application=application, version=version, **reasoned_by(request))
    else:
        propose_application(values=application.content, of=application, version=version, **reasoned_by(request))
    return ""
