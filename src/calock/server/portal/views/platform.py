"""The platform's entrance pages behind the login."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Binding
from calock.server.portal.render import page
from calock.server.portal.rows import rows_of
from calock.server.web.http import SiteRequest, require_account

ROLES = {
    Role.MEMBER: gettext_lazy("普通成员"),
    Role.ORGANISATION_ADMIN: gettext_lazy("机构管理员"),
    Role.OPERATOR: gettext_lazy("平台运营"),
}


def _console(account: Account) -> HttpResponse | None:
    """Operators work in the console: the landing pages of the platform lead them there."""
    return HttpResponseRedirect("/console/") if account.role == Role.OPERATOR else None


@require_safe
def apps(request: HttpRequest) -> HttpResponse:
    account, _session = require_account(cast(SiteRequest, request))
    return _console(account) or page(cast(SiteRequest, request), "apps", "apps")


@require_safe
def system(request: HttpRequest) -> HttpResponse:
    require_account(cast(SiteRequest, request))
    return page(cast(SiteRequest, request), "system", "system", section="system")


@require_safe
def user_center(request: HttpRequest) -> HttpResponse:
    account, session = require_account(cast(SiteRequest, request))
    elsewhere = _console(account)
    if elsewhere is not None:
        return elsewhere
    bindings = Binding.objects.filter(account=account, unbound_at__isnull=True)
    rows = rows_of(bindings, site=cast(SiteRequest, request).site, at=timezone.now())
    return page(
        cast(SiteRequest, request), "user-center", "user_center", rows=rows, login_session=session, role=ROLES[Role(account.role)]
    )
