"""The platform's entrance pages behind the login."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from calock.server.accounts.models import Account, Role
from calock.server.applications.catalogue import tiles_for
from calock.server.applications.wishes import Wish
from calock.server.portal.render import page
from calock.server.portal.roles import role_of
from calock.server.portal.rows import Row, live_bindings, rows_of
from calock.server.web.http import SiteRequest, require_account

SHOWN = 5
"""Locks on 用户中心; the list of locks has all of them."""


def _console(account: Account) -> HttpResponse | None:
    """Operators work in the console: the landing pages of the platform lead them there."""
    return HttpResponseRedirect("/console/") if account.role == Role.OPERATOR else None


@dataclass(frozen=True, slots=True)
class LockCounts:
    """How many locks an account has, how many of them need something soon, how many cannot be used."""

    all: int
    soon: int
    wrong: int


def _own_locks(request: SiteRequest, account: Account) -> tuple[list[Row], LockCounts | None]:
    """The account's live bindings, those that need something first; no counts where there are none."""
    rows = rows_of(live_bindings(account), site=request.site, at=timezone.now())
    rows.sort(key=lambda row: row.status.tone == "good")
    tones = [row.status.tone for row in rows]
    return rows, LockCounts(len(rows), tones.count("warn"), tones.count("bad")) if rows else None


def _tiles(request: SiteRequest, account: Account) -> list[tuple[Wish, str]]:
    return tiles_for(account, site=request.site.code, issuer=request.site_origin)


@require_safe
def apps(request: SiteRequest) -> HttpResponse:
    account, _session = require_account(request)
    elsewhere = _console(account)
    if elsewhere is not None:
        return elsewhere
    counts = _own_locks(request, account)[1]
    return page(request, "apps", "apps", counts=counts, applications=_tiles(request, account))


@require_safe
def system(request: SiteRequest) -> HttpResponse:
    require_account(request)
    return page(request, "system", "system", section="system")


@require_safe
def user_center(request: SiteRequest) -> HttpResponse:
    account, session = require_account(request)
    elsewhere = _console(account)
    if elsewhere is not None:
        return elsewhere
    rows, counts = _own_locks(request, account)
    return page(
        request,
        "user-center",
        "user_center",
        rows=rows[:SHOWN],
        counts=counts,
        login_session=session,
        role=role_of(account),
        applications=_tiles(request, account),
    )
