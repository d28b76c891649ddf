"""What every page of the console does the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar, cast

from django.contrib import admin, messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.console.acts import act_of
from calock.server.sessions.context import RequestContext
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of

T = TypeVar("T")
SAID_IN_FULL = frozenset({
    Reason.REASON_MISSING, Reason.APPROVAL_CLOSED, Reason.APPROVAL_WAITING, Reason.SECOND_OPERATOR_NEEDED, Reason.VERSION_CHANGED,
    Reason.PROVIDER_WITHOUT_ANCHOR, Reason.NOT_FOUND,
})  # fmt: skip
"""Refusals whose sentence leaves nothing for the technical text, which is in English, to add."""


def page(request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any) -> HttpResponse:
    """Render a console page in its frame."""
    return render(request, template, {**admin.site.each_context(request), "title": title, **context}, status=status)


def operator_and_context(request: HttpRequest) -> tuple[Account, RequestContext]:
    """The operator and their request's context, as services take them."""
    site_request = cast(SiteRequest, request)
    return cast(Account, site_request.user), context_of(site_request)


class Asked(TypedDict):
    """What every service takes of whoever asks."""

    by: Account
    context: RequestContext


class Reasoned(Asked):
    reason: str


def asked_by(request: HttpRequest) -> Asked:
    """The operator and their request's context, by the names that services have for them."""
    operator, context = operator_and_context(request)
    return {"by": operator, "context": context}


def reasoned_by(request: HttpRequest) -> Reasoned:
    """The same, with the reason that was typed beside the button."""
    return {**asked_by(request), "reason": request.POST.get("reason", "")}


def refusal_message(request: HttpRequest, refusal: Refusal) -> str:
    """What the operator reads of a refusal, after the auditors' row about it was written."""
    refusals.audit(cast(SiteRequest, request), refusal)
    if refusal.reason == Reason.REQUEST_MALFORMED and refusal.detail:
        return f"未执行：{refusal.detail}"  # the usual sentence, reload and try again, would not help
    message: str = refusals.describe(refusal.reason, refusal.facts, number=refusal.number)["message"]
    if not refusal.detail or refusal.reason in SAID_IN_FULL or refusal.detail in message:
        return message
    return f"{message}（技术说明：{refusal.detail}）"


def version_of(request: HttpRequest) -> int:
    """The version that the form was made for.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    text = request.POST.get("version", "")
    if not text.isdecimal() or len(text) > 9:
        raise Refusal(Reason.REQUEST_MALFORMED, "version")
    return int(text)


def form_page(
    request: HttpRequest, form: Form, send: Callable[[], HttpResponse], *, template: str = "console/form.html", **shown: Any
) -> HttpResponse:
    """The page of a form. Filled in well it is sent, and ``send`` answers; a refusal stands above it."""
    if request.method == "POST" and form.is_valid():
        try:
            return send()
        except Refusal as refusal:
            form.add_error(None, refusal_message(request, refusal))
    return page(request, template, form=form, **shown)


def take(request: HttpRequest, name: str, step: str, do: Callable[[], T]) -> T | None:
    """Do what a button of the page ``name`` says, and say the outcome; None when it was refused."""
    try:
        act = act_of(name, step)
        result = do()
    except Refusal as refusal:
        messages.error(request, refusal_message(request, refusal))
        return None
    if act.done:
        messages.success(request, act.done)
    return result
