"""From a ``Refusal`` to an answer: JSON under ``/api/``, a page elsewhere; always with the audit row's number."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode
from django.utils.translation import get_language

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record_refusal
from calock.server.tools import throttle
from calock.server.web.causes import CAUSE_OF
from calock.server.web.http import SiteRequest, context_of
from calock.server.web.refusal_texts import ASK_THE_CA, ENTRIES, Action, Entry
from calock.wire.statuses import status_of

UNAUDITED = frozenset({Reason.SESSION_REQUIRED, Reason.SESSION_ENDED, Reason.PASSWORD_CHANGE_REQUIRED, Reason.HOST_UNKNOWN})
"""A click on an old tab, or a stranger's probe: nothing was attempted that an auditor would look for."""

OVER = {"lock unbound": "unbound", "idle": "idle", "record damaged": "damaged"}
"""Ends of a session that the login page has a sentence of its own for, as its address names them."""


def is_english() -> bool:
    return (get_language() or "").startswith("en")


def _link(action: Action, facts: dict[str, str | int | bool]) -> str:
    preferred = facts.get(action.fact)
    if isinstance(preferred, str) and preferred.startswith(("https://", "http://")):
        return preferred
    try:
        path = reverse(f"portal:{action.page}")
        if action.back:
            path += "?" + urlencode({"next": reverse(f"portal:{action.back}") + "?bind=1"})
    except NoReverseMatch:
        path = "/"
    return path + (f"#{action.fragment}" if action.fragment else "")


def _action(action: Action, facts: dict[str, str | int | bool], *, english: bool) -> dict[str, str]:
    return {"label": action.en if english else action.zh, "href": _link(action, facts), "does": action.does}


def _where_it_came_from(request: SiteRequest) -> str:
    """Path of this site's page that sent the request; the home page where that is not known."""
    parts = urlsplit(request.headers.get("Referer", ""))
    own = parts.netloc == request.get_host() and parts.path.startswith("/") and not parts.path.startswith("//")  # another host's
    return parts.path if own else "/"


def describe(reason: Reason, facts: dict[str, str | int | bool] | None = None, *, number: str = "") -> dict[str, Any]:
    """One refusal as pages and scripts show it: ``reason``, ``message``, ``action``, ``ca``, ``cause``, ``number``, ``facts``."""
    entry: Entry = ENTRIES[reason]
    known = {**(facts or {}), "detail_code": reason.value, **({"number": number} if number else {})}
    english = is_english()
    return {
        "reason": reason.value,
        "message": entry.words.say(known, english=english),
        "action": _action(entry.action, known, english=english),
        "ca": reason in ASK_THE_CA,
        "cause": CAUSE_OF.get(reason, ""),
        "number": number,
        "facts": dict(facts or {}),
    }


def catalogue() -> dict[str, dict[str, Any]]:
    """Every reason's sentence templates and action, for the page's script: the driver's refusals are shown in its words."""
    english = is_english()
    return {
        reason.value: {
            "message": entry.words.en if english else entry.words.zh,
            "plain": (entry.words.plain_en if english else entry.words.plain_zh) or (entry.words.en if english else entry.words.zh),
            "action": _action(entry.action, {}, english=english),
            "ca": reason in ASK_THE_CA,
            "cause": CAUSE_OF.get(reason, ""),
        }
        for reason, entry in ENTRIES.items()
    }


def audit(request: SiteRequest, refusal: Refusal) -> None:
    """Record a refusal no service has recorded, as long as the address does not flood us.

    For views that answer a refusal with a page of their own; ``answer`` does it by itself.
    """
    if refusal.number or refusal.reason in UNAUDITED:
        return
    context = context_of(request)
    actor = context.session.account if context.session else None
    if actor is None and refusal.reason == Reason.NOT_FOUND:
        return
    if refusal.reason == Reason.TOO_MANY_ATTEMPTS:
        worth_a_row = throttle.first_this_minute("throttled", context.ip)
    else:
        worth_a_row = throttle.is_worth_a_row("request", context.ip)
    if worth_a_row:
        record_refusal(
            ENTRIES[refusal.reason].event, refusal, context=context, actor=actor, details={"path": request.path_info[:120]}
        )


def for_page(request: SiteRequest, refusal: Refusal) -> dict[str, Any]:
    """``refusal`` and ``status`` of a page that shows its form again, after the auditors' row about it was written."""
    audit(request, refusal)
    return {"status": status_of(refusal.reason), "refusal": describe(refusal.reason, refusal.facts, number=refusal.number)}


def answer(request: SiteRequest, refusal: Refusal, *, site_known: bool = True, audited: bool = True) -> HttpResponse:
    """The response for ``refusal``. ``site_known`` False: no site has this Host, so there is no branded page to show.

    ``audited`` False: the refusal is not about what was asked, and writing it down would cost what is missing.
    """
    if site_known and audited:
        audit(request, refusal)
    status = status_of(refusal.reason)
    told = describe(refusal.reason, refusal.facts, number=refusal.number)
    response: HttpResponse
    if request.path_info.startswith("/api/"):
        response = JsonResponse({"error": told}, status=status, json_dumps_params={"ensure_ascii": False})
    elif request.method == "GET" and refusal.reason in (Reason.SESSION_REQUIRED, Reason.SESSION_ENDED):
        over = {"over": OVER.get(request.session_end, "ended")} if refusal.reason == Reason.SESSION_ENDED else {}
        response = HttpResponseRedirect(f"{reverse('portal:login')}?{urlencode({'next': request.get_full_path(), **over})}")
    elif request.method == "GET" and refusal.reason == Reason.PASSWORD_CHANGE_REQUIRED:
        response = HttpResponseRedirect(reverse("portal:password"))
    else:
        if told["action"]["does"] == "reload":
            told["action"]["href"] = _where_it_came_from(request)
        elif told["action"]["does"] == "return" and (back := _where_it_came_from(request)) != "/":
            told["action"]["href"] += "?" + urlencode({"next": back})
        template = "refusals/page.html" if site_known else "refusals/no_site.html"
        shown = {"refusal": told, "status": status}
        if site_known and status == HTTPStatus.NOT_FOUND:
            shown |= {"missing": True, "came_from": _where_it_came_from(request)}
        response = render(request, template, shown, status=status)
    response["Cache-Control"] = "no-store"
    if "seconds" in refusal.facts:
        response["Retry-After"] = str(refusal.facts["seconds"])
    return response


__all__ = ["Event", "answer", "audit", "catalogue", "describe", "for_page", "is_english"]
